"""Delivery over a real broker and real databases: outbox, relay, inbox, dead letters, replay, redrive."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from nats.js.api import AckPolicy, ConsumerConfig

from deploy.local import deadletters
from libs.common import clock, events, ingest, tenancy
from libs.common.events import Batch, Handler
from libs.common.events import broker as brokers
from plaudit.event.v1.event_batch_pb2 import EventBatch
from plaudit.feedback.v1.feedback_events_pb2 import MentionRecorded

AT = clock.stamp(datetime(2026, 3, 1, 12, tzinfo=UTC))
SUBJECT = MentionRecorded.DESCRIPTOR.full_name


@dataclass
class Folded:
    """What a test's consumer did: how often each mention took effect, and what it refuses to handle."""

    poison: set[str] = field(default_factory=set)

    async def on_mention_recorded(self, conn: asyncpg.Connection, batch: Batch[MentionRecorded]) -> None:
        """Count each mention once, by the ledger's own key."""
        ids = [event.payload.mention_id for event in batch.events]
        if self.poison & set(ids):
            message = "poison"
            raise ValueError(message)
        await ingest.claim(conn, batch.tenant_id, "test", ids)


@pytest.fixture
async def deps(world: Any) -> AsyncIterator[Any]:
    """The pools and the broker connection of a running service, whose relay and database the tests share."""
    return (await world.service("referral")).deps


@pytest.fixture
async def consuming(world: Any, deps: Any) -> AsyncIterator[Callable[..., Any]]:
    """Run a consumer of mentions on a durable of its own for the length of a block."""

    @asynccontextmanager
    async def run(folded: Folded, name: str | None = None) -> AsyncIterator[str]:
        durable = name or f"test-{uuid.uuid4()}"
        js = await deps.broker.jetstream()
        await js.add_consumer(
            brokers.STREAM,
            ConsumerConfig(durable_name=durable, ack_policy=AckPolicy.EXPLICIT, ack_wait=5, filter_subjects=[SUBJECT]),
        )
        handlers = [Handler(MentionRecorded, folded.on_mention_recorded)]
        task = asyncio.create_task(events.consume(deps.db, deps.broker, durable, handlers))
        try:
            yield durable
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await js.delete_consumer(brokers.STREAM, durable)

    return run


def mentions(*ids: str) -> list[MentionRecorded]:
    """Make events of mentions with these ids."""
    return [MentionRecorded(mention_id=mention_id) for mention_id in ids]


async def emit(deps: Any, tenant: uuid.UUID, payloads: Sequence[MentionRecorded]) -> None:
    """Emit in a transaction of its own."""
    async with tenancy.hot(deps.db, tenant) as conn:
        await events.emit(conn, tenant, payloads)


async def counted(deps: Any, tenant: uuid.UUID) -> set[str]:
    """Return the mentions that took effect."""
    async with tenancy.hot(deps.db, tenant) as conn:
        rows = await conn.fetch("select id from seen where tenant_id = $1 and kind = 'test'", tenant)
    return {row["id"] for row in rows}


async def test_emitted_event_takes_effect_in_another_process_part(
    deps: Any, consuming: Any, tenant: uuid.UUID, eventually: Any
) -> None:
    async with consuming(Folded()):
        await emit(deps, tenant, mentions("a", "b"))
        assert await eventually(lambda: _equals(counted(deps, tenant), {"a", "b"}))


async def test_event_of_a_transaction_that_failed_is_never_sent(
    deps: Any, consuming: Any, tenant: uuid.UUID, eventually: Any
) -> None:
    async with consuming(Folded()):
        with pytest.raises(ZeroDivisionError):
            async with tenancy.hot(deps.db, tenant) as conn:
                await events.emit(conn, tenant, mentions("lost"))
                raise ZeroDivisionError
        await emit(deps, tenant, mentions("kept"))
        assert await eventually(lambda: _equals(counted(deps, tenant), {"kept"}))


