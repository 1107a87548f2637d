"""The 360 view: blocks kept from events, in any order, and the stage of life worked out at reading."""

import random
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from libs.common import clock
from plaudit.feedback.v1.feedback_events_pb2 import CaseChanged, ResponseRecorded
from plaudit.feedback.v1.feedback_pb2 import (
    CASE_STATE_CLOSED,
    CASE_STATE_OPEN,
    CASE_STATE_REOPENED,
    CASE_STATE_SUPPRESSED,
    METRIC_CSAT,
    METRIC_NPS,
)
from plaudit.profile.v1.profile_pb2 import (
    LIFECYCLE_STAGE_ACTIVE,
    LIFECYCLE_STAGE_CHURNED,
    LIFECYCLE_STAGE_LAPSED,
    LIFECYCLE_STAGE_LEAD,
    LIFECYCLE_STAGE_NEW,
    LIFECYCLE_STAGE_QUIET,
)
from plaudit.scoring.v1.scoring_events_pb2 import ScoreChanged

from ..messages import message
from .conftest import activity

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def answer(response_id, score, at=NOON, metric=METRIC_NPS, customer_id="c-1"):
    return ResponseRecorded(
        response_id=response_id, customer_id=customer_id, metric=metric, score=score, occurred_at=at, received_at=at
    )


def case(case_id, state, version, opened_at=NOON, customer_id="c-1"):
    return CaseChanged(
        case_id=case_id,
        customer_id=customer_id,
        state=state,
        version=version,
        opened_at=opened_at,
        changed_at=NOON + timedelta(hours=version),
    )


def score(value, version, customer_id="c-1"):
    return ScoreChanged(
        customer_id=customer_id,
        value=value,
        satisfaction=1.5,
        loyalty=2,
        model_version="1",
        as_of=NOON + timedelta(hours=version),
        version=version,
    )


@pytest.fixture
def once(view, eventually):
    """Wait until a customer's view passes a check, and return it."""

    async def wait(check, customer_id="c-1"):
        async def look():
            try:
                found = await view(customer_id)
            except Exception:  # noqa: BLE001
                return None
            return found if check(found) else None

        return await eventually(look)

    return wait


async def test_a_fresh_customer_has_no_blocks(save, view):
    await save("c-1", name="Ada")
    found = await view("c-1")

    assert found.lifecycle.stage == LIFECYCLE_STAGE_LEAD
    assert not found.HasField("advocacy_score")
    assert not found.HasField("feedback")
    assert not found.open_cases.case_ids
    assert not found.open_cases.HasField("as_of")


async def test_the_latest_answer_shows_whatever_comes_first(tell, once):
    await tell(answer("r-2", 3, NOON + timedelta(hours=1)))
    await tell(
        answer("r-1", 9), answer("r-3", 3, NOON + timedelta(hours=1)), answer("r-0", None, NOON - timedelta(days=1))
    )
    found = (await once(lambda v: v.feedback.response_id == "r-3")).feedback

    assert (found.metric, found.score, found.nps_category) == ("nps", 3, "detractor")
    assert found.at.ToDatetime(UTC) == NOON + timedelta(hours=1)
    assert found.HasField("as_of")


async def test_the_category_is_of_the_latest_scored_nps_answer(tell, once):
    later, latest = NOON + timedelta(hours=1), NOON + timedelta(hours=2)
    await tell(answer("r-1", 0), answer("r-2", 5, later, METRIC_CSAT), answer("r-3", None, latest))
    found = (await once(lambda v: v.feedback.response_id == "r-3")).feedback

    assert not found.HasField("score")
    assert found.nps_category == "detractor"


async def test_an_answer_makes_a_stub(tell, once):
    await tell(answer("r-1", 0))
    found = await once(lambda v: v.feedback.response_id == "r-1")

    assert not found.customer.known
    assert found.feedback.HasField("score")
    assert found.feedback.score == 0


async def test_open_cases_are_those_not_closed_by_their_latest_version(tell, once, save):
    await save("c-1", name="Ada")
    await tell(
        case("case_3", CASE_STATE_CLOSED, 2, NOON + timedelta(hours=2)),
        case("case_2", CASE_STATE_OPEN, 1, NOON + timedelta(hours=1)),
        case("case_4", CASE_STATE_SUPPRESSED, 1),
        case("case_1", CASE_STATE_REOPENED, 3),
    )
    await tell(case("case_3", CASE_STATE_OPEN, 1, NOON + timedelta(hours=2)), case("case_1", CASE_STATE_CLOSED, 2))
    found = await once(lambda v: list(v.open_cases.case_ids) == ["case_1", "case_2"])

    assert found.open_cases.as_of.ToDatetime(UTC) == NOON + timedelta(hours=3)


async def test_the_score_is_of_its_latest_version(tell, once, save, call):
    await save("c-1", name="Ada")
    await save("c-2", name="Grace")
    await tell(score(61.5, 2), score(40, 1), score(0, 1, "c-2"))
    found = (await once(lambda v: v.HasField("advocacy_score"))).advocacy_score
    high = (await call("ListCustomers", min_score=61.5)).views
    low = (await call("ListCustomers", max_score=0)).views

    assert (found.value, found.satisfaction, found.loyalty, found.model_version) == (61.5, 1.5, 2, "1")
    assert [one.customer.customer_id for one in high] == ["c-1"]
    assert [one.customer.customer_id for one in low] == ["c-2"]


