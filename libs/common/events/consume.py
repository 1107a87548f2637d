"""The consume loop: takes what is there, one transaction a tenant, effects once, poison alone in its row."""

import asyncio
import contextlib
import json
import logging
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

import asyncpg
import nats.errors
from google.protobuf.message import DecodeError, Message
from nats.aio.msg import Msg

from libs.common import clock, faults, tenancy
from libs.common.db import Database
from libs.common.errors import is_transient
from plaudit.event.v1.event_batch_pb2 import Event, EventBatch

from .broker import NO_TENANT, STREAM, Broker
from .deadletters import park, park_unreadable

MAX_TRIES = 5
"""How often an item may fail on a healthy database before it is parked."""
FETCH = 256
"""Messages asked for at once."""
_EXPIRES_SECONDS = 5.0
_HEARTBEAT_SECONDS = 2.0
_MOST_BUNCH_SECONDS = 0.05
_GROUP_ITEMS = 1000
_TENANTS_AT_ONCE = 3
_log = logging.getLogger(__name__)
P = TypeVar("P", bound=Message)

_INBOX = """insert into inbox (tenant_id, consumer, message_id, handled_at)
select $1, $2, m, $4 from unnest($3::text[]) as t(m) on conflict do nothing returning message_id"""


@dataclass(frozen=True, slots=True)
class Received(Generic[P]):
    """One event as a handler gets it."""

    event_id: str
    occurred_at: datetime
    recorded_at: datetime
    payload: P
    traceparent: str


@dataclass(frozen=True, slots=True)
class Batch(Generic[P]):
    """Events of one tenant and one payload type, in no order; none of them came in an earlier message."""

    tenant_id: uuid.UUID
    events: Sequence[Received[P]]


@dataclass(frozen=True)
class Handler(Generic[P]):
    """What a service does with one payload type.

    `handle` runs in a transaction under the batch's tenant, sorts its keys before it writes, and must end in the same
    state whatever the order, split or repetition of events: a ledger key, or last write wins by a version.
    """

    payload: type[P]
    handle: Callable[[asyncpg.Connection, Batch[P]], Awaitable[None]]
    stream: bool = False
    """True for the high-volume facts, which have a durable of their own."""

    @property
    def subject(self) -> str:
        """The payload's full proto name: there is no registry of subjects."""
        return str(self.payload.DESCRIPTOR.full_name)


@dataclass(slots=True)
class _Message:
    raw: Msg
    batch: EventBatch


