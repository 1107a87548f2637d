"""A customer's timeline over HTTP: what every service knows of one customer, merged at the time of reading."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from typing import Annotated, Any, NamedTuple

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from plaudit.feedback.v1 import feedback_service_pb2 as feedback
from plaudit.feedback.v1 import feedback_service_pb2_grpc as feedback_rpc
from plaudit.profile.v1 import profile_service_pb2 as profile
from plaudit.profile.v1 import profile_service_pb2_grpc as profile_rpc

from .. import edge
from ..edge import rules

router = edge.Router()

KINDS = ("activity", "case", "mention", "response")
_FEEDBACK = {"case", "mention", "response"}


def _kinds(value: str) -> list[str]:
    wanted = [part.strip() for part in value.split(",") if part.strip()]
    if not wanted or any(part not in KINDS for part in wanted):
        raise rules.refuse("VALUE_INVALID", f"of {', '.join(KINDS)}, separated by commas")
    return sorted(set(wanted))


class TimelineQuery(edge.ListQuery):
    """What to show."""

    kinds: Annotated[str, edge.Checked(_kinds)] | None = None


class TimelineItemOut(Struct, kw_only=True):
    """One thing that happened; what `summary` holds depends on the kind."""

    kind: str
    id: str
    at: datetime
    summary: dict[str, Any]


class Item(NamedTuple):
    """One item, and what its summary is made of."""

    at: datetime
    kind: str
    id: str
    summary: dict[str, Any]

    def stands_behind(self, position: "Position | None") -> bool:
        """Say whether an item comes after the last one shown: newest first, then by kind, then by id downwards."""
        if position is None:
            return True
        if self.at != position.at:
            return self.at < position.at
        return self.kind > position.kind or (self.kind == position.kind and self.id < position.id)


class Position(NamedTuple):
    """The last item shown."""

    at: datetime
    kind: str
    id: str


@router.operation(
    "GET /v1/customers/{customer_id}/timeline",
    scope="profile:read",
    query=TimelineQuery,
    answer=TimelineItemOut,
    listed=True,
)
async def get_timeline(request: Request, customer_id: str) -> Response:
    """List everything that happened with a customer, newest first: activities, responses, cases, mentions.

    `kinds` names some of them, separated by commas. All but activities need the scope `feedback:read` as well.
    """
    asked = edge.query(request, TimelineQuery)
    kinds: Any = asked.kinds or KINDS
    if _FEEDBACK.intersection(kinds):
        caller = edge.exchange(request).caller
        assert caller is not None
        caller.need("feedback:read")
    token = edge.page_token(request, asked)
    position = _position_of(token) if token else None
    sources = [_SOURCES[kind](request, customer_id, position) for kind in kinds]
    found = await asyncio.gather(*(_some(source, position, asked.limit + 1) for source in sources))
    items = sorted((item for part in found for item in part), key=lambda item: item.id, reverse=True)
    items.sort(key=lambda item: item.kind)
    items.sort(key=lambda item: item.at, reverse=True)
    if not items and position is None:
        # Nothing happened, or there is no such customer: that is a 404.
        message = profile.GetCustomerRequest(customer_id=customer_id)
        await edge.call(request, edge.stub(request, profile_rpc.CustomerServiceStub).GetCustomer, message)
    last = items[asked.limit - 1] if len(items) > asked.limit else None
    further = json.dumps([last.at.isoformat(), last.kind, last.id]) if last else ""
    return edge.page(request, asked, items[: asked.limit], further, _shown)


def _shown(item: Item) -> dict[str, Any]:
    return {"kind": item.kind, "id": item.id, "at": item.at, "summary": item.summary}


def _position_of(token: str) -> Position:
    at, kind, item_id = json.loads(token)
    return Position(datetime.fromisoformat(at), kind, item_id)


async def _some(source: AsyncIterator[Item], position: Position | None, most: int) -> list[Item]:
    found: list[Item] = []
    async for item in source:
        if item.stands_behind(position):
            found.append(item)
            if len(found) == most:
                break
    return found


_Page = tuple[Iterable[Item], str]


async def _pages(fetch: Callable[[str], Awaitable[_Page]]) -> AsyncIterator[Item]:
    """Yield the items of a list page by page, as far as somebody asks for them."""
    token = ""
    while True:
        items, token = await fetch(token)
        for item in items:
            yield item
        if not token:
            return


def _until(position: Position | None) -> dict[str, Any]:
    """Return the end of the period that still matters: the time of the last item shown is part of it."""
    if position is None:
        return {}
    stamp = Timestamp()
    stamp.FromDatetime(position.at + timedelta(microseconds=1))
    return {"to": stamp}


def _activities(request: Request, customer_id: str, position: Position | None) -> AsyncIterator[Item]:
    method = edge.stub(request, profile_rpc.ActivityServiceStub).ListActivities

    async def fetch(token: str) -> _Page:
        asked = profile.ListActivitiesRequest(customer_id=customer_id, page_token=token, **_until(position))
        reply = await edge.call(request, method, asked)
        return [_activity(record) for record in reply.records], reply.next_page_token

    return _pages(fetch)


def _responses(request: Request, customer_id: str, position: Position | None) -> AsyncIterator[Item]:
    method = edge.stub(request, feedback_rpc.ResponseServiceStub).ListResponses

    async def fetch(token: str) -> _Page:
        asked = feedback.ListResponsesRequest(customer_id=customer_id, page_token=token, **_until(position))
        reply = await edge.call(request, method, asked)
        return [_fact("response", record.response, _ANSWER) for record in reply.records], reply.next_page_token

    return _pages(fetch)


def _mentions(request: Request, customer_id: str, position: Position | None) -> AsyncIterator[Item]:
    method = edge.stub(request, feedback_rpc.MentionServiceStub).ListMentions

    async def fetch(token: str) -> _Page:
        asked = feedback.ListMentionsRequest(customer_id=customer_id, page_token=token, **_until(position))
        reply = await edge.call(request, method, asked)
        return [_fact("mention", record.mention, _MENTION) for record in reply.records], reply.next_page_token

    return _pages(fetch)


def _cases(request: Request, customer_id: str, position: Position | None) -> AsyncIterator[Item]:
    del position
    method = edge.stub(request, feedback_rpc.CaseServiceStub).ListCases

    async def fetch(token: str) -> _Page:
        reply = await edge.call(request, method, feedback.ListCasesRequest(customer_id=customer_id, page_token=token))
        return [_fact("case", case, _CASE, "opened_at") for case in reply.cases], reply.next_page_token

    return _pages(fetch)


_SOURCES: dict[str, Callable[[Request, str, Position | None], AsyncIterator[Item]]] = {
    "activity": _activities,
    "case": _cases,
    "mention": _mentions,
    "response": _responses,
}

_ACTIVITY = ("type", "channel", "moment", "staff_id", "team", "site", "value", "amount", "verified")
_ANSWER = ("metric", "kind", "survey", "score", "verbatim", "moment", "channel")
_MENTION = ("site", "text", "reach", "campaign")
_CASE = ("state", "urgency", "team", "owner", "confirmation")


def _activity(record: Any) -> Item:
    item = _fact("activity", record.activity, _ACTIVITY)
    item.summary["voided"] = record.HasField("voided_at")
    return item


def _fact(kind: str, message: Message, fields: Iterable[str], at: str = "occurred_at") -> Item:
    values = edge.to_json(message)
    return Item(values[at], kind, values[f"{kind}_id"], {name: values[name] for name in fields})
