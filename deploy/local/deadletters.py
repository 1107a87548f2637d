"""Sends dead letters again: an operator's tool, after the cause is mended."""

import asyncpg

from libs.common import clock
from libs.common.events.broker import NO_TENANT
from plaudit.event.v1.event_batch_pb2 import Event, EventBatch

_SEND = "insert into outbox (tenant_id, message_id, subject, payload, created_at) values ($1, $2, $3, $4, $5)"


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
