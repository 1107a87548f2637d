"""Due work over a real database: claimed once, kept on failure, at the clock's time."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from libs.common import clock, ingest, tenancy, timers


@pytest.fixture
async def deps(world: Any) -> Any:
    """The pools of a running service."""
    return (await world.service("referral")).deps


@asynccontextmanager
async def running(deps: Any, on_due: Callable[..., Any], kind: str, at_once: int = 500) -> AsyncIterator[None]:
    """Run the timer loop with one kind for the length of a block."""
    task = asyncio.create_task(timers.run(deps.db, [timers.Timer(kind, on_due, at_once)]))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _schedule(deps: Any, tenant: uuid.UUID, kind: str, ids: list[str], due_at: datetime) -> None:
    async with tenancy.hot(deps.db, tenant) as conn:
        await timers.schedule(conn, tenant, kind, ids, due_at)


async def _done(deps: Any, tenant: uuid.UUID) -> set[str]:
    async with tenancy.hot(deps.db, tenant) as conn:
        return {row["id"] for row in await conn.fetch("select id from seen where tenant_id = $1", tenant)}


async def _waiting(deps: Any, tenant: uuid.UUID) -> list[asyncpg.Record]:
    async with tenancy.hot(deps.db, tenant) as conn:
        return list(await conn.fetch("select id, due_at, attempts from timers where tenant_id = $1", tenant))


async def test_due_rows_are_handled_and_later_ones_wait(deps: Any, tenant: uuid.UUID, eventually: Any) -> None:
    kind = f"kind-{tenant}"

    async def on_due(conn: asyncpg.Connection, tenant_id: uuid.UUID, ids: Sequence[str], now: datetime) -> None:
        await ingest.claim(conn, tenant_id, "test", ids)

    await _schedule(deps, tenant, kind, ["a", "b"], clock.now())
    await _schedule(deps, tenant, kind, ["later"], clock.now() + timedelta(days=1))
    async with running(deps, on_due, kind):
        assert await eventually(lambda: _is(_done(deps, tenant), {"a", "b"}))
    assert [row["id"] for row in await _waiting(deps, tenant)] == ["later"]


async def test_work_that_fails_stays_due_and_waits_longer(deps: Any, tenant: uuid.UUID, eventually: Any) -> None:
    kind = f"kind-{tenant}"

    async def on_due(conn: asyncpg.Connection, tenant_id: uuid.UUID, ids: Sequence[str], now: datetime) -> None:
        await ingest.claim(conn, tenant_id, "test", ids)
        raise ValueError

    await _schedule(deps, tenant, kind, ["a"], clock.now())

    async def postponed() -> bool:
        return (await _waiting(deps, tenant))[0]["attempts"] == 1

    async with running(deps, on_due, kind):
        assert await eventually(postponed)
    assert await _done(deps, tenant) == set()
    assert (await _waiting(deps, tenant))[0]["due_at"] > clock.now() - timedelta(seconds=5)


async def test_nobody_waits_for_anothers_backlog(deps: Any, tenant: uuid.UUID, eventually: Any) -> None:
    kind, other = f"kind-{tenant}", uuid.uuid4()

    async def on_due(conn: asyncpg.Connection, tenant_id: uuid.UUID, ids: Sequence[str], now: datetime) -> None:
        await conn.execute("select pg_sleep(0.02)")
        await ingest.claim(conn, tenant_id, "test", ids)

    async def begun() -> bool:
        return bool(await _done(deps, tenant))

    await _schedule(deps, tenant, kind, [f"{number:03d}" for number in range(500)], clock.now())
    async with running(deps, on_due, kind, at_once=1):
        await eventually(begun)
        await _schedule(deps, other, kind, ["late"], clock.now())
        assert await eventually(lambda: _is(_done(deps, other), {"late"}))
    assert await _waiting(deps, tenant)


async def test_scheduling_again_keeps_the_earlier_time(deps: Any, tenant: uuid.UUID) -> None:
    kind = f"kind-{tenant}"
    soon, late = clock.now() + timedelta(days=1), clock.now() + timedelta(days=2)
    await _schedule(deps, tenant, kind, ["a"], late)
    await _schedule(deps, tenant, kind, ["a"], soon)
    await _schedule(deps, tenant, kind, ["a"], late)
    assert [row["due_at"] for row in await _waiting(deps, tenant)] == [soon]


async def _is(found: Any, wanted: Any) -> bool:
    return bool(await found == wanted)
