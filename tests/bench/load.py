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
        f'{{"activity_id":"{plan["prefix"]}-{number}","customer_id":"{plan["prefix"]}-c-{customer}","type":"purchase.completed",'
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


class Paced:
    """A steady rate, and for a sample of events how long after the answer the score shows them."""

    def __init__(self, plan: dict[str, Any], tally: Tally, visible: list[float]) -> None:
        self.plan, self.tally, self.visible = plan, tally, visible
        self.pool: asyncio.Queue[Connection] = asyncio.Queue()
        self.reading = asyncio.Lock()
        self.begun = 0.0
        self.total = int(plan["rate"] * plan["seconds"])
        self.sampled = set(range(0, self.total, max(1, self.total // plan["samples"])))

    async def run(self) -> None:
        """Send everything, each at its time, late or not."""
        loop = asyncio.get_running_loop()
        for _ in range(self.plan["connections"]):
            self.pool.put_nowait((await loop.create_connection(Connection, "127.0.0.1", self.plan["port"]))[1])
        _, reader = await loop.create_connection(Connection, "127.0.0.1", self.plan["port"])
        self.begun = time.perf_counter()
        await asyncio.gather(*(self._one(number, reader) for number in range(self.total)))

    async def _one(self, number: int, reader: Connection) -> None:
        due = self.begun + number / self.plan["rate"]
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        conn = await self.pool.get()
        # A sampled customer has no other event, so that the first score there is shows this one.
        plan = {**self.plan, "customers": 1 << 60} if number in self.sampled else self.plan
        answer = await conn.send(request_for(plan, activity(plan, number)))
        self.pool.put_nowait(conn)
        self.tally.seconds.append(time.perf_counter() - due)
        status = answer[9:12].decode()
        self.tally.statuses[status] = self.tally.statuses.get(status, 0) + 1
        if number in self.sampled:
            await self._seen(f"{self.plan['prefix']}-c-{number}", time.perf_counter(), reader)

    async def _seen(self, customer: str, accepted: float, reader: Connection) -> None:
        head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {self.plan['key']}\r\n\r\n"
        get = f"GET /v1/customers/{customer}/score HTTP/1.1\r\n{head}".encode()
        async with self.reading:
            while time.perf_counter() < accepted + 10:
                answer = await reader.send(get)
                if answer[9:12] == b"200" and b'"value":null' not in answer:
                    break
                await asyncio.sleep(0.001)
        self.visible.append(time.perf_counter() - accepted)


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
        await Paced(plan, tally, visible).run()
    else:
        end = began + plan["seconds"]
        offset = random.randrange(1 << 40) * plan["connections"]
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
