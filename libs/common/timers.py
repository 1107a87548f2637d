"""Work that waits for a time, and long work in a child process."""

import asyncio
import json
import logging
import random
import sys
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from . import clock, db, faults, tenancy
from .db import Database
from .errors import is_transient

CLAIM = 500
"""Rows of one kind and tenant handled in one transaction."""
POLL_SECONDS = 0.25
"""How late a due row may be noticed when nothing else happens."""
_log = logging.getLogger(__name__)

_SCHEDULE = """insert into timers (tenant_id, kind, id, due_at)
select $1, $2, i, d from unnest($3::text[], $4::timestamptz[]) as t(i, d) order by i
on conflict (tenant_id, kind, id) do update set due_at = least(timers.due_at, excluded.due_at), attempts = 0"""
_FIND = "select tenant_id, kind, count(*) as n from timers where due_at <= $1 group by tenant_id, kind limit 200"
_CLAIM = """delete from timers where (tenant_id, kind, id) in (
    select tenant_id, kind, id from timers where tenant_id = $1 and kind = $2 and due_at <= $3
    order by due_at limit $4 for update skip locked) returning id"""
_POSTPONE = """update timers
set attempts = attempts + 1, due_at = $3 + least(300, power(2, least(attempts, 8))) * interval '1 second'
where tenant_id = $1 and kind = $2 and due_at <= $3"""


@dataclass(frozen=True)
class Timer:
    """What a service does when rows of one kind are due.

    `on_due` gets ids whose rows are claimed in its own transaction: what it writes and their end commit together.
    """

    kind: str
    on_due: Callable[[asyncpg.Connection, uuid.UUID, Sequence[str], datetime], Awaitable[None]]


async def schedule(
    conn: asyncpg.Connection | AsyncConnection,
    tenant_id: uuid.UUID,
    kind: str,
    ids: Sequence[str],
    due_at: datetime | Sequence[datetime],
) -> None:
    """Make ids due at a time, in the transaction of `conn`; one that waits already keeps the earlier time."""
    times = [due_at] * len(ids) if isinstance(due_at, datetime) else list(due_at)
    if ids:
        earliest: dict[str, datetime] = {}
        for key, at in zip(ids, times, strict=True):
            earliest[key] = min(at, earliest.get(key, at))
        await (await db.raw(conn)).execute(_SCHEDULE, tenant_id, kind, list(earliest), list(earliest.values()))


async def run(database: Database, timers: Sequence[Timer]) -> None:
    """Handle due rows for ever: the pump finds (tenant, kind), the app role claims and acts in one transaction."""
    kinds = {timer.kind: timer for timer in timers}
    wait = 0.05
    while True:
        try:
            async with tenancy.pumping(database) as conn:
                due = await conn.fetch(_FIND, clock.now())
            # More than one claim waits: come back at once.
            more = False
            for row in due:
                if timer := kinds.get(row["kind"]):
                    more |= await _handle(database, timer, row["tenant_id"]) and row["n"] > CLAIM
            wait = 0.05
            await asyncio.sleep(0 if more else POLL_SECONDS)
        except Exception as error:
            if not is_transient(error):
                raise
            _log.warning("timers wait", extra={"error": type(error).__name__})
            await asyncio.sleep(random.uniform(0.5, 1) * wait)  # noqa: S311
            wait = min(2.0, wait * 2)


async def _handle(database: Database, timer: Timer, tenant_id: uuid.UUID) -> bool:
    now = clock.now()
    try:
        async with tenancy.hot(database, tenant_id) as conn:
            ids = [row["id"] for row in await conn.fetch(_CLAIM, tenant_id, timer.kind, now, CLAIM)]
            if ids:
                await timer.on_due(conn, tenant_id, ids, now)
            faults.hit("timer.before_commit")
    except Exception as error:
        if is_transient(error):
            raise
        # Nothing is dropped: the rows stay and come again, later each time, up to five minutes.
        _log.exception("timer failed", extra={"kind": timer.kind})
        async with tenancy.hot(database, tenant_id) as conn:
            await conn.execute(_POSTPONE, tenant_id, timer.kind, now)
        return False
    return bool(ids)


# --- jobs ---------------------------------------------------------------------------------------------------------

