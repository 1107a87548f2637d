"""Keeps the public event feed: one `on_<event>` per event that partners may see. Ids and facts only."""

from collections.abc import Callable, Iterable
from typing import Any

import asyncpg

from libs.common import clock, ingest
from libs.common.events import Batch, Handler, Received
from plaudit.feedback.v1.feedback_events_pb2 import (
    CASE_CHANGE_CLOSED,
    CASE_CHANGE_CONTACTED,
    CASE_CHANGE_OPENED,
    CASE_CHANGE_REOPENED,
    CaseChanged,
    ResponseRecorded,
)
from plaudit.profile.v1.profile_events_pb2 import CustomerChanged

from . import edge, store

CASE_TYPES = {
    CASE_CHANGE_OPENED: "case.opened",
    CASE_CHANGE_CONTACTED: "case.contacted",
    CASE_CHANGE_CLOSED: "case.closed",
    CASE_CHANGE_REOPENED: "case.reopened",
}
_INTERNAL = {"version", "change", "changed_at", "opened_at", "has_verbatim", "occurred_at", "received_at"}


async def _append(
    conn: asyncpg.Connection,
    batch: Batch[Any],
    type_of: Callable[[Received[Any]], str | None],
) -> None:
    """Add those of a batch that are public and not in the feed yet, oldest first."""
    public = [(event, kind) for event in batch.events if (kind := type_of(event))]
    new = await ingest.claim(conn, batch.tenant_id, "feed", [event.event_id for event, _ in public])
    rows = []
    for event, kind in sorted(public, key=lambda pair: pair[0].event_id):
        if event.event_id in new:
            new.discard(event.event_id)
            rows.append(store.FeedEvent(event.event_id, kind, event.occurred_at, _data(event.payload)))
    await store.add_to_feed(conn, batch.tenant_id, rows, clock.now())


def _data(payload: Any) -> dict[str, Any]:
    return dict(_written(edge.to_json(payload).items()))


def _written(fields: Iterable[tuple[str, Any]]) -> Iterable[tuple[str, Any]]:
    for name, value in fields:
        if name not in _INTERNAL:
            yield name, _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return edge.rfc3339(value) if hasattr(value, "tzinfo") else value


async def on_response_recorded(conn: asyncpg.Connection, batch: Batch[ResponseRecorded]) -> None:
    """Show `response.received`."""
    await _append(conn, batch, lambda _: "response.received")


async def on_case_changed(conn: asyncpg.Connection, batch: Batch[CaseChanged]) -> None:
    """Show `case.opened`, `case.contacted`, `case.closed` and `case.reopened`."""
    await _append(conn, batch, lambda event: CASE_TYPES.get(event.payload.change))


async def on_customer_changed(conn: asyncpg.Connection, batch: Batch[CustomerChanged]) -> None:
    """Show `customer.changed`."""
    await _append(conn, batch, lambda _: "customer.changed")


HANDLERS = (
    Handler(ResponseRecorded, on_response_recorded, stream=True),
    Handler(CaseChanged, on_case_changed),
    Handler(CustomerChanged, on_customer_changed),
)