async def test_a_score_may_become_unknown(tell, once, save):
    await save("c-1", name="Ada")
    await tell(score(50, 1))
    await tell(score(None, 2))
    found = await once(lambda v: v.HasField("advocacy_score") and not v.advocacy_score.HasField("value"))

    assert found.advocacy_score.as_of.ToDatetime(UTC) == NOON + timedelta(hours=2)


@pytest.mark.parametrize(
    ("steps", "stage"),
    [
        ([("purchase.completed", 10)], LIFECYCLE_STAGE_NEW),
        ([("subscription.started", 80)], LIFECYCLE_STAGE_NEW),
        ([("purchase.completed", 200), ("usage.reported", 170)], LIFECYCLE_STAGE_ACTIVE),
        ([("service_visit.completed", 300), ("newsletter.opened", 1)], LIFECYCLE_STAGE_QUIET),
        ([("purchase.completed", 400)], LIFECYCLE_STAGE_LAPSED),
        ([("subscription.started", 400), ("subscription.cancelled", 5)], LIFECYCLE_STAGE_CHURNED),
        ([("subscription.cancelled", 100), ("purchase.completed", 99)], LIFECYCLE_STAGE_ACTIVE),
    ],
)
async def test_the_stage_follows_from_the_activities(record, once, steps, stage):
    now = clock.now()
    await record(
        *(
            activity(f"a-{n}", kind, now - timedelta(days=days), customer_id="c-1")
            for n, (kind, days) in enumerate(steps)
        )
    )
    found = await once(lambda v: v.lifecycle.stage == stage)

    assert found.lifecycle.as_of.ToDatetime(UTC) >= now


async def test_an_acquired_customer_is_no_lead(save):
    saved = await save("c-1", acquired_at=clock.now() - timedelta(days=100))

    assert saved.view.lifecycle.stage == LIFECYCLE_STAGE_ACTIVE


async def test_a_voided_purchase_counts_no_more(record, once, call):
    await record(activity("a-1", customer_id="c-1"), activity("a-2", "usage.reported", customer_id="c-1"))
    await once(lambda v: v.lifecycle.stage == LIFECYCLE_STAGE_NEW)
    await call("VoidActivity", activity_id="a-1", reason="entered twice")
    found = await once(lambda v: v.lifecycle.stage == LIFECYCLE_STAGE_LEAD)

    assert found.customer.customer_id == "c-1"


def history(seed):
    """Answers, cases and scores of a few customers."""
    chance = random.Random(seed)
    payloads = []
    for n in range(60):
        who = f"c-{n % 3}"
        at = NOON + timedelta(hours=chance.randrange(12))
        payloads += [
            answer(f"r-{n}", chance.choice([None, *range(11)]), at, chance.choice([METRIC_NPS, METRIC_CSAT]), who),
            case(
                f"case_{n % 9}", chance.choice([CASE_STATE_OPEN, CASE_STATE_CLOSED]), n // 9 + 1, NOON, f"c-{n % 9 % 3}"
            ),
            # Of others: where scoring runs as well, it tells of the scores that follow from the rest.
            score(chance.choice([None, n]), n // 3 + 1, f"s-{n % 3}"),
        ]
    return payloads


async def test_any_order_split_and_repetition_ends_in_the_same_state(publish, world, eventually):
    await world.service("profile")
    states = []
    for seed in range(3):
        tenant, chance = uuid.uuid4(), random.Random(seed)
        payloads = history(7)
        chance.shuffle(payloads)
        payloads += chance.sample(payloads, 40 * (seed > 0))
        messages, size = [], chance.choice([1, 5, 240])
        for kind in (ResponseRecorded, CaseChanged, ScoreChanged):
            own = [payload for payload in payloads if isinstance(payload, kind)]
            messages += [message(tenant, own[start : start + size]) for start in range(0, len(own), size)]
        chance.shuffle(messages)
        await publish(*messages, *(messages[:20] if seed else ()))
        conn = await world.connect("profile", tenant)

        ids = [batch.message_id for _, batch in messages]

        async def all_handled(conn=conn, ids=ids):
            return await conn.fetchval("select count(*) from inbox where message_id = any($1)", ids) == len(ids)

        await eventually(all_handled, 20)
        views = await conn.fetch(
            """select customer_id, response_id, response_metric, response_score, response_at, nps_id, nps_score, nps_at,
                      case when customer_id like 's-%' then (score_version, score_value, score_as_of) end
               from views order by 1"""
        )
        cases = await conn.fetch(
            "select case_id, customer_id, is_open, changed_at, version from customer_cases order by 1"
        )
        await conn.close()
        states.append(([tuple(row) for row in views], [tuple(row) for row in cases]))

    assert len(states[0][0]) == 6
    assert len(states[0][1]) == 9
    assert states[0] == states[1] == states[2]
