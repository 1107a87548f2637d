"""The connection to NATS, and the one step that makes the stream and its ten durables."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StoreCompression,
    StreamConfig,
)

from libs.common import clock
from plaudit.event.v1.event_batch_pb2 import Event, EventBatch, ReplayRequested

STREAM = "EVENTS"
SUBJECTS = "plaudit.>"
NO_TENANT = "00000000-0000-0000-0000-000000000000"
"""The tenant of messages that concern the system itself."""
ACK_WAIT_SECONDS = 5.0
MAX_ACK_PENDING = 1024
MAX_MESSAGE_BYTES = 256 * 1024
MAX_AGE_SECONDS = 24 * 3600.0
DEDUPE_SECONDS = 600.0

_log = logging.getLogger(__name__)


class Broker:
    """One connection that is tried for ever; loops wait for it and survive its loss."""

    def __init__(self, url: str, name: str, user: str = "", password: str = "") -> None:
        self._options: dict[str, Any] = {"servers": url.split(","), "name": name}
        if user:
            self._options |= {"user": user, "password": password}
        self._connecting: asyncio.Task[Client] | None = None
        self.closed = asyncio.Event()
        """Set when the client gave up for good, which ends the process."""

    def start(self) -> None:
        """Begin to connect in the background."""
        self._connecting = asyncio.create_task(self._connect())

    async def client(self) -> Client:
        """Return the client once it was connected for the first time."""
        if self._connecting is None:
            self.start()
        assert self._connecting is not None
        return await asyncio.shield(self._connecting)

    async def jetstream(self) -> JetStreamContext:
        """Return the JetStream context; a request in flight while the server dies costs two seconds."""
        return (await self.client()).jetstream(timeout=2)

    async def close(self) -> None:
        """Close without waiting for what the outbox keeps anyway."""
        if self._connecting is None:
            return
        # A handshake under way is let through: cut short, it would leave its socket to the garbage collector.
        if not (await asyncio.wait({self._connecting}, timeout=0.5))[0]:
            self._connecting.cancel()
        with contextlib.suppress(asyncio.CancelledError, nats.errors.Error, OSError):
            await (await self._connecting).close()

    async def _connect(self) -> Client:
        wait = 0.05
        while True:
            try:
                return await nats.connect(
                    **self._options,
                    connect_timeout=2,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=0.2,
                    ping_interval=10,
                    max_outstanding_pings=2,
                    error_cb=self._on_error,
                    closed_cb=self._on_closed,
                )
            except (OSError, nats.errors.Error) as error:
                _log.warning("broker away", extra={"error": type(error).__name__})
                await asyncio.sleep(wait * random.uniform(0.5, 1))  # noqa: S311
                wait = min(2.0, wait * 2)

    async def _on_error(self, error: Exception) -> None:
        _log.warning("broker", extra={"error": type(error).__name__})

    async def _on_closed(self) -> None:
        self.closed.set()


def durables(service: str, handlers: Sequence[Any]) -> dict[str, list[str]]:
    """Return a service's two durables with the subjects of each: the streams, and the rest."""
    streams = sorted(handler.subject for handler in handlers if handler.stream)
    rest = sorted(
        {handler.subject for handler in handlers if not handler.stream} | {ReplayRequested.DESCRIPTOR.full_name}
    )
    # A durable without subjects would be given everything, so it waits for one that nobody publishes.
    return {f"{service}-streams": streams or [f"plaudit.{service}.none"], f"{service}-rest": rest}


def stream_config(max_bytes: int, replicas: int) -> StreamConfig:
    """Return the stream's settings: kept while a durable wants it, never dropping the old for the new."""
    return StreamConfig(
        name=STREAM,
        subjects=[SUBJECTS],
        retention=RetentionPolicy.INTEREST,
        discard=DiscardPolicy.NEW,
        storage=StorageType.FILE,
        num_replicas=replicas,
        max_age=MAX_AGE_SECONDS,
        max_bytes=max_bytes,
        max_msg_size=MAX_MESSAGE_BYTES,
        duplicate_window=DEDUPE_SECONDS,
        compression=StoreCompression.S2,
        allow_rollup_hdrs=False,
    )


async def ensure_stream(
    url: str, services: Mapping[str, Sequence[Any]], *, max_bytes: int = 2_147_483_648, replicas: int = 1
) -> list[str]:
    """Make or update the stream and every service's durables; return what did not exist before.

    Where something had to be made, everybody is asked for a replay: the outboxes may hold what nobody has kept.
    """
    broker = Broker(url, "plaudit-setup")
    made: list[str] = []
    try:
        js = await broker.jetstream()
        try:
            await js.stream_info(STREAM)
            await js.update_stream(stream_config(max_bytes, replicas))
        except nats.js.errors.NotFoundError:
            await js.add_stream(stream_config(max_bytes, replicas))
            made.append(STREAM)
        wanted = [durable for service, handlers in services.items() for durable in durables(service, handlers).items()]
        for name, subjects in wanted:
            known: set[str | None] = set()
            with contextlib.suppress(nats.js.errors.NotFoundError):
                config = (await js.consumer_info(STREAM, name)).config
                known = {config.filter_subject, *(config.filter_subjects or ())}
            if not known.issuperset(subjects):
                made.append(name)
            await js.add_consumer(STREAM, _consumer(name, subjects, replicas))
        if made:
            # What was recorded while nobody kept it for them comes again; inboxes drop what has taken effect.
            await _publish_replay(js, datetime.fromtimestamp(0, clock.now().tzinfo))
    finally:
        await broker.close()
    return made


def _consumer(name: str, subjects: list[str], replicas: int) -> ConsumerConfig:
    return ConsumerConfig(
        durable_name=name,
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT_SECONDS,
        max_ack_pending=MAX_ACK_PENDING,
        max_deliver=-1,
        filter_subjects=subjects,
        num_replicas=replicas,
    )


async def request_replay(url: str, since: datetime) -> None:
    """Ask every service to publish again what it recorded since a time (inclusive, UTC)."""
    broker = Broker(url, "plaudit-replay")
    try:
        await _publish_replay(await broker.jetstream(), since)
    finally:
        await broker.close()


async def _publish_replay(js: JetStreamContext, since: datetime) -> None:
    now = clock.stamp(clock.now())
    request = ReplayRequested(since=clock.stamp(since))
    event = Event(event_id=clock.new_id("evt"), occurred_at=now, recorded_at=now, payload=request.SerializeToString())
    batch = EventBatch(message_id=clock.new_uuid(), tenant_id=NO_TENANT, events=[event])
    await js.publish(
        ReplayRequested.DESCRIPTOR.full_name,
        batch.SerializeToString(),
        headers={"Nats-Msg-Id": batch.message_id},
        stream=STREAM,
    )
