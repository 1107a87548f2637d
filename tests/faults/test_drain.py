"""SIGTERM under load loses nothing, and a client with the documented retry rule sees no error."""

import asyncio
import signal
from collections import Counter
from collections.abc import Callable

import pytest

from deploy.local.folder import SERVICES
from tests.faults.harness import Client, Stack, activity, response, until


@pytest.mark.timeout(120)
async def test_sigterm_to_each_service_under_load_costs_a_client_nothing(
    stack: Stack, partner: Callable[[str], Client]
) -> None:
    client = partner("drain")
    stopping = asyncio.Event()

    async def load(worker: int) -> None:
        number = worker
        while not stopping.is_set():
            await client.single("activities", activity(number))
            await client.single("responses", response(number))
            number += 8

    running = [asyncio.create_task(load(worker)) for worker in range(8)]
    for name in SERVICES:
        before = stack.pid(name)
        stack.send(name, signal.SIGTERM)
        await stack.replaced(name, before)
    stopping.set()
    await asyncio.gather(*running)
    assert client.errors == []
    assert not client.unknown

    async def counted() -> bool:
        rows = await stack.fetch(
            "scoring", "select source_id from signals where tenant_id = $1", client.tenant["tenant_id"]
        )
        return Counter(row["source_id"] for row in rows) == Counter(key for _, key in client.accepted)

    await until(counted, 60, "every answered fact counted once")
