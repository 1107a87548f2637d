"""Jobs over a real database, in real processes: progress, turns, crashes, bugs, and children that never outlive."""

import asyncio
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from deploy.local.process import started_at
from libs.common import clock, tenancy, timers
from plaudit.common.v1 import job_pb2 as pb
from services.scoring import store

CUSTOMERS = 3


@pytest.fixture
async def database(world: Any) -> Any:
    """The scoring service's pools, while it runs."""
    return (await world.service("scoring")).deps.db


@pytest.fixture
async def start(database: Any, tenant: uuid.UUID) -> Callable[..., Any]:
    """Queue a job; `waits` keeps the running service from starting it."""

    async def make(kind: str, *, waits: bool = False, **arguments: Any) -> str:
        async with tenancy.hot(database, tenant) as conn:
            job_id = await timers.start_job(conn, tenant, kind, arguments)
            if waits:
                await conn.execute("delete from timers where tenant_id = $1", tenant)
        return job_id

    return make


@pytest.fixture
async def find(database: Any, tenant: uuid.UUID) -> Callable[..., Any]:
    """Read a job; with a state, only once it is there."""

    async def get(job_id: str, state: int | None = None) -> Any:
        async with tenancy.hot(database, tenant) as conn:
            job = await timers.find_job(conn, tenant, job_id)
        return job if state in (None, job.state) else None

    return get


@pytest.fixture
async def customers(database: Any, tenant: uuid.UUID) -> None:
    """Customers of the test's tenant, without a score."""
    async with tenancy.hot(database, tenant) as conn:
        await store.add_stubs(conn, tenant, [f"c{number}" for number in range(CUSTOMERS)])


@pytest.fixture
def held(database: Any, tenant: uuid.UUID) -> Any:
    """Keep the tenant's scores to itself: a replay waits before its first customer."""

    @asynccontextmanager
    async def hold() -> AsyncIterator[None]:
        async with tenancy.hot(database, tenant) as conn:
            await store.lock_scores(conn, tenant)
            yield

    return hold


async def count(conn: asyncpg.Connection, tenant_id: uuid.UUID, so_far: dict[str, Any]) -> tuple[float, Any]:
    """Work in four steps, each of which says that it was done."""
    numbers = [*so_far.get("numbers", []), len(so_far.get("numbers", []))]
    return len(numbers) / 4, {"numbers": numbers}


def child_of(job_id: str) -> int:
    """Return the process that does a job, 0 for none."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if job_id.encode() in words:
            return int(path.parent.name)
    return 0


async def test_a_job_runs_in_a_process_of_its_own(
    start: Any, find: Any, customers: None, children: None, eventually: Any
) -> None:
    job_id = await start("replay")
    job = await eventually(lambda: find(job_id, pb.JOB_STATE_DONE))
    assert (job.progress, job.problem) == (1, "")
    assert job.result == b'{"changed": 0, "customers": 3}'


async def test_progress_is_seen_while_it_runs(start: Any, find: Any, database: Any, tenant: uuid.UUID) -> None:
    job_id = await start("count", waits=True)
    seen = [await find(job_id)]
    while await timers.step(database, tenant, job_id, {"count": count}):
        seen.append(await find(job_id))
    seen.append(await find(job_id))
    assert [job.progress for job in seen] == [0, 0.25, 0.5, 0.75, 1]
    states = [pb.JobState.Name(job.state).removeprefix("JOB_STATE_") for job in seen]
    assert states == ["QUEUED", "RUNNING", "RUNNING", "RUNNING", "DONE"]
    assert [job.HasField("result") for job in seen] == [False, False, False, False, True]


async def test_two_at_once_take_turns(start: Any, find: Any, database: Any, tenant: uuid.UUID) -> None:
    job_id = await start("count", waits=True)

    async def child() -> None:
        while await timers.step(database, tenant, job_id, {"count": count}):
            pass

    await asyncio.gather(child(), child(), child())
    assert (await find(job_id)).result == b'{"numbers": [0, 1, 2, 3]}'


async def test_a_killed_child_is_started_again_after_its_lease(
    start: Any, find: Any, held: Any, customers: None, children: None, eventually: Any, database: Any, tenant: uuid.UUID
) -> None:
    async def waiting() -> Any:
        return await conn.fetchval("select due_at from timers where tenant_id = $1 and kind = 'job'", tenant)

    async with held(), tenancy.hot(database, tenant) as conn:
        job_id = await start("replay")
        await eventually(lambda: find(job_id, pb.JOB_STATE_RUNNING))
        os.kill(child_of(job_id), signal.SIGKILL)
        assert timedelta(seconds=110) < await waiting() - clock.now() <= timedelta(minutes=2)
    async with tenancy.hot(database, tenant) as conn:
        await timers.schedule(conn, tenant, timers.JOB_KIND, [job_id], clock.now())
    job = await eventually(lambda: find(job_id, pb.JOB_STATE_DONE))
    assert job.result == b'{"changed": 0, "customers": 3}'


async def test_a_bug_ends_a_job_and_tells_no_text(start: Any, find: Any, database: Any, tenant: uuid.UUID) -> None:
    async def explode(*_: Any) -> Any:
        message = "Ann Smith"
        raise ValueError(message)

    job_id = await start("explode", waits=True)
    assert not await timers.step(database, tenant, job_id, {"explode": explode})
    assert await find(job_id) == pb.Job(job_id=job_id, state=pb.JOB_STATE_FAILED, problem="JOB_FAILED")
    async with tenancy.hot(database, tenant) as conn:
        assert "Ann" not in await conn.fetchval("select jobs::text from jobs where tenant_id = $1", tenant)


async def test_what_failed_or_is_done_is_not_done_again(
    start: Any, find: Any, database: Any, tenant: uuid.UUID
) -> None:
    job_id = await start("count", waits=True)
    assert not await timers.step(database, tenant, job_id, {})
    before = await find(job_id)
    assert not await timers.step(database, tenant, job_id, {"count": count})
    assert await find(job_id) == before


async def test_a_child_dies_with_the_service_that_started_it(
    start: Any, find: Any, held: Any, customers: None, children: None, eventually: Any, tenant: uuid.UUID
) -> None:
    job_id = await start("replay", waits=True)
    code = f"""import subprocess, sys
subprocess.run([sys.executable, "-m", "services.scoring.jobs", "{tenant}", "{job_id}"])"""

    async def gone() -> bool:
        return not started_at(child)

    async with held():
        parent = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
        await eventually(lambda: find(job_id, pb.JOB_STATE_RUNNING))
        child = next(pid for pid in children_of(parent.pid))
        parent.kill()
        await parent.wait()
        assert await eventually(gone)
    assert (await find(job_id)).state == pb.JOB_STATE_RUNNING


def children_of(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_a_child_whose_service_is_gone_does_nothing(
    start: Any, find: Any, customers: None, children: None, tenant: uuid.UUID
) -> None:
    job_id = await start("replay", waits=True)
    command = (sys.executable, "-m", "services.scoring.jobs", str(tenant), job_id)
    child = await asyncio.create_subprocess_exec(*command, env={**os.environ, "PARENT": "1"})
    assert await child.wait() == 0
    assert (await find(job_id)).state == pb.JOB_STATE_QUEUED
