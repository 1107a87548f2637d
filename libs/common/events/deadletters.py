"""Dead letters: items that failed on a healthy database, kept until an operator sends them again."""

import uuid
from collections.abc import Sequence

import asyncpg

from libs.common import clock
from plaudit.event.v1.event_batch_pb2 import Event, EventBatch

from .broker import NO_TENANT

_PARK = """insert into dead_letter
    (tenant_id, dead_letter_id, consumer, subject, message_id, event_id, event, error, attempts, failed_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict (tenant_id, consumer, event_id) where redriven_at is null do nothing"""

_SEND = "insert into outbox (tenant_id, message_id, subject, payload, created_at) values ($1, $2, $3, $4, $5)"


async def park(
    conn: asyncpg.Connection,
    consumer: str,
    subject: str,
    batch: EventBatch,
    events: Sequence[tuple[Event, str]],
    attempts: int,
) -> None:
    """Store items that failed, one row each, with the class of the error: its text may quote the data."""
    for event, error in events:
        await conn.execute(
            _PARK,
            uuid.UUID(batch.tenant_id),
            clock.new_id("dead"),
            consumer,
            subject,
            batch.message_id,
            event.event_id,
            event.SerializeToString(),
            error,
            attempts,
            clock.now(),
        )


async def park_unreadable(conn: asyncpg.Connection, consumer: str, subject: str, stream_seq: int, body: bytes) -> None:
    """Store bytes that are no message at all, under no tenant, once for each place in the stream."""
    await conn.execute(
        _PARK,
        uuid.UUID(NO_TENANT),
        clock.new_id("dead"),
        consumer,
        subject,
        str(stream_seq),
        f"unreadable.{stream_seq}",
        body,
        "DecodeError",
        1,
        clock.now(),
    )


async def redrive(pump_dsn: str) -> int:
    """Send every parked item of one service again, once, each in a message of its own; return how many.

    All durables of the subject get it; those that had handled it drop it by their ledgers' keys.
    """
    conn = await asyncpg.connect(pump_dsn)
    try:
        async with conn.transaction():
            rows = await conn.fetch(
                """update dead_letter set redriven_at = $1 where redriven_at is null
                   returning tenant_id, subject, event""",
                clock.now(),
            )
            for row in rows:
                message_id = clock.new_uuid()
                batch = EventBatch(message_id=message_id, tenant_id=str(row["tenant_id"]))
                # What could not even be read as an event goes out as it came.
                body = row["event"]
                if str(row["tenant_id"]) != NO_TENANT:
                    batch.events.append(Event.FromString(row["event"]))
                    body = batch.SerializeToString()
                await conn.execute(_SEND, row["tenant_id"], message_id, row["subject"], body, clock.now())
    finally:
        await conn.close()
    return len(rows)
