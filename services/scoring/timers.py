"""What scoring does when a time has come: tells the others which scores have moved."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg

from libs.common.events import emit
from libs.common.timers import Timer, schedule

from . import domain, store

KIND = "score"
AT_ONCE = 200
"""Customers looked at before the event loop gets its turn: some milliseconds."""


async def on_due_score(conn: asyncpg.Connection, tenant_id: uuid.UUID, ids: Sequence[str], now: datetime) -> None:
    """Compute scores anew and tell of those that moved by a point; come back when time alone will have moved them."""
    await store.lock_scores(conn, tenant_id)
    customer_ids = domain.customers_of(ids)
    for start in range(0, len(customer_ids), AT_ONCE):
        await _look(conn, tenant_id, customer_ids[start : start + AT_ONCE], now)


async def _look(conn: asyncpg.Connection, tenant_id: uuid.UUID, customer_ids: Sequence[str], now: datetime) -> None:
    told = await store.list_told(conn, tenant_id, customer_ids)
    sums = await store.list_sums(conn, tenant_id, customer_ids, now)
    moved: dict[str, tuple[domain.Score, int]] = {}
    later: dict[str, datetime] = {}
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for customer_id in customer_ids:
        score = domain.totals_of(sums.get(customer_id, ()), now)
        before = told.get(customer_id, store.NOTHING)
        value = before.value
        if domain.has_moved(value, score.value):
            moved[customer_id] = (score, before.version + 1)
            value = score.value
        if days := domain.days_until_moved(score.dimensions, value):
            later[customer_id] = midnight + timedelta(days=days)
    if moved:
        await store.save_scores(conn, tenant_id, moved, now)
        events = [store.to_event(customer_id, *news, now) for customer_id, news in moved.items()]
        await emit(conn, tenant_id, events)
    await schedule(conn, tenant_id, KIND, list(later), list(later.values()))


TIMERS = (Timer(KIND, on_due_score),)
