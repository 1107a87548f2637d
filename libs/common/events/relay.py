"""The relay: publishes committed outbox rows, for ever, at least once."""

import asyncio
import contextlib
import logging
import random
import time
from datetime import datetime, timedelta

import asyncpg
import nats.errors
from nats.js import JetStreamContext

from libs.common import clock, faults, tenancy
from libs.common.db import Database
from libs.common.errors import is_transient

from .broker import STREAM, Broker
from .emit import bell

BATCH = 128
_IDLE_SECONDS = (0.002, 0.004, 0.008, 0.016, 0.032, 0.25, 1.0)
_BUSY_SECONDS = (0.003, 0.05)
"""Between two looks under load as long as the last one took, within these: rows and messages come in bunches."""
REPLAYED = 5_000
"""Rows of one transaction of a replay, which stays far from every time limit however much there is."""
_log = logging.getLogger(__name__)

_SELECT = """select tenant_id, message_id, subject, payload, created_at, replays from outbox
where published_at is null order by created_at limit $1 for update skip locked"""
_MARK = """update outbox o set published_at = $1, stream_seq = t.seq
from unnest($2::uuid[], $3::text[], $4::timestamptz[], $5::bigint[]) as t(tenant_id, message_id, created_at, seq)
where o.tenant_id = t.tenant_id and o.message_id = t.message_id and o.created_at = t.created_at"""
_CUT = "select created_at from outbox where created_at > $1 order by created_at offset $2 limit 1"
# Rows in a relay's hands count too: it waits for their mark, which may be of a publication that nobody was there for.
_AGAIN = """update outbox set published_at = null, replays = replays + 1
where created_at > $1 and created_at <= coalesce($2::timestamptz, 'infinity')"""


async def relay(db: Database, broker: Broker) -> None:
    """Publish what is committed and unpublished; sleep until the bell rings or a second has passed; never give up."""
    rung = bell.listen()
    idle = 0
    wait = 0.05
    try:
        while True:
            rung.clear()
            began = time.monotonic()
            try:
                published = await _publish_some(db, await broker.jetstream())
            except Exception as error:
                if not isinstance(error, nats.errors.Error) and not is_transient(error):
                    raise
                # Full jitter, no end: the rows stay until the broker has them.
                _log.warning("relay waits", extra={"error": type(error).__name__})
                await asyncio.sleep(random.uniform(0, wait))  # noqa: S311
                wait = min(2.0, wait * 2)
                continue
            wait = 0.05
            if published:
                idle = 0
                if published < BATCH:
                    await asyncio.sleep(min(max(_BUSY_SECONDS[0], time.monotonic() - began), _BUSY_SECONDS[1]))
                continue
            # A ring may come before its row is visible: look again soon, then less and less often.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(rung.wait(), _IDLE_SECONDS[idle])
            idle = 0 if rung.is_set() and idle >= 4 else min(idle + 1, len(_IDLE_SECONDS) - 1)
    finally:
        bell.leave(rung)


async def _publish_some(db: Database, js: JetStreamContext) -> int:
    async with tenancy.pumping(db) as conn:
        rows = await conn.fetch(_SELECT, BATCH)
        if not rows:
            return 0
        faults.hit("relay.after_select")
        answers = await asyncio.gather(*(_publish(js, row) for row in rows), return_exceptions=True)
        faults.hit("relay.after_publish_before_mark")
        done = [(row, seq) for row, seq in zip(rows, answers, strict=True) if isinstance(seq, int)]
        if done:
            await conn.execute(
                _MARK,
                clock.now(),
                [row["tenant_id"] for row, _ in done],
                [row["message_id"] for row, _ in done],
                [row["created_at"] for row, _ in done],
                [seq for _, seq in done],
            )
            faults.hit("relay.after_mark_before_commit")
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return len(done)


async def _publish(js: JetStreamContext, row: asyncpg.Record) -> int:
    # The broker's dedupe window would swallow a replay under the old id.
    suffix = f".r{row['replays']}" if row["replays"] else ""
    ack = await js.publish(
        row["subject"], row["payload"], headers={"Nats-Msg-Id": row["message_id"] + suffix}, stream=STREAM
    )
    return int(ack.seq)


async def replay(db: Database, since: datetime, held: asyncpg.Connection) -> None:
    """Mark what was recorded since a time as unpublished: the relay sends it again, and inboxes drop what they have.

    It goes by steps, and each time shows that the caller's own transaction is alive, which would be ended as idle else.
    """
    after: datetime | None = since - timedelta(microseconds=1)
    while after:
        async with tenancy.pumping(db) as conn:
            until = await conn.fetchval(_CUT, after, REPLAYED)
            await conn.execute(_AGAIN, after, until)
        bell.ring()
        await held.execute("select 1")
        after = until
