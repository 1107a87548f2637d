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
        row = (consumer, subject, batch.message_id, event.event_id, event.SerializeToString(), error, attempts)
        await conn.execute(_PARK, uuid.UUID(batch.tenant_id), clock.new_id("dead"), *row, clock.now())


async def park_unreadable(conn: asyncpg.Connection, consumer: str, subject: str, stream_seq: int, body: bytes) -> None:
    """Store bytes that are no message at all, under no tenant, once for each place in the stream."""
    row = (consumer, subject, str(stream_seq), f"unreadable.{stream_seq}", body, "DecodeError", 1)
    await conn.execute(_PARK, uuid.UUID(NO_TENANT), clock.new_id("dead"), *row, clock.now())
