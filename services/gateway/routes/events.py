"""The public event feed over HTTP: pages, or followed live as server-sent events."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from .. import edge, problems, store
from ..edge import rules

router = edge.Router()

_POLL_SECONDS = 0.25
_SILENCE_SECONDS = 15.0
_STREAM = "text/event-stream"

_FORESEEN = frozenset(
    """case.assigned case.warning case.breached ask.granted ask.refused ask.outcome rung.changed customer.merged
    customer.erased referral.attributed referral.converted referral.reversed reward.maturing reward.available
    reward.issued reward.redeemed reward.reversed reward.expired testimonial.revoked campaign.halted segment.entered
    segment.left""".split()  # noqa: SIM905 - one a line would fill the screen
)
"""Public types of which nothing tells yet: who asks for them gets none, and need not ask anew when they come."""


def _types(value: str) -> list[str]:
    wanted = [part.strip() for part in value.split(",") if part.strip()]
    if not wanted or any(part not in store.EVENT_TYPES and part not in _FORESEEN for part in wanted):
        raise rules.refuse("EVENT_TYPE_UNKNOWN", f"of {', '.join(store.EVENT_TYPES)}, separated by commas")
    return sorted(set(wanted))


class EventQuery(edge.Body):
    """Where to go on from, and what to show."""

    limit: edge.Limit = 50
    cursor: edge.Cursor | None = None
    types: Annotated[str, edge.Checked(_types)] | None = None


class EventOut(msgspec.Struct, kw_only=True):
    """One public event: ids and facts."""

    event_id: str
    type: str
    occurred_at: Any
    data: dict[str, Any]


_PAGE = {
    "type": "object",
    "properties": {
        "data": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "event_id": {"type": "string"},
                    "type": {"type": "string", "enum": list(store.EVENT_TYPES)},
                    "occurred_at": {"type": "string", "format": "date-time"},
                    "data": {"type": "object"},
                },
                "required": ["event_id", "type", "occurred_at", "data"],
            },
        },
        "next_cursor": {"type": "string", "description": "Never null: the place to go on from."},
    },
    "required": ["data", "next_cursor"],
}


@router.operation("GET /v1/events", scope="platform:read", query=EventQuery, answer=_PAGE, also=_STREAM)
async def list_events(request: Request) -> Response:
    """Give the public events since a cursor, oldest first; without one from the oldest kept.

    Nothing ever appears behind a cursor already given out. `Accept: text/event-stream` follows the feed live; there
    each event's id is the cursor behind it.
    """
    asked = edge.query(request, EventQuery)
    feed = _Feed(edge.gateway(request), edge.exchange(request), asked)
    last_event_id = request.headers.get("last-event-id")
    after = feed.open(asked.cursor if last_event_id is None else last_event_id)
    if _STREAM in request.headers.get("accept", ""):
        return StreamingResponse(feed.follow(after), media_type=_STREAM)
    found, last = await feed.read(after)
    return edge.answer({"data": [_out(event) for event in found], "next_cursor": feed.seal(last)})


def _out(event: store.FeedEvent) -> EventOut:
    return EventOut(event_id=event.event_id, type=event.type, occurred_at=event.occurred_at, data=event.data)


class _Feed:
    """One caller's reading of the feed."""

    def __init__(self, gateway: edge.Gateway, exchange: edge.Exchange, asked: EventQuery) -> None:
        assert exchange.caller is not None
        self._gateway = gateway
        self._exchange = exchange
        self._tenant_id = exchange.caller.tenant_id
        self._types: Any = asked.types
        self._limit = asked.limit

    def open(self, cursor: str | None) -> int:
        """Return the sequence number of a cursor. It holds for every choice of types."""
        token = self._gateway.cursors.open(self._tenant_id, "events", {}, cursor)
        return int(token) if token else 0

    def seal(self, seq: int) -> str:
        """Return the cursor behind a sequence number."""
        cursor = self._gateway.cursors.seal(self._tenant_id, "events", {}, str(seq))
        assert cursor is not None
        return cursor

    async def read(self, after: int) -> tuple[list[store.FeedEvent], int]:
        """Return a page and the number to go on from."""
        return await store.read_feed(self._gateway.db, self._tenant_id, after, self._types, self._limit)

    async def follow(self, after: int) -> AsyncIterator[bytes]:
        """Yield events as they come, and a comment every 15 seconds of silence.

        Ends when the gateway goes down, and when the caller's key is no longer good.
        """
        yield b": follows\n\n"
        silent = 0.0
        while not self._gateway.closing.is_set() and await self._is_allowed():
            found, after = await self.read(after)
            for event in found:
                data = msgspec.json.encode(_out(event)).decode()
                yield f"id: {self.seal(event.seq)}\nevent: {event.type}\ndata: {data}\n\n".encode()
            silent = 0.0 if found else silent + _POLL_SECONDS
            if silent >= _SILENCE_SECONDS:
                yield b": quiet\n\n"
                silent = 0.0
            if not found:
                await asyncio.sleep(_POLL_SECONDS)

    async def _is_allowed(self) -> bool:
        """Say whether the caller's key still opens the feed: revoked, it follows no longer than it would ask."""
        try:
            await self._gateway.keyring.caller(self._exchange.authorization())
        except problems.Problem:
            return False
        return True
