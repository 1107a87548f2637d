"""The broker's disk can be lost: what the outboxes hold comes again, and the scores are those of an undisturbed run."""

import signal
from collections.abc import Callable
from typing import Any

import pytest

from deploy.local import nats
from deploy.local.folder import read_state
from libs.common.events.broker import STREAM, Broker
from tests.faults.harness import Client, Stack, activity, response, until

AS_OF = "2026-11-01T00:00:00Z"
CUSTOMERS = 40


async def _scores(client: Client) -> dict[str, Any]:
    """Return every customer's score, without what names the moment of reading."""
    found = {}
    for number in range(CUSTOMERS):
        answer = await client.request("GET", f"/v1/customers/cust-{number}/score", params={"as_of": AS_OF})
        assert answer is not None
        found[f"cust-{number}"] = answer.json() if answer.status_code == 200 else None
    return found


async def _complete(client: Client, stack: Stack, wanted: int) -> bool:
    rows = await stack.fetch("scoring", "select 1 from signals where tenant_id = $1", client.tenant["tenant_id"])
    return len(rows) == wanted


async def _asks_nothing(stack: Stack) -> bool:
    broker = Broker(read_state(stack.folder)["nats_url"], "test")
    try:
        js = await broker.jetstream()
        return not (await js.consumer_info(STREAM, "scoring-streams")).num_waiting
    finally:
        await broker.close()


@pytest.mark.timeout(120)
async def test_scores_after_the_broker_lost_its_disk_equal_an_undisturbed_run(
    stack: Stack, partner: Callable[[str], Client]
) -> None:
    activities = [activity(number, CUSTOMERS) for number in range(400)]
    responses = [response(number, CUSTOMERS) for number in range(400)]
    calm, lossy = partner("calm"), partner("lossy")
    await calm.batch("activities", activities)
    await calm.batch("responses", responses)
    await until(lambda: _complete(calm, stack, 800), 30, "undisturbed run complete")

    stack.send("scoring", signal.SIGSTOP)
    # What it had asked for before would still be given to it, and wait in its socket through the loss.
    await until(lambda: _asks_nothing(stack), 20, "requests of the stopped consumer expired")
    await lossy.batch("activities", activities)
    await lossy.batch("responses", responses)
    await stack.quiet(beside="scoring")
    broker = stack.pid("nats")
    stack.send("nats", signal.SIGKILL)
    nats.wipe(stack.folder)
    stack.send("scoring", signal.SIGCONT)
    await stack.replaced("nats", broker)
    await until(lambda: _complete(lossy, stack, 800), 60, "replayed run complete")
    assert await _scores(lossy) == await _scores(calm)
    assert lossy.errors == []
