"""What is kept and told again: replays beside relays at work, rows past their time, subjects that are new."""

import asyncio
import importlib
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from google.protobuf.message import DecodeError

from libs.common import events, server, tenancy
from libs.common.db import Database
from libs.common.events import Batch, Broker, Handler
from libs.common.events import broker as brokers
from plaudit.feedback.v1.feedback_events_pb2 import MentionRecorded, ResponseRecorded

# The package has a function of that name.
relays: Any = importlib.import_module("libs.common.events.relay")
LONG_AGO = datetime(2001, 5, 5, 12, tzinfo=UTC)
SUBJECT = MentionRecorded.DESCRIPTOR.full_name
_INSERT = """insert into outbox (tenant_id, message_id, subject, payload, created_at, published_at)
values ($1, $2, $3, '', $4, $5)"""


@pytest.fixture
async def deps(world: Any) -> Any:
    """The pools of a running service, whose relay works beside the tests."""
    return (await world.service("referral")).deps


@pytest.fixture
async def pump(world: Any, deps: Any) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the pump role."""
    conn = await world.connect("referral", role="pump")
    yield conn
    await conn.close()


async def _replayed(deps: Any, tenant: uuid.UUID) -> list[int]:
    async with tenancy.pumping(deps.db) as conn:
        rows = await conn.fetch("select replays from outbox where tenant_id = $1 order by message_id", tenant)
    return [row["replays"] for row in rows]


async def _replay(deps: Any, since: datetime) -> None:
    async with tenancy.hot(deps.db, uuid.UUID(brokers.NO_TENANT)) as held:
        await relays.replay(deps.db, since, held)


async def test_a_replay_goes_by_steps_to_the_end(
    deps: Any, pump: asyncpg.Connection, tenant: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relays, "REPLAYED", 2)
    for number in range(7):
        # Pairs of the same moment: no step may end between them.
        at = LONG_AGO.replace(second=number // 2)
        await pump.execute(_INSERT, tenant, f"m{number}", SUBJECT, at, at)
    await _replay(deps, LONG_AGO)
    assert len(set(await _replayed(deps, tenant))) == 1
    assert min(await _replayed(deps, tenant)) > 0


async def test_a_replay_begins_at_its_time(deps: Any, pump: asyncpg.Connection, tenant: uuid.UUID) -> None:
    for number in range(3):
        at = LONG_AGO.replace(second=number)
        await pump.execute(_INSERT, tenant, f"m{number}", SUBJECT, at, at)
    before = await _replayed(deps, tenant)
    await _replay(deps, LONG_AGO.replace(second=1))
    assert [n - m for n, m in zip(await _replayed(deps, tenant), before, strict=True)] == [0, 1, 1]


async def test_a_replay_waits_for_what_a_relay_is_about_to_mark(
    deps: Any, pump: asyncpg.Connection, tenant: uuid.UUID, eventually: Any
) -> None:
    async def waits() -> bool:
        return bool(await pump.fetchval("select count(*) from pg_locks where not granted"))

    async with pump.transaction():
        await pump.execute(_INSERT, tenant, "m1", SUBJECT, LONG_AGO, None)
    running: asyncio.Task[None] | None = None
    async with pump.transaction():
        await pump.execute("update outbox set published_at = $2 where tenant_id = $1", tenant, LONG_AGO)
        running = asyncio.create_task(_replay(deps, LONG_AGO))
        await eventually(waits)
    await running
    assert await _replayed(deps, tenant) == [1]


async def test_what_is_not_published_outlives_its_retention(deps: Any, pump: asyncpg.Connection) -> None:
    then, tenant = LONG_AGO.replace(year=2002), uuid.uuid4()
    partitions = "select count(*) from pg_class where relname ~ '^outbox_p2002[0-9]+$'"
    await pump.execute("select ensure_partitions('outbox', 'day', $1)", then)
    # No stream takes this subject.
    await pump.execute(_INSERT, tenant, "m1", "elsewhere", then, None)
    await server.upkeep(deps.db, timedelta(days=14))
    kept = await pump.fetchval(partitions)
    await pump.execute("update outbox set published_at = $2 where tenant_id = $1", tenant, then)
    await server.upkeep(deps.db, timedelta(days=14))
    assert (kept, await pump.fetchval(partitions)) == (4, 0)


class _Away:
    """Stands where a pool is whose database has just gone: counts who asks."""

    def __init__(self) -> None:
        self.asked = 0

    def acquire(self, **_: Any) -> Any:
        self.asked += 1
        message = "connection is closed"
        raise asyncpg.InterfaceError(message)


class _Idle(Broker):
    async def jetstream(self) -> Any:
        return None


async def test_a_relay_outlives_a_connection_that_was_cut(eventually: Any) -> None:
    pool: Any = _Away()
    running = asyncio.create_task(relays.relay(Database(hot=pool, core=pool, pump=pool), _Idle("nats://nowhere", "x")))

    async def asked_again() -> bool:
        return bool(pool.asked > 2) or running.done()

    await eventually(asked_again)
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def _nothing(conn: asyncpg.Connection, batch: Batch[Any]) -> None:
    """Take no notice."""


async def test_a_durable_that_is_to_have_more_asks_for_a_replay(world: Any, deps: Any) -> None:
    name = f"test-{uuid.uuid4().hex[:8]}"
    url = world.stack.addresses.nats_url
    one, other = Handler(MentionRecorded, _nothing, stream=True), Handler(ResponseRecorded, _nothing, stream=True)
    try:
        assert f"{name}-streams" in await events.ensure_stream(url, {name: [one]})
        assert await events.ensure_stream(url, {name: [one, other]}) == [f"{name}-streams"]
        assert await events.ensure_stream(url, {name: [one, other]}) == []
        assert await events.ensure_stream(url, {name: [one]}) == []
    finally:
        js = await deps.broker.jetstream()
        for durable in brokers.durables(name, [one]):
            await js.delete_consumer(brokers.STREAM, durable)


async def test_a_message_without_events_that_fails_ends_no_consumer(
    deps: Any, tenant: uuid.UUID, eventually: Any
) -> None:
    async def refuse(conn: asyncpg.Connection, batch: Batch[MentionRecorded]) -> None:
        raise DecodeError

    name, (_, empty) = f"test-{uuid.uuid4().hex[:8]}", events.header(tenant)
    js = await deps.broker.jetstream()
    handlers = [Handler(MentionRecorded, refuse)]
    await js.add_consumer(brokers.STREAM, brokers._consumer(name, [SUBJECT], 1))
    running = asyncio.create_task(events.consume(deps.db, deps.broker, name, handlers))

    async def handled() -> bool:
        async with tenancy.hot(deps.db, tenant) as conn:
            return running.done() or bool(await conn.fetchval("select count(*) from inbox where consumer = $1", name))

    try:
        await js.publish(SUBJECT, empty)
        await eventually(handled)
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await js.delete_consumer(brokers.STREAM, name)
