"""What scoring does when a time has come: tells the others which scores have moved."""

import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime, time

import asyncpg

from libs.common.events import emit
from libs.common.timers import Timer, schedule

from . import domain, store

MARKS_AT_ONCE = 16
"""Up to 256 customers: some milliseconds, so that calls and consumers pass in between."""
DRIFTING_AT_ONCE = 256


async def on_due_score(conn: asyncpg.Connection, tenant_id: uuid.UUID, ids: Sequence[str], now: datetime) -> None:
    """Compute scores anew and tell of those that moved by a point; plan when time alone will have moved them."""
    await store.lock_scores(conn, tenant_id)
    await _look(conn, tenant_id, domain.customers_of(ids), now)


async def on_due_drift(conn: asyncpg.Connection, tenant_id: uuid.UUID, ids: Sequence[str], now: datetime) -> None:
    """Look at scores that time alone has moved by today; come back at once for more, else on the next such day."""
    await store.lock_scores(conn, tenant_id)
    await _look(conn, tenant_id, await store.list_drifting(conn, tenant_id, now.date(), DRIFTING_AT_ONCE), now)
    await _come_back(conn, tenant_id, await store.next_drift(conn, tenant_id))


async def _look(conn: asyncpg.Connection, tenant_id: uuid.UUID, customer_ids: Sequence[str], now: datetime) -> None:
    told = await store.list_told(conn, tenant_id, customer_ids)
    sums = await store.list_sums(conn, tenant_id, customer_ids, now)
    moved: dict[str, domain.News] = {}
    planned: dict[str, date | None] = {}
    for customer_id in customer_ids:
        score = domain.totals_of(sums.get(customer_id, ()), now)
        before = told.get(customer_id, store.NOTHING)
        if domain.has_moved(before.value, score.value):
            moved[customer_id] = domain.news_of(score, before.version + 1, now)
        elif (day := domain.day_of_move(score, before.value, now)) != before.moves_on:
            planned[customer_id] = day
    if moved:
        await store.save_scores(conn, tenant_id, moved, now)
        await emit(conn, tenant_id, store.to_events(moved, now))
    if planned:
        await store.plan_drift(conn, tenant_id, planned)
    days = [*planned.values(), *(news.moves_on for news in moved.values())]
    await _come_back(conn, tenant_id, min((day for day in days if day), default=None))


async def _come_back(conn: asyncpg.Connection, tenant_id: uuid.UUID, day: date | None) -> None:
    if day:
        await schedule(conn, tenant_id, domain.DRIFT, [day.isoformat()], datetime.combine(day, time(), UTC))


TIMERS = (Timer(domain.LOOK, on_due_score, MARKS_AT_ONCE), Timer(domain.DRIFT, on_due_drift))
