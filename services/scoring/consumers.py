"""What other services' events mean for scores: one `on_<event>` function per event."""

import secrets
import uuid
from collections.abc import Collection
from datetime import datetime, timedelta

import asyncpg

from libs.common import clock, timers
from libs.common.events import Batch, Handler
from plaudit.feedback.v1.feedback_events_pb2 import ResponseRecorded
from plaudit.profile.v1.profile_events_pb2 import ActivityRecorded, ActivityVoided, CustomerChanged

from . import domain, store

_DELAY = timedelta(milliseconds=4)
"""For each customer of a batch, so that a burst's scores are worked out once and not with every batch."""
_LONGEST_DELAY = timedelta(seconds=2)


async def on_response_recorded(conn: asyncpg.Connection, batch: Batch[ResponseRecorded]) -> None:
    """Add the answers to their customers' ledgers."""
    facts = [event.payload for event in batch.events]
    rows = {fact.response_id: row for fact in facts if (row := domain.row_of_answer(fact))}
    silent = {fact.customer_id for fact in facts if fact.customer_id and fact.response_id not in rows}
    await _add(conn, batch.tenant_id, domain.RESPONSE, rows, silent)


async def on_activity_recorded(conn: asyncpg.Connection, batch: Batch[ActivityRecorded]) -> None:
    """Add the activities that are signals to their customers' ledgers."""
    facts = [event.payload for event in batch.events]
    rows = {fact.activity_id: row for fact in facts if (row := domain.row_of_activity(fact))}
    silent = {fact.customer_id for fact in facts if fact.customer_id and fact.activity_id not in rows}
    await _add(conn, batch.tenant_id, domain.ACTIVITY, rows, silent)


async def on_activity_voided(conn: asyncpg.Connection, batch: Batch[ActivityVoided]) -> None:
    """Leave the activities out of every sum, even those that come later."""
    facts = [event.payload for event in batch.events]
    voided_at = {fact.activity_id: clock.instant(fact.voided_at) for fact in facts}
    await store.add_voids(conn, batch.tenant_id, domain.ACTIVITY, voided_at)
    marks, due_at = _look({fact.customer_id for fact in facts if fact.customer_id})
    await timers.schedule(conn, batch.tenant_id, domain.LOOK, marks, due_at)


async def on_customer_changed(conn: asyncpg.Connection, batch: Batch[CustomerChanged]) -> None:
    """Keep the newest version of each customer."""
    newest: dict[str, CustomerChanged] = {}
    for change in sorted((event.payload for event in batch.events), key=lambda change: change.version):
        newest[change.customer_id] = change
    await store.save_customers(conn, batch.tenant_id, [newest[customer_id] for customer_id in sorted(newest)])


async def _add(
    conn: asyncpg.Connection,
    tenant_id: uuid.UUID,
    kind: str,
    rows: dict[str, domain.Row],
    silent: Collection[str],
) -> None:
    """Append the rows whose sources were never seen; remember the customers of whom a fact says nothing."""
    if rows:
        await store.add_signals(conn, tenant_id, kind, rows, _look({row.customer_id for row in rows.values()}))
    if stubs := sorted(silent):
        await store.add_stubs(conn, tenant_id, stubs)


def _look(customer_ids: Collection[str]) -> tuple[list[str], datetime]:
    """Return timers that look at scores: at once for a few, a little later in a burst, which touches many again.

    Each batch makes rows of its own: it never waits for the rows that a running timer has claimed.
    """
    delay = min(_LONGEST_DELAY, len(customer_ids) * _DELAY)
    return domain.marks_of(customer_ids, secrets.token_hex(4)), clock.now() + delay


HANDLERS = (
    Handler(ActivityRecorded, on_activity_recorded, stream=True),
    Handler(ResponseRecorded, on_response_recorded, stream=True),
    Handler(ActivityVoided, on_activity_voided),
    Handler(CustomerChanged, on_customer_changed),
)
