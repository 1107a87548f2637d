"""Work that waits for a time, and long work in a child process."""

import asyncio
import ctypes
import json
import logging
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from plaudit.common.v1.job_pb2 import Job

from . import clock, db, faults, telemetry, tenancy
from .db import Database
from .errors import NotFound, is_transient
from .settings import ServiceSettings

POLL_SECONDS = 0.25
"""How late a due row may be noticed when nothing else happens."""
_log = logging.getLogger(__name__)

_SCHEDULE = """insert into timers (tenant_id, kind, id, due_at)
select $1, $2, i, min(d) from unnest($3::text[], $4::timestamptz[]) as t(i, d) group by i order by i
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
    at_once: int = 500
    """Rows of one tenant in one transaction: a short one lets calls and consumers pass."""


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
        await (await db.raw(conn)).execute(_SCHEDULE, tenant_id, kind, ids, times)


async def run(database: Database, timers: Sequence[Timer]) -> None:
    """Handle due rows for ever: the pump finds (tenant, kind), the app role claims and acts in one transaction."""
    kinds, wait = {timer.kind: timer for timer in timers}, 0.05
    while True:
        try:
            rows = await database.pump.fetch(_FIND, clock.now())
            due = [(kinds[row["kind"]], row["tenant_id"], row["n"]) for row in rows if row["kind"] in kinds]
            until = time.monotonic() + 1  # then look anew: whoever became due waits for no one's backlog
            while due and time.monotonic() < until:
                for timer, tenant_id, _ in due:
                    began = time.monotonic()
                    await _handle(database, timer, tenant_id)
                    await asyncio.sleep(time.monotonic() - began)  # half the time at most: whoever waits goes first
                due = [(timer, tenant_id, n - timer.at_once) for timer, tenant_id, n in due if n > timer.at_once]
            wait = 0.05
            await asyncio.sleep(0 if due else POLL_SECONDS)
        except Exception as error:
            if not is_transient(error):
                raise
            _log.warning("timers wait", extra={"error": type(error).__name__})
            await asyncio.sleep(random.uniform(0.5, 1) * wait)  # noqa: S311
            wait = min(2.0, wait * 2)


async def _handle(database: Database, timer: Timer, tenant_id: uuid.UUID) -> None:
    now = clock.now()
    try:
        async with tenancy.hot(database, tenant_id) as conn:
            ids = [row["id"] for row in await conn.fetch(_CLAIM, tenant_id, timer.kind, now, timer.at_once)]
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


# --- jobs ---------------------------------------------------------------------------------------------------------

JOB_KIND = "job"
JOBS_AT_ONCE = 2
"""Children of one process; the jobs beyond them wait."""
_JOB_LEASE = timedelta(minutes=2)
_LIVE = "where tenant_id = $1 and job_id = $2 and state in ('queued', 'running')"
_QUEUE = """insert into jobs (tenant_id, job_id, kind, arguments, state, created_at, updated_at)
values ($1, $2, $3, $4::jsonb, 'queued', $5, $5)"""
_TAKE = f"select kind, coalesce(result, arguments) as so_far from jobs {_LIVE} for update"
_KEEP = f"""with leased as (update timers set due_at = $7 where tenant_id = $1 and kind = 'job' and id = $2)
update jobs set state = $3, progress = $4, result = $5::jsonb, updated_at = $6 {_LIVE}"""
_FAIL = f"update jobs set state = 'failed', problem = to_jsonb($3::text), updated_at = $4 {_LIVE}"
_FIND_JOB = """select job_id, 'JOB_STATE_' || upper(state) as state, progress,
convert_to(case state when 'done' then result::text end, 'UTF8') as result, problem #>> '{}' as problem
from jobs where tenant_id = $1 and job_id = $2"""
_children: list[subprocess.Popen[bytes]] = []

Step = Callable[[asyncpg.Connection, uuid.UUID, dict[str, Any]], Awaitable[tuple[float, dict[str, Any]]]]
"""Does the next part of a job: takes what the step before it returned (the first one: the arguments), and returns how
much is done, 0 to 1, and what the next one needs. At 1 the job is done and that is its result: ids and numbers only."""


async def start_job(
    conn: asyncpg.Connection | AsyncConnection, tenant_id: uuid.UUID, kind: str, arguments: dict[str, Any]
) -> str:
    """Queue long work in the transaction of `conn`; return its job id. The service's `jobs.py` knows the kind."""
    job_id, now = clock.new_id("job"), clock.now()
    await (await db.raw(conn)).execute(_QUEUE, tenant_id, job_id, kind, json.dumps(arguments), now)
    await schedule(conn, tenant_id, JOB_KIND, [job_id], now)
    return job_id