@dataclass
class _Consumer:
    name: str
    db: Database
    handlers: dict[str, Handler[Any]]
    bunch_seconds: float
    tries: dict[str, int] = field(default_factory=dict)

    async def handle(self, raws: Sequence[Msg]) -> None:
        """Give every message its effect and acknowledge it, however long the database is away."""
        groups: dict[str, list[_Message]] = {}
        for raw in raws:
            try:
                batch = EventBatch.FromString(raw.data)
                uuid.UUID(batch.tenant_id)
            except (DecodeError, ValueError):
                await self._park_unreadable(raw)
                continue
            groups.setdefault(batch.tenant_id, []).append(_Message(raw, batch))
        limit = asyncio.Semaphore(_TENANTS_AT_ONCE)

        async def one(tenant: str, messages: list[_Message]) -> None:
            async with limit:
                for part in _parts(messages):
                    await self._until_done(uuid.UUID(tenant), part)

        alive = asyncio.create_task(_keep_alive(raws))
        try:
            async with asyncio.TaskGroup() as tasks:
                for tenant, messages in groups.items():
                    tasks.create_task(one(tenant, messages))
        finally:
            alive.cancel()

    async def _until_done(self, tenant_id: uuid.UUID, messages: list[_Message]) -> None:
        """Handle messages together, and one by one where that fails; while the database is away, only probe."""
        wait = 0.05
        while True:
            try:
                failure = await self._together(tenant_id, messages)
                if failure is None:
                    return None
                if len(messages) == 1:
                    return await self._alone(tenant_id, messages[0], failure)
            except Exception as error:
                if not is_transient(error):
                    raise
                _log.warning("consumer waits", extra={"consumer": self.name, "error": type(error).__name__})
                await asyncio.sleep(random.uniform(0.5, 1) * wait)  # noqa: S311
                wait = min(2.0, wait * 2)
                continue
            # Somewhere in here is poison: the good messages must not wait for it.
            for message in messages:
                await self._until_done(tenant_id, [message])
            return None

    async def _together(self, tenant_id: uuid.UUID, messages: list[_Message]) -> Exception | None:
        """Handle messages in one transaction and acknowledge them; return what failed on a healthy database."""
        try:
            async with tenancy.hot(self.db, tenant_id) as conn:
                fresh = await self._take(conn, tenant_id, messages)
                by_subject: dict[str, list[Received[Any]]] = {}
                for message in fresh:
                    handler = self.handlers[message.raw.subject]
                    by_subject.setdefault(handler.subject, []).extend(
                        _received(handler, e) for e in message.batch.events
                    )
                for subject, events in by_subject.items():
                    await self.handlers[subject].handle(conn, Batch(tenant_id, events))
                faults.hit("consumer.before_commit")
        except Exception as error:
            if is_transient(error):
                raise
            return error
        faults.hit("consumer.after_commit_before_ack")
        for message in messages:
            self.tries.pop(message.batch.message_id, None)
            await _ack(message.raw)
        faults.hit("consumer.after_ack")
        return None

    async def _take(self, conn: asyncpg.Connection, tenant_id: uuid.UUID, messages: list[_Message]) -> list[_Message]:
        ids = sorted({message.batch.message_id for message in messages})
        rows = await conn.fetch(_INBOX, tenant_id, self.name, ids, clock.now())
        faults.hit("consumer.after_inbox")
        new = {row["message_id"] for row in rows}
        fresh = []
        for message in messages:
            if message.batch.message_id in new:
                new.discard(message.batch.message_id)
                fresh.append(message)
        return fresh

    async def _alone(self, tenant_id: uuid.UUID, message: _Message, error: Exception) -> None:
        """Handle a message that failed: later while it has tries left, then item by item, parking what fails."""
        message_id = message.batch.message_id
        tries = self.tries[message_id] = self.tries.get(message_id, 0) + 1
        if tries < MAX_TRIES and not isinstance(error, DecodeError):
            delay = random.uniform(0.5, 1) * min(5.0, 0.2 * 2**tries)  # noqa: S311
            _log.warning(
                "event failed", extra={"consumer": self.name, "message_id": message_id, "error": type(error).__name__}
            )
            with contextlib.suppress(nats.errors.Error, OSError):
                await message.raw.nak(delay=delay)
            return
        async with tenancy.hot(self.db, tenant_id) as conn:
            if await self._take(conn, tenant_id, [message]):
                failed = await self._each(conn, tenant_id, message, list(message.batch.events))
                await park(conn, self.name, message.raw.subject, message.batch, failed, tries)
                _log.error(
                    "events parked", extra={"consumer": self.name, "message_id": message_id, "parked": len(failed)}
                )
        self.tries.pop(message_id, None)
        await _ack(message.raw)

    async def _each(
        self, conn: asyncpg.Connection, tenant_id: uuid.UUID, message: _Message, events: list[Event]
    ) -> list[tuple[Event, str]]:
        """Handle events in halves until the poison is alone; return it with the class of its error."""
        handler = self.handlers[message.raw.subject]
        await conn.execute("savepoint part")
        try:
            await handler.handle(conn, Batch(tenant_id, [_received(handler, event) for event in events]))
        except Exception as error:
            if is_transient(error):
                raise
            await conn.execute("rollback to savepoint part")
            if len(events) < 2:
                return [(event, type(error).__name__) for event in events]
            half = len(events) // 2
            first = await self._each(conn, tenant_id, message, events[:half])
            return first + await self._each(conn, tenant_id, message, events[half:])
        await conn.execute("release savepoint part")
        return []

    async def _park_unreadable(self, raw: Msg) -> None:
        """Park bytes that are no message under no tenant; a database that is away leaves it to the next delivery."""
        try:
            async with tenancy.hot(self.db, uuid.UUID(NO_TENANT)) as conn:
                await park_unreadable(conn, self.name, raw.subject, raw.metadata.sequence.stream, raw.data)
        except Exception as error:
            if not is_transient(error):
                raise
            return
        with contextlib.suppress(nats.errors.Error, OSError):
            await raw.term()


