"""Scoring's long work: `python -m services.scoring.jobs TENANT JOB` does one job; the service starts it."""

import uuid
from datetime import UTC, datetime, time
from typing import Any

import asyncpg

from libs.common import clock, timers
from libs.common.events import emit

from . import domain, store
from .settings import Settings

AT_ONCE = 500
"""Customers of one step."""


async def replay(
    conn: asyncpg.Connection, tenant_id: uuid.UUID, so_far: dict[str, Any]
) -> tuple[float, dict[str, Any]]:
    """Compute the scores of the next customers from the ledger; tell of those that differ at all from what was told.

    Whoever copies scores has the exact ones afterwards. A second replay on the same UTC day finds nothing to tell.
    """
    if not so_far:
        total = await store.count_customers(conn, tenant_id)
        return 0.0, {"customers": 0, "changed": 0, "after": "", "total": total}
    customer_ids = await store.list_customers(conn, tenant_id, so_far["after"], AT_ONCE)
    changed = await _tell(conn, tenant_id, customer_ids) if customer_ids else 0
    counts = {"customers": so_far["customers"] + len(customer_ids), "changed": so_far["changed"] + changed}
    if len(customer_ids) < AT_ONCE:
        return 1.0, counts
    total = max(so_far["total"], 1)
    return min(0.99, counts["customers"] / total), {**counts, "after": customer_ids[-1], "total": total}


async def _tell(conn: asyncpg.Connection, tenant_id: uuid.UUID, customer_ids: list[str]) -> int:
    """Tell of the scores that differ, and return how many did."""
    await store.lock_scores(conn, tenant_id)
    now = clock.now()
    told = await store.list_told(conn, tenant_id, customer_ids)
    sums = await store.list_sums(conn, tenant_id, customer_ids, now)
    differing: dict[str, domain.News] = {}
    for customer_id in customer_ids:
        score = domain.totals_of(sums.get(customer_id, ()), now)
        before = told.get(customer_id, store.NOTHING)
        if not before.is_exactly(score):
            differing[customer_id] = domain.news_of(score, before.version + 1, now)
    await store.save_scores(conn, tenant_id, differing, now)
    await emit(conn, tenant_id, store.to_events(differing, now))
    # Nobody had noticed these: there may be no timer for the day when time alone will have moved them again.
    if days := [news.moves_on for news in differing.values() if news.moves_on]:
        midnight = datetime.combine(min(days), time(), UTC)
        await timers.schedule(conn, tenant_id, domain.DRIFT, [min(days).isoformat()], midnight)
    return len(differing)


KINDS = {domain.REPLAY: replay}

if __name__ == "__main__":
    timers.run_job(Settings(), KINDS)
