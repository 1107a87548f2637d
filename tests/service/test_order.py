"""Any order, repetition or split of the same messages, through the real consumers, ends in the same scores."""

import random
import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest

from plaudit.event.v1.event_batch_pb2 import EventBatch
from plaudit.profile.v1.profile_events_pb2 import ActivityVoided, CustomerChanged
from plaudit.scoring.v1 import scoring_service_pb2 as pb
from plaudit.scoring.v1 import scoring_service_pb2_grpc as rpc

from .messages import message
from .scoring.conftest import LONG_AGO, activity, response

AS_OF = LONG_AGO + timedelta(days=77)
CUSTOMERS = [f"c{number}" for number in range(12)]
KINDS = ["purchase.completed", "subscription.cancelled", "support.opened", "support.resolved", "x.else"]


def facts(rng: random.Random) -> dict[str, list[Any]]:
    """Return 300 facts of twelve customers by their type: answers, activities, some of them voided, and changes."""

    def when() -> datetime:
        return LONG_AGO + timedelta(minutes=rng.randrange(100 * 1440))

    answers = [response(f"r{n}", rng.choice(CUSTOMERS), rng.randrange(11), at=when()) for n in range(120)]
    activities = [activity(f"a{n}", rng.choice(CUSTOMERS), rng.choice(KINDS), at=when()) for n in range(120)]
    voids = [
        ActivityVoided(activity_id=fact.activity_id, customer_id=fact.customer_id, voided_at=LONG_AGO)
        for fact in rng.sample(activities, 20)
    ]
    changes = [
        CustomerChanged(customer_id=rng.choice(CUSTOMERS), version=n, known=True, locale=f"x-{n}") for n in range(1, 41)
    ]
    return {"answers": answers, "activities": activities, "voids": voids, "changes": changes}


def plainly(tenant_id: uuid.UUID, told: dict[str, list[Any]]) -> list[tuple[str, EventBatch]]:
    """Return one message a type, in the order in which things happened."""
    return [message(tenant_id, payloads) for payloads in told.values()]


def awry(tenant_id: uuid.UUID, told: dict[str, list[Any]], rng: random.Random) -> list[tuple[str, EventBatch]]:
    """Return the same facts shuffled, split anew, some in several messages, and some messages twice."""
    messages = []
    for payloads in told.values():
        mixed = [*payloads, *rng.sample(payloads, len(payloads) // 3)]
        rng.shuffle(mixed)
        while mixed:
            size = rng.randrange(1, 12)
            messages.append(message(tenant_id, mixed[:size]))
            del mixed[:size]
    messages += rng.sample(messages, len(messages) // 3)
    rng.shuffle(messages)
    return messages


async def state_of(world, scores, metadata, tenant_id) -> tuple[list[bytes], list[Any]]:
    """Return what a partner can see: every score in bytes, and what is known of every customer."""
    seen = []
    for customer_id in CUSTOMERS:
        request = pb.GetScoreRequest(customer_id=customer_id, as_of=AS_OF)
        answer = await scores.GetScore(request, metadata=metadata(tenant_id), timeout=5)
        seen.append(answer.score.SerializeToString(deterministic=True))
    conn = await world.connect("scoring", tenant_id)
    columns = "customer_id, version, known, locale"
    known = await conn.fetch(
        f"select {columns} from customers where tenant_id = $1 and version > 0 order by 1", tenant_id
    )
    await conn.close()
    return seen, [tuple(row) for row in known]


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_shuffled_repeated_and_split_messages_end_in_the_same_state(
    world, publish, channel, metadata, eventually, seed
):
    scores = rpc.ScoreServiceStub(await channel("scoring"))
    rng = random.Random(seed)
    told = facts(rng)
    plain, other = uuid.uuid4(), uuid.uuid4()
    straight, crooked = plainly(plain, told), awry(other, told, rng)
    await publish(*straight)
    # In waves: what came in an earlier transaction, and what comes twice in one, are told apart by different means.
    for wave in (crooked[0::3], crooked[1::3], crooked[2::3]):
        await publish(*wave)
        await eventually(lambda wave=wave: _handled(world, other, wave), 30)
    await eventually(lambda: _handled(world, plain, straight), 30)
    assert await state_of(world, scores, metadata, plain) == await state_of(world, scores, metadata, other)


async def _handled(world, tenant_id, messages) -> bool:
    """Say whether all of these messages have taken effect."""
    conn = await world.connect("scoring", tenant_id)
    rows = await conn.fetch("select message_id from inbox where tenant_id = $1", tenant_id)
    await conn.close()
    return {batch.message_id for _, batch in messages} <= {row["message_id"] for row in rows}
