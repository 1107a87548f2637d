"""The load: prepared requests over keep-alive connections, in a process of its own that says what it cost.

`python -m tests.bench.load` reads one JSON plan from standard input and writes one JSON result.
"""

import asyncio
import json
import random
import resource
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import uvloop


@dataclass
class Tally:
    """What one round saw."""

    seconds: list[float] = field(default_factory=list)
    """Latency of each request."""
    statuses: dict[str, int] = field(default_factory=dict)


class Connection(asyncio.Protocol):
    """One keep-alive connection: one request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._buffer = b""
        self._answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Complete the answer once its announced length is there."""
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._buffer[:head_end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) >= head_end + 4 + length and self._answer:
            answer, self._buffer = self._buffer, b""
            self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what waits."""
        if self._answer and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError())

    async def send(self, request: bytes) -> bytes:
        """Send one request and return its whole answer."""
        assert self.transport
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._answer


def request_for(plan: dict[str, Any], body: bytes) -> bytes:
    """Return the bytes of one POST."""
    key = f"Authorization: Bearer {plan['key']}\r\n" if plan.get("key") else ""
    head = (
        f"POST {plan['path']} HTTP/1.1\r\nHost: 127.0.0.1\r\n{key}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def activity(plan: dict[str, Any], number: int) -> bytes:
    """Return one activity as JSON text."""
    customer = number % plan["customers"]
    return (
        f'{{"activity_id":"{plan["prefix"]}-{number}","customer_id":"c-{customer}","type":"purchase.completed",'
        f'"occurred_at":"2026-06-01T12:00:00Z","channel":"web","value":12.5}}'
    ).encode()


def body_of(plan: dict[str, Any], number: int) -> bytes:
    """Return the body of one request: one activity, or a batch."""
    size = plan.get("batch", 0)
    if not size:
        return activity(plan, number)
    return b'{"items":[' + b",".join(activity(plan, number * size + i) for i in range(size)) + b"]}"


async def worker(plan: dict[str, Any], first: int, tally: Tally, end: float) -> None:
    """Send as fast as answers come until the end."""
    _, conn = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", plan["port"])
    number = first
    while (began := time.perf_counter()) < end:
        answer = await conn.send(request_for(plan, body_of(plan, number)))
        tally.seconds.append(time.perf_counter() - began)
        status = answer[9:12].decode()
        tally.statuses[status] = tally.statuses.get(status, 0) + 1
        number += plan["connections"]
    if conn.transport:
        conn.transport.close()


async def paced(plan: dict[str, Any], tally: Tally, visible: list[float]) -> None:
    """Send at a steady rate, and see for a sample how long after the answer the score shows the event."""
    loop = asyncio.get_running_loop()
    pool: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(plan["connections"]):
        pool.put_nowait((await loop.create_connection(Connection, "127.0.0.1", plan["port"]))[1])
    _, reader = await loop.create_connection(Connection, "127.0.0.1", plan["port"])
    reading = asyncio.Lock()
    begun = time.perf_counter()
    total = int(plan["rate"] * plan["seconds"])
    sampled = set(range(0, total, max(1, total // plan["samples"])))
    running: set[asyncio.Task[None]] = set()

    async def one(number: int) -> None:
        due = begun + number / plan["rate"]
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        conn = await pool.get()
        single = {**plan, "customers": 1 << 60} if number in sampled else plan
        answer = await conn.send(request_for(plan, activity(single, number)))
        pool.put_nowait(conn)
        tally.seconds.append(time.perf_counter() - due)
        status = answer[9:12].decode()
        tally.statuses[status] = tally.statuses.get(status, 0) + 1
        if number in sampled:
            await seen(number, time.perf_counter())

    async def seen(number: int, accepted: float) -> None:
        # A customer of its own, so that the first score there is shows this event.
        get = f"GET /v1/customers/c-{number}/score HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {plan['key']}\r\n\r\n"
        async with reading:
            while time.perf_counter() < accepted + 10:
                answer = await reader.send(get.encode())
                if answer[9:12] == b"200" and b'"value":null' not in answer.replace(b" ", b""):
                    break
                await asyncio.sleep(0.001)
        visible.append(time.perf_counter() - accepted)

    for number in range(total):
        task = asyncio.create_task(one(number))
        running.add(task)
        task.add_done_callback(running.discard)
    while running:
        await asyncio.wait(running)


def quantile(values: list[float], share: float) -> float:
    """Return the value below which a share of the values lies, in milliseconds."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000 if ordered else float("nan")


async def main() -> dict[str, Any]:
    """Run the plan."""
    plan = json.loads(sys.stdin.read())
    tally, visible = Tally(), []  # type: ignore[var-annotated]
    began = time.perf_counter()
    if plan.get("rate"):
        await paced(plan, tally, visible)
    else:
        end = began + plan["seconds"]
        offset = random.randrange(1 << 40) * plan["connections"]  # noqa: S311
        await asyncio.gather(*(worker(plan, offset + n, tally, end) for n in range(plan["connections"])))
    wall = time.perf_counter() - began
    usage = resource.getrusage(resource.RUSAGE_SELF)
    done = tally.statuses.get("201", 0) + tally.statuses.get("200", 0)
    return {
        "requests": len(tally.seconds),
        "per_second": done * max(1, plan.get("batch", 0)) / wall,
        "p50_ms": quantile(tally.seconds, 0.5),
        "p99_ms": quantile(tally.seconds, 0.99),
        "statuses": tally.statuses,
        "load_cpu_seconds": usage.ru_utime + usage.ru_stime,
        "wall_seconds": wall,
        "visible_p50_ms": quantile(visible, 0.5) if visible else None,
        "visible_p99_ms": quantile(visible, 0.99) if visible else None,
        "samples": len(visible),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(uvloop.run(main())))
