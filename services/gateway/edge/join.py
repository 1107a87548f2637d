"""Joins what arrives while a flush is in flight into the next one: the gateway's half of the hot path."""

import asyncio
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from libs.common import errors
from plaudit.common.v1.ingest_pb2 import ItemContext, ItemResult

Flush = Callable[[uuid.UUID, list[Any], list[ItemContext]], Awaitable[list[ItemResult]]]


@dataclass(slots=True)
class _Waiting:
    items: Sequence[Any]
    context: ItemContext
    size: int
    answer: asyncio.Future[list[ItemResult]]


@dataclass
class _Lane:
    """One tenant's queue of one stream."""

    queue: deque[_Waiting] = field(default_factory=deque)
    items: int = 0
    """Not answered yet."""
    waiting: int = 0
    """Of these, not in flight."""
    flights: int = 0


class Joiner:
    """Joins what arrives while a flush is in flight into the next one. No timer: nothing waits when idle.

    A tenant has one flush in flight, so that singles gather; flushes that are half full already go side by side.

    Args:
        flush: sends items (all of one tenant) to the service and returns their answers in order.
        max_items: items in one flush.
        max_bytes: bytes of items in one flush.
        max_queue: items that may wait for one tenant; more are refused with UNAVAILABLE / QUEUE_FULL.
        max_total: items that may wait in all.
        max_flights: full flushes of one tenant in flight.
        size: gives the bytes of an item.
    """

    def __init__(
        self,
        flush: Flush,
        *,
        max_items: int = 256,
        max_bytes: int = 200 * 1024,
        max_queue: int = 2048,
        max_total: int = 16384,
        max_flights: int = 3,
        size: Callable[[Any], int] = len,
    ) -> None:
        self._flush = flush
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._max_queue = max_queue
        self._max_total = max_total
        self._max_flights = max_flights
        self._size = size
        self._lanes: dict[uuid.UUID, _Lane] = {}
        self._total = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, tenant_id: uuid.UUID, items: Sequence[Any], context: ItemContext) -> list[ItemResult]:
        """Hand in the items of one request; return their answers, in order, once they are durable or refused.

        Raises:
            Unavailable: QUEUE_FULL, or what the service's absence caused; nothing is known to be stored then.
        """
        lane = self._lanes.get(tenant_id)
        if lane is None:
            lane = self._lanes[tenant_id] = _Lane()
        if lane.items + len(items) > self._max_queue or self._total + len(items) > self._max_total:
            raise errors.Unavailable("QUEUE_FULL", "too many items are waiting; send again later", retry_after="1")
        parts = []
        loop = asyncio.get_running_loop()
        for part, size in self._cut(items):
            waiting = _Waiting(part, context, size, loop.create_future())
            lane.queue.append(waiting)
            lane.items += len(part)
            lane.waiting += len(part)
            self._total += len(part)
            parts.append(waiting.answer)
        full = min(self._max_flights, lane.flights + 2 * lane.waiting // self._max_items)
        for _ in range(lane.flights, max(1, full)):
            lane.flights += 1
            task = asyncio.create_task(self._drain(tenant_id, lane))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if len(parts) == 1:
            return await parts[0]
        return [answer for part in await asyncio.gather(*parts) for answer in part]

    def _cut(self, items: Sequence[Any]) -> list[tuple[Sequence[Any], int]]:
        if len(items) == 1:
            return [(items, self._size(items[0]))]
        parts: list[tuple[list[Any], int]] = []
        part: list[Any] = []
        size = 0
        for item in items:
            bytes_of = self._size(item)
            if part and (len(part) >= self._max_items or size + bytes_of > self._max_bytes):
                parts.append((part, size))
                part, size = [], 0
            part.append(item)
            size += bytes_of
        parts.append((part, size))
        return list(parts)

    async def _drain(self, tenant_id: uuid.UUID, lane: _Lane) -> None:
        try:
            while lane.queue:
                batch = [lane.queue.popleft()]
                count, size = len(batch[0].items), batch[0].size
                while lane.queue:
                    following = lane.queue[0]
                    if count + len(following.items) > self._max_items or size + following.size > self._max_bytes:
                        break
                    batch.append(lane.queue.popleft())
                    count += len(following.items)
                    size += following.size
                lane.waiting -= count
                try:
                    await self._send(tenant_id, batch)
                finally:
                    lane.items -= count
                    self._total -= count
        finally:
            lane.flights -= 1
            if not lane.queue and not lane.flights:
                self._lanes.pop(tenant_id, None)

    async def _send(self, tenant_id: uuid.UUID, batch: list[_Waiting]) -> None:
        """Flush; one that found nobody is sent once more with the same tokens, one that fails as bad is halved."""
        items = [item for waiting in batch for item in waiting.items]
        contexts = (
            [waiting.context for waiting in batch for _ in waiting.items] if len(batch) > 1 else [batch[0].context]
        )
        try:
            try:
                answers = await self._flush(tenant_id, items, contexts)
            except errors.Unavailable:
                answers = await self._flush(tenant_id, items, contexts)
        except Exception as error:  # noqa: BLE001 - a bug fails its own requests, not the lane
            if len(batch) > 1 and not isinstance(error, errors.Unavailable):
                half = len(batch) // 2
                await self._send(tenant_id, batch[:half])
                await self._send(tenant_id, batch[half:])
                return
            self._fail(batch, error)
            return
        except BaseException:
            self._fail(batch, errors.Unavailable("SHUTTING_DOWN", "the gateway is going away; send again"))
            raise
        start = 0
        for waiting in batch:
            if not waiting.answer.done():
                waiting.answer.set_result(answers[start : start + len(waiting.items)])
            start += len(waiting.items)

    @staticmethod
    def _fail(batch: list[_Waiting], error: Exception) -> None:
        for waiting in batch:
            if not waiting.answer.done():
                waiting.answer.set_exception(error)
