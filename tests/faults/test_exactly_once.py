"""What was answered 2xx is in the ledger exactly once, whatever dies; what was refused is not there at all."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable

import pytest

from tests.faults.harness import UNHAPPY, Client, Stack, activity, invalid, response, until

SERVICE_POINTS = ("svc.before_commit", "svc.after_commit_before_reply")
RELAY_POINTS = ("relay.after_select", "relay.after_publish_before_mark", "relay.after_mark_before_commit")
CONSUMER_POINTS = (
    "consumer.after_fetch",
    "consumer.after_inbox",
    "consumer.before_commit",
    "consumer.after_commit_before_ack",
    "consumer.after_ack",
)
DEATHS = {
    "gateway": ("gateway.before_rpc", "gateway.after_rpc_before_reply", "consumer.before_commit"),
    "profile": (*SERVICE_POINTS, *RELAY_POINTS, "consumer.before_commit"),
    "feedback": (*SERVICE_POINTS, *RELAY_POINTS),
    "scoring": (*CONSUMER_POINTS, "timer.before_commit"),
}
PASSAGE = 2
TARGET = 20_000


class Load:
    """Mixed singles, batches and NDJSON with repeats and refusals, until it is told to stop."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.sent = 0
        self.stopping = False

    async def run(self) -> None:
        """Keep four senders of singles, one of batches and one of NDJSON going."""
        await asyncio.gather(
            *(self._singles() for _ in range(4)), self._many(self.client.batch), self._many(self.client.stream)
        )

    def _fact(self) -> tuple[str, dict[str, object]]:
        self.sent += 1
        if random.random() < 0.05:
            return "activities", invalid(self.sent)
        if random.random() < 0.5:
            return "activities", activity(self.sent)
        return "responses", response(self.sent)

    async def _singles(self) -> None:
        while not self.stopping:
            noun, item = self._fact()
            await self.client.single(noun, item)
            if random.random() < 0.1:
                await self.client.single(noun, item)

    async def _many(self, send: Callable[..., object]) -> None:
        while not self.stopping:
            facts = [self._fact() for _ in range(100)]
            for noun in ("activities", "responses"):
                items = [item for kind, item in facts if kind == noun]
                await send(noun, [*items, *items[:5]])  # type: ignore[misc]


@pytest.mark.timeout(220)
async def test_every_2xx_is_counted_exactly_once_whatever_dies(stack: Stack, partner: Callable[[str], Client]) -> None:
    client = partner("exactly-once")
    load = Load(client)
    running = asyncio.create_task(load.run())
    await asyncio.gather(*(_die(stack, name) for name in DEATHS))
    for server in ("nats", "postgres", "referral"):
        await stack.kill(server)
    await until(lambda: _reached(load), 60, f"{TARGET} facts sent")
    load.stopping = True
    await running
    await stack.quiet()
    assert client.errors == []
    assert client.retries
    await _assert_counted_once(stack, client)


async def _die(stack: Stack, name: str) -> None:
    """Kill one service at each of its failpoints in turn, while the others die at theirs."""
    for point in DEATHS[name]:
        await stack.die_at(name, point, PASSAGE)


async def _reached(load: Load) -> bool:
    return load.sent >= TARGET


async def _assert_counted_once(stack: Stack, client: Client) -> None:
    tenant = client.tenant["tenant_id"]
    unknown = client.unknown - set(client.accepted)
    wanted = Counter(key for key in client.accepted)

    async def ledger() -> Counter[tuple[str, str]]:
        rows = await stack.fetch("scoring", "select source_kind, source_id from signals where tenant_id = $1", tenant)
        plural = {"activity": "activities", "response": "responses"}
        found = Counter((plural[row["source_kind"]], row["source_id"]) for row in rows)
        assert not [key for key, times in found.items() if times > 1]
        return Counter({key: times for key, times in found.items() if key not in unknown})

    async def complete() -> bool:
        return len(await ledger()) >= len(wanted)

    await until(complete, 60, "every accepted fact in the ledger")
    found = await ledger()
    assert found == wanted
    for service, noun, key in (("profile", "activities", "activity_id"), ("feedback", "responses", "response_id")):
        rows = await stack.fetch(service, f"select {key} from {noun} where tenant_id = $1", tenant)
        stored = Counter((noun, row[key]) for row in rows)
        assert {name: times for name, times in stored.items() if name not in unknown} == {
            name: 1 for name in wanted if name[0] == noun
        }
    assert not client.refused & set(wanted)
    await _assert_no_orphan(stack, client)


async def _assert_no_orphan(stack: Stack, client: Client) -> None:
    """Each unhappy answer has exactly one case or one suppression."""
    unhappy = Counter(key for (noun, key), item in client.accepted.items() if item.get("score") in UNHAPPY)
    rows = await stack.fetch(
        "feedback",
        "select id, case_id, reason from triggers where tenant_id = $1",
        client.tenant["tenant_id"],
    )
    lost_sight_of = {key for _, key in client.unknown - set(client.accepted)}
    assert Counter(row["id"] for row in rows if row["id"] not in lost_sight_of) == unhappy
    assert all((row["case_id"] is None) != (row["reason"] is None) for row in rows)
    opened = await stack.fetch("feedback", "select case_id from cases where tenant_id = $1", client.tenant["tenant_id"])
    assert {row["case_id"] for row in rows} - {None} == {row["case_id"] for row in opened}