async def test_poison_alone_is_parked_and_the_rest_takes_effect(
    deps: Any, consuming: Any, tenant: uuid.UUID, eventually: Any
) -> None:
    async with consuming(Folded(poison={"bad"})) as durable:
        await emit(deps, tenant, mentions("a", "bad", "b", "c"))
        await emit(deps, tenant, mentions("d"))
        assert await eventually(lambda: _equals(counted(deps, tenant), {"a", "b", "c", "d"}), 30)
        async with tenancy.hot(deps.db, tenant) as conn:
            parked = await conn.fetch(
                "select * from dead_letter where tenant_id = $1 and consumer = $2", tenant, durable
            )
        assert [(row["error"], row["attempts"]) for row in parked] == [("ValueError", 5)]


async def test_redriven_dead_letter_takes_effect_once(
    world: Any, deps: Any, consuming: Any, tenant: uuid.UUID, eventually: Any
) -> None:
    folded = Folded(poison={"bad"})
    async with consuming(folded):
        await emit(deps, tenant, mentions("bad", "good"))
        assert await eventually(lambda: _equals(counted(deps, tenant), {"good"}), 30)
        folded.poison.clear()
        pump = world.dsn("referral", "pump")
        assert await deadletters.redrive(pump) >= 1
        assert await eventually(lambda: _equals(counted(deps, tenant), {"good", "bad"}))
        assert await deadletters.redrive(pump) == 0


async def test_bytes_that_are_no_message_are_parked(deps: Any, consuming: Any, eventually: Any) -> None:
    nobody = uuid.UUID(brokers.NO_TENANT)
    async with consuming(Folded()) as durable:
        js = await deps.broker.jetstream()
        await js.publish(SUBJECT, b"\xff\xff\xff")

        async def parked() -> bool:
            async with tenancy.hot(deps.db, nobody) as conn:
                return bool(await conn.fetchval("select count(*) from dead_letter where consumer = $1", durable))

        assert await eventually(parked)


async def test_replay_brings_everything_again_and_changes_nothing(
    world: Any, deps: Any, consuming: Any, tenant: uuid.UUID, eventually: Any
) -> None:
    await emit(deps, tenant, mentions("early"))
    await eventually(lambda: _equals(_unpublished(deps), 0))
    async with consuming(Folded()):
        assert await counted(deps, tenant) == set()
        await events.request_replay(world.stack.addresses.nats_url, datetime(1970, 1, 1, tzinfo=UTC))
        assert await eventually(lambda: _equals(counted(deps, tenant), {"early"}))


async def test_message_delivered_again_is_handled_once(
    deps: Any, consuming: Any, tenant: uuid.UUID, eventually: Any
) -> None:
    message_id, head = events.header(tenant)
    body = head + events.frame(mentions("twice")[0], "e1", AT, AT)
    async with consuming(Folded()) as durable:
        js = await deps.broker.jetstream()
        for attempt in range(3):
            await js.publish(SUBJECT, body, headers={"Nats-Msg-Id": f"{message_id}.{attempt}"})
        await emit(deps, tenant, mentions("after"))
        assert await eventually(lambda: _equals(counted(deps, tenant), {"twice", "after"}))
        async with tenancy.hot(deps.db, tenant) as conn:
            handled = await conn.fetchval(
                "select count(*) from inbox where consumer = $1 and message_id = $2", durable, message_id
            )
    assert handled == 1


def test_header_and_frames_end_to_end_are_one_message() -> None:
    tenant = uuid.uuid4()
    message_id, head = events.header(tenant)
    frames = [events.frame(item, f"e{n}", AT, AT) for n, item in enumerate(mentions("a" * 200, "b"))]
    batch = EventBatch.FromString(head + b"".join(frames))
    assert (batch.message_id, batch.tenant_id) == (message_id, str(tenant))
    assert [event.event_id for event in batch.events] == ["e0", "e1"]
    assert MentionRecorded.FromString(batch.events[0].payload).mention_id == "a" * 200


async def _equals(found: Any, wanted: Any) -> bool:
    return bool(await found == wanted)


async def _unpublished(deps: Any) -> int:
    async with tenancy.pumping(deps.db) as conn:
        return int(await conn.fetchval("select count(*) from outbox where published_at is null"))