JOB_KIND = "job"
_JOB_LEASE = timedelta(minutes=2)
_JOB = "select kind, arguments, state from jobs where tenant_id = $1 and job_id = $2"
_PROGRESS = "update jobs set progress = $3, updated_at = $4 where tenant_id = $1 and job_id = $2 and state = 'running'"
_KEEP = "update timers set due_at = $4 where tenant_id = $1 and kind = $2 and id = $3"
_END = """update jobs set state = $3, result = $4::jsonb, problem = $5::jsonb, updated_at = $6,
progress = case when $3 = 'done' then 1 else progress end where tenant_id = $1 and job_id = $2"""
_children: set[asyncio.Task[int]] = set()


async def start_job(
    conn: asyncpg.Connection | AsyncConnection, tenant_id: uuid.UUID, kind: str, arguments: dict[str, Any]
) -> str:
    """Queue long work in the transaction of `conn`; return its job id. The service's `jobs.py` knows the kind."""
    job_id = clock.new_id("job")
    now = clock.now()
    await (await db.raw(conn)).execute(
        """insert into jobs (tenant_id, job_id, kind, arguments, state, created_at, updated_at)
           values ($1, $2, $3, $4::jsonb, 'queued', $5, $5)""",
        tenant_id,
        job_id,
        kind,
        json.dumps(arguments),
        now,
    )
    await schedule(conn, tenant_id, JOB_KIND, [job_id], now)
    return job_id


def job_timer(service: str) -> Timer:
    """Return the timer that runs queued jobs of a service, each as `python -m services.<service>.jobs TENANT JOB`.

    The child works at low priority; a job whose child died is started again when its lease ends.
    """

    async def on_due(conn: asyncpg.Connection, tenant_id: uuid.UUID, ids: Sequence[str], now: datetime) -> None:
        rows = await conn.fetch(
            """update jobs set state = 'running', updated_at = $3 where tenant_id = $1 and job_id = any($2)
               and state in ('queued', 'running') returning job_id""",
            tenant_id,
            list(ids),
            now,
        )
        for row in rows:
            command = [sys.executable, "-m", f"services.{service}.jobs", str(tenant_id), row["job_id"]]
            child = await asyncio.create_subprocess_exec("nice", "-n", "10", *command)
            _children.add(waiting := asyncio.create_task(child.wait()))
            waiting.add_done_callback(_children.discard)
        await schedule(conn, tenant_id, JOB_KIND, [row["job_id"] for row in rows], now + _JOB_LEASE)

    return Timer(JOB_KIND, on_due)


@dataclass(frozen=True)
class Job:
    """One run of a job in its child process."""

    db: Database
    tenant_id: uuid.UUID
    job_id: str
    kind: str
    arguments: dict[str, Any]

    async def report(self, progress: float) -> None:
        """Say how much is done, 0 to 1, and keep the lease."""
        async with tenancy.hot(self.db, self.tenant_id) as conn:
            await conn.execute(_PROGRESS, self.tenant_id, self.job_id, progress, clock.now())
            await conn.execute(_KEEP, self.tenant_id, JOB_KIND, self.job_id, clock.now() + _JOB_LEASE)


async def run_job(
    database: Database,
    tenant_id: uuid.UUID,
    job_id: str,
    kinds: Mapping[str, Callable[[Job], Awaitable[dict[str, Any]]]],
) -> None:
    """Do a job and store its result, or the class of what went wrong; a job that is done already stays as it is."""
    async with tenancy.hot(database, tenant_id) as conn:
        row = await conn.fetchrow(_JOB, tenant_id, job_id)
    if row is None or row["state"] != "running":
        return
    state, result, problem = "done", None, None
    try:
        job = Job(database, tenant_id, job_id, row["kind"], json.loads(row["arguments"]))
        result = json.dumps(await kinds[row["kind"]](job))
    except Exception as error:
        if is_transient(error):
            raise
        _log.exception("job failed", extra={"job_id": job_id, "kind": row["kind"]})
        state, problem = "failed", json.dumps({"code": "JOB_FAILED", "detail": type(error).__name__})
    async with tenancy.hot(database, tenant_id) as conn:
        await conn.execute(_END, tenant_id, job_id, state, result, problem, clock.now())
        await conn.execute(
            "delete from timers where tenant_id = $1 and kind = $2 and id = $3", tenant_id, JOB_KIND, job_id
        )
