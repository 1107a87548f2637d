"""Writing the outbox: an event is a row in the transaction of the change that it tells of."""

import asyncio
import uuid
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

import asyncpg
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common import clock, db
from plaudit.event.v1.event_batch_pb2 import EventBatch

MAX_ITEMS = 500
"""Items in one message."""
MAX_BYTES = 200 * 1024
"""Bytes of items in one message, under the broker's limit of 256 KiB."""

_INSERT = """insert into outbox (tenant_id, message_id, subject, payload, created_at)
select $1, m, s, p, $5 from unnest($2::text[], $3::text[], $4::bytea[]) as t(m, s, p)"""


class Bell:
    """Wakes this process's relay; the relay looks by itself as well, so a missed ring costs a second at most."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Event] = set()

    def ring(self) -> None:
        """Say that a row was, or is about to be, committed."""
        for event in self._waiting:
            event.set()

    def listen(self) -> asyncio.Event:
        """Return an event that every ring sets until `leave`."""
        event = asyncio.Event()
        self._waiting.add(event)
        return event

    def leave(self, event: asyncio.Event) -> None:
        """Stop listening."""
        self._waiting.discard(event)


bell = Bell()


def header(tenant_id: uuid.UUID) -> tuple[str, bytes]:
    """Return a new message id and the bytes that come before the framed events of one message."""
    message_id = clock.new_uuid()
    return message_id, EventBatch(message_id=message_id, tenant_id=str(tenant_id)).SerializeToString()


def frame(
    payload: Message | bytes, event_id: str, occurred_at: Timestamp, recorded_at: Timestamp, traceparent: str = ""
) -> bytes:
    """Return one event as it stands inside a message: header and frames, put end to end, are an EventBatch.

    Protobuf reads concatenated fields as one message, so SQL can leave out the items that conflicted. Written by hand,
    for the many of the hot path.
    """
    content = payload if isinstance(payload, bytes) else payload.SerializeToString()
    at, recorded, name = occurred_at.SerializeToString(), recorded_at.SerializeToString(), event_id.encode()
    parts = [lead(1, len(name)), name, lead(2, len(at)), at, lead(3, len(recorded)), recorded]
    if trace := traceparent.encode():
        parts += (lead(4, len(trace)), trace)
    event = b"".join((*parts, lead(5, len(content)), content))
    return lead(EventBatch.EVENTS_FIELD_NUMBER, len(event)) + event


@lru_cache(maxsize=8192)
def lead(number: int, size: int) -> bytes:
    """Return the tag and length that stand before a field of bytes, texts and messages among them."""
    made = bytearray([number << 3 | 2])
    while size > 0x7F:
        made.append(size & 0x7F | 0x80)
        size >>= 7
    made.append(size)
    return bytes(made)


async def emit(
    conn: asyncpg.Connection | AsyncConnection,
    tenant_id: uuid.UUID,
    payloads: Sequence[Message],
    occurred_at: datetime | Sequence[datetime] | None = None,
    traceparent: str = "",
) -> None:
    """Add events to the outbox, in the transaction of `conn`.

    Args:
        conn: a connection in a transaction under the tenant.
        tenant_id: whose events these are.
        payloads: any mix of payload messages; each type becomes messages of its own.
        occurred_at: when it happened: one time for all, or one each; now by default.
        traceparent: W3C context of a sampled request.
    """
    now = clock.now()
    if occurred_at is None or isinstance(occurred_at, datetime):
        occurred_at = [occurred_at or now] * len(payloads)
    recorded_at = clock.stamp(now)
    prefix = f"evt_{clock.new_uuid().replace('-', '')}_"
    by_subject: dict[str, list[bytes]] = {}
    for number, (payload, at) in enumerate(zip(payloads, occurred_at, strict=True)):
        stamp = recorded_at if at is now else clock.stamp(at)
        framed = frame(payload, f"{prefix}{number:03d}", stamp, recorded_at, traceparent)
        by_subject.setdefault(payload.DESCRIPTOR.full_name, []).append(framed)
    ids, subjects, bodies = [], [], []
    for subject, frames in by_subject.items():
        for part in cut(frames):
            message_id, head = header(tenant_id)
            ids.append(message_id)
            subjects.append(subject)
            bodies.append(head + b"".join(part))
    if ids:
        await (await db.raw(conn)).execute(_INSERT, tenant_id, ids, subjects, bodies, now)
        bell.ring()


def cut(frames: Sequence[bytes]) -> list[list[bytes]]:
    """Split frames so that no message has more than `MAX_ITEMS` items or `MAX_BYTES` bytes."""
    parts: list[list[bytes]] = []
    size = MAX_BYTES
    for item in frames:
        if size + len(item) > MAX_BYTES or len(parts[-1]) >= MAX_ITEMS:
            parts.append([])
            size = 0
        parts[-1].append(item)
        size += len(item)
    return parts
