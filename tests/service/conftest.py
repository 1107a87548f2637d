"""What the tests of single services share: the other services' part, played by real messages."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import nats
import pytest

from plaudit.event.v1.event_batch_pb2 import EventBatch

Publish = Callable[..., Awaitable[None]]


@pytest.fixture
async def publish(world: Any) -> AsyncIterator[Publish]:
    """Publish (subject, message) pairs, each as one message of the stream."""
    client = await nats.connect(world.stack.addresses.nats_url)
    stream = client.jetstream()

    async def send(*messages: tuple[str, EventBatch]) -> None:
        for subject, batch in messages:
            await stream.publish(subject, batch.SerializeToString(), stream="EVENTS")

    yield send
    await client.close()