async def find_job(conn: asyncpg.Connection, tenant_id: uuid.UUID, job_id: str) -> Job:
    """Return a job of this service. NOT_FOUND / JOB_NOT_FOUND."""
    if (row := await conn.fetchrow(_FIND_JOB, tenant_id, job_id)) is None:
        raise NotFound("JOB_NOT_FOUND", "there is no such job")
    return Job(**row)


def job_timer(service: str) -> Timer:
    """Return the timer that runs jobs as `python -m services.<service>.jobs TENANT JOB`, after a lease again."""

    async def on_due(conn: asyncpg.Connection, tenant_id: uuid.UUID, ids: Sequence[str], now: datetime) -> None:
        _children[:] = [child for child in _children if child.poll() is None]
        for job_id in ids:
            if not await conn.fetchval(f"select true from jobs {_LIVE}", tenant_id, job_id):
                continue
            if room := len(_children) < JOBS_AT_ONCE:
                command = (sys.executable, "-m", f"services.{service}.jobs", str(tenant_id), job_id)
                _children.append(subprocess.Popen(command, env={**os.environ, "PARENT": str(os.getpid())}))  # noqa: ASYNC220
            await schedule(conn, tenant_id, JOB_KIND, [job_id], now + (_JOB_LEASE if room else timedelta(seconds=1)))

    return Timer(JOB_KIND, on_due)


def run_job(settings: ServiceSettings, kinds: Mapping[str, Step]) -> None:
    """Be the child: do one job at low priority, to its end or that of the service that started this process."""
    os.nice(10)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    telemetry.set_up(f"{type(settings).__module__.split('.')[1]}-job", settings.log_level)
    clock.use_file(settings.clock_file)
    tenant_id, job_id = uuid.UUID(sys.argv[1]), sys.argv[2]

    async def main() -> None:
        database = await db.connect(settings, "job")
        while os.environ.get("PARENT") in (None, str(os.getppid())) and await step(database, tenant_id, job_id, kinds):
            pass
        await database.close()

    asyncio.run(main())


async def step(database: Database, tenant_id: uuid.UUID, job_id: str, kinds: Mapping[str, Step]) -> bool:
    """Do the next part of a job in one transaction with its progress; two children take turns. Say whether to go on."""
    try:
        async with tenancy.hot(database, tenant_id) as conn:
            if (row := await conn.fetchrow(_TAKE, tenant_id, job_id)) is None:
                return False
            progress, so_far = await kinds[row["kind"]](conn, tenant_id, json.loads(row["so_far"]))
            state, now = "done" if progress >= 1 else "running", clock.now()
            await conn.execute(_KEEP, tenant_id, job_id, state, progress, json.dumps(so_far), now, now + _JOB_LEASE)
    except Exception as error:
        if is_transient(error):
            await asyncio.sleep(random.uniform(0.2, 2))  # noqa: S311
            return True
        _log.exception("job failed", extra={"job_id": job_id})
        async with tenancy.hot(database, tenant_id) as conn:
            await conn.execute(_FAIL, tenant_id, job_id, "JOB_FAILED", clock.now())
        return False
    return progress < 1