def _parts(messages: list[_Message]) -> list[list[_Message]]:
    parts: list[list[_Message]] = []
    size = _GROUP_ITEMS
    for message in messages:
        if size >= _GROUP_ITEMS:
            parts.append([])
            size = 0
        parts[-1].append(message)
        size += len(message.batch.events)
    return parts


def _received(handler: Handler[P], event: Event) -> Received[P]:
    return Received(
        event.event_id,
        clock.instant(event.occurred_at),
        clock.instant(event.recorded_at),
        handler.payload.FromString(event.payload),
        event.traceparent,
    )


async def _ack(raw: Msg) -> None:
    # An acknowledgement that is lost costs a delivery, which the inbox drops.
    with contextlib.suppress(nats.errors.Error, OSError):
        await raw.ack()


async def _keep_alive(raws: Sequence[Msg]) -> None:
    while True:
        await asyncio.sleep(_HEARTBEAT_SECONDS)
        for raw in raws:
            with contextlib.suppress(nats.errors.Error, OSError):
                await raw.in_progress()


async def consume(
    db: Database, broker: Broker, name: str, handlers: Sequence[Handler[Any]], bunch_seconds: float = 0.01
) -> None:
    """Pull from one durable for ever; `bunch_seconds` lets messages gather for one transaction under load."""
    consumer = _Consumer(name, db, {handler.subject: handler for handler in handlers}, bunch_seconds)
    client = await broker.client()
    queue: asyncio.Queue[Msg] = asyncio.Queue()
    inbox = client.new_inbox()
    subscription = await client.subscribe(inbox, cb=queue.put)
    try:
        misses = 0
        while True:
            got, healthy = await _pull(client, consumer, queue, inbox)
            misses = 0 if got or healthy else misses + 1
            if misses:
                if misses % 20 == 3:
                    _log.error("no such durable, or the broker is away: run the set-up step", extra={"consumer": name})
                await asyncio.sleep(min(2.0, 0.25 * misses) * random.uniform(0.5, 1))  # noqa: S311
    finally:
        with contextlib.suppress(nats.errors.Error, OSError):
            await subscription.unsubscribe()


async def _pull(client: Any, consumer: _Consumer, queue: asyncio.Queue[Msg], inbox: str) -> tuple[int, bool]:
    """Ask once and handle what comes until the request is used up or expires; return (messages, request was served)."""
    request = json.dumps({"batch": FETCH, "expires": int(_EXPIRES_SECONDS * 1e9)}).encode()
    try:
        await client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{consumer.name}", request, reply=inbox)
    except (nats.errors.Error, OSError):
        return 0, False
    got, handled_at, lasted = 0, 0.0, 0.0
    while got < FETCH:
        try:
            first = await asyncio.wait_for(queue.get(), _EXPIRES_SECONDS + 0.5)
        except TimeoutError:
            # Neither messages nor the end of the request: it was lost with the connection.
            return got, False
        if time.monotonic() - handled_at < consumer.bunch_seconds:
            # Under load one transaction for what arrives in a moment, not one for each message.
            await asyncio.sleep(max(consumer.bunch_seconds, min(lasted, _MOST_BUNCH_SECONDS)))
        arrived = [first, *(queue.get_nowait() for _ in range(queue.qsize()))]
        messages = [raw for raw in arrived if raw.subject in consumer.handlers and raw.reply]
        statuses = [raw.headers["Status"] for raw in arrived if raw.headers and "Status" in raw.headers]
        got += len(messages)
        if messages:
            faults.hit("consumer.after_fetch")
            began = time.monotonic()
            await consumer.handle(messages)
            handled_at = time.monotonic()
            lasted = handled_at - began
        if statuses:
            return got, all(status in {"408", "404"} for status in statuses)
    return got, True
