"""What an unhappy answer causes: exactly one case or one logged suppression, in its own transaction."""

import asyncio
import uuid
from datetime import timedelta

import pytest

from libs.common import clock
from libs.common.errors import ServiceError
from plaudit.common.v1.ingest_pb2 import ITEM_STATUS_STORED
from plaudit.event.v1.event_batch_pb2 import EventBatch
from plaudit.feedback.v1 import feedback_service_pb2 as pb
from plaudit.feedback.v1.feedback_events_pb2 import CASE_CHANGE_JOINED, CASE_CHANGE_OPENED, CaseChanged
from plaudit.feedback.v1.feedback_pb2 import (
    CASE_STATE_OPEN,
    METRIC_CES,
    METRIC_CSAT,
    METRIC_NPS,
    URGENCY_HIGH,
    URGENCY_NORMAL,
    Response,
)
from tests.conftest import World

from .conftest import Feedback, ago, nps, stamp


async def _changes(world: World, tenant_id: uuid.UUID) -> list[CaseChanged]:
    conn = await world.connect("feedback", tenant_id)
    try:
        rows = await conn.fetch(
            "select payload from outbox where subject = $1 order by created_at, message_id",
            CaseChanged.DESCRIPTOR.full_name,
        )
    finally:
        await conn.close()
    events = (event for row in rows for event in EventBatch.FromString(row["payload"]).events)
    return [CaseChanged.FromString(event.payload) for event in events]


async def _count(world: World, tenant_id: uuid.UUID, sql: str) -> int:
    conn = await world.connect("feedback", tenant_id)
    try:
        return int(await conn.fetchval(sql))
    finally:
        await conn.close()


async def test_a_detractor_opens_a_case(feedback: Feedback) -> None:
    answer = nps(6, customer_id="c-1")
    results = await feedback.record(answer)
    (case,) = await feedback.cases(customer_id="c-1")
    assert case.case_id.startswith("case_")
    assert (case.team, case.owner, case.urgency, case.state) == ("default", "", URGENCY_NORMAL, CASE_STATE_OPEN)
    assert case.opened_at == results[0].received_at
    assert [(t.kind, t.id, t.at) for t in case.triggers] == [("response", answer.response_id, answer.occurred_at)]


async def test_a_new_case_has_the_default_clocks(feedback: Feedback) -> None:
    case = await feedback.open_case()
    opened_at = case.opened_at.ToDatetime(clock.now().tzinfo)
    assert case.clocks.first_response.due_at == stamp(opened_at + timedelta(hours=24))
    assert case.clocks.resolution.due_at == stamp(opened_at + timedelta(days=7))
    assert not case.clocks.next_response.HasField("due_at")


@pytest.mark.parametrize(
    ("metric", "score", "num_cases"),
    [
        (METRIC_NPS, 6, 1),
        (METRIC_NPS, 7, 0),
        (METRIC_CSAT, 2, 1),
        (METRIC_CSAT, 3, 0),
        (METRIC_CES, 2, 1),
        (METRIC_CES, 3, 0),
    ],
)
async def test_how_unhappy_an_answer_must_be(feedback: Feedback, metric: int, score: int, num_cases: int) -> None:
    answer = Response(response_id="r-1", customer_id="c-1", score=score, occurred_at=stamp(ago()))
    answer.metric = metric  # type: ignore[assignment]
    await feedback.record(answer)
    assert len(await feedback.cases()) == num_cases


async def test_words_without_a_score_open_no_case(feedback: Feedback) -> None:
    await feedback.record(nps(None, customer_id="c-1", verbatim="terrible, terrible"))
    assert not await feedback.cases()


async def test_a_second_trigger_joins_the_open_case_and_raises_it(feedback: Feedback) -> None:
    first = await feedback.open_case("c-1")
    await feedback.record(nps(2, customer_id="c-1"))
    (case,) = await feedback.cases()
    assert (case.case_id, len(case.triggers), case.urgency) == (first.case_id, 2, URGENCY_HIGH)


async def test_triggers_of_one_batch_share_a_case(feedback: Feedback, world: World) -> None:
    await feedback.record(*(nps(1, customer_id="c-1") for _ in range(3)), nps(1, customer_id="c-2"))
    cases = {case.customer_id: case for case in await feedback.cases()}
    assert {key: (len(case.triggers), case.urgency) for key, case in cases.items()} == {
        "c-1": (3, URGENCY_HIGH),
        "c-2": (1, URGENCY_NORMAL),
    }
    changes = [change for change in await _changes(world, feedback.tenant_id) if change.customer_id == "c-1"]
    assert [(change.change, change.version) for change in changes] == [
        (CASE_CHANGE_OPENED, 1),
        (CASE_CHANGE_JOINED, 2),
        (CASE_CHANGE_JOINED, 3),
    ]


async def test_a_repeat_opens_nothing(feedback: Feedback) -> None:
    answer = nps(0, customer_id="c-1")
    await feedback.record(answer)
    await feedback.record(answer)
    (case,) = await feedback.cases()
    assert (len(case.triggers), case.version) == (1, 1)


async def test_a_trigger_after_the_closing_opens_a_new_case(feedback: Feedback) -> None:
    old = await feedback.open_case("c-1")
    await feedback.call("TransitionCase", pb.TransitionCaseRequest(case_id=old.case_id, to=8, note="a test order"))
    new = await feedback.open_case("c-1")
    assert new.case_id > old.case_id


async def test_who_may_not_be_contacted_has_a_case_that_says_so(feedback: Feedback) -> None:
    await feedback.record(nps(0, customer_id="c-1", contact_ok=False), nps(0, customer_id="c-2", contact_ok=True))
    marked = {case.customer_id: case.do_not_contact for case in await feedback.cases()}
    assert marked == {"c-1": True, "c-2": False}


async def test_what_is_older_than_14_days_is_suppressed(feedback: Feedback) -> None:
    old = nps(0, customer_id="c-1", at=ago(days=14, minutes=1))
    recent = nps(0, customer_id="c-2", at=ago(days=13, hours=23))
    await feedback.record(old, recent)
    assert [case.customer_id for case in await feedback.cases()] == ["c-2"]
    (suppression,) = (await feedback.call("ListSuppressions", pb.ListSuppressionsRequest())).suppressions
    assert (suppression.reason, suppression.trigger.id) == ("TOO_OLD", old.response_id)
    assert suppression.trigger.at == old.occurred_at


async def test_an_anonymous_detractor_is_suppressed(feedback: Feedback) -> None:
    await feedback.record(nps(0), nps(0, invitation_id="inv_unknown"))
    suppressions = (await feedback.call("ListSuppressions", pb.ListSuppressionsRequest())).suppressions
    assert [suppression.reason for suppression in suppressions] == ["ANONYMOUS", "ANONYMOUS"]


async def test_suppressions_are_filtered_by_reason_and_period(feedback: Feedback) -> None:
    await feedback.record(nps(0, customer_id="c-1", at=ago(days=20)), nps(0, at=ago(days=1)))
    request = pb.ListSuppressionsRequest(reason="TOO_OLD")
    assert len((await feedback.call("ListSuppressions", request)).suppressions) == 1
    request = pb.ListSuppressionsRequest(**{"from": stamp(ago(days=2))})  # type: ignore[arg-type]
    found = (await feedback.call("ListSuppressions", request)).suppressions
    assert [suppression.reason for suppression in found] == ["ANONYMOUS"]


async def test_history_opens_a_case_with_the_clocks_of_that_day(feedback: Feedback) -> None:
    then = ago(days=400)
    case = await feedback.open_case("c-1", history_at=then)
    assert case.opened_at == stamp(then)
    assert case.clocks.first_response.due_at == stamp(then + timedelta(hours=24))
    assert case.clocks.first_response.breached


async def test_history_is_told_as_history(feedback: Feedback, world: World) -> None:
    await feedback.open_case("c-1", history_at=ago(days=400))
    (change,) = await _changes(world, feedback.tenant_id)
    assert (change.history, change.changed_at) == (True, change.opened_at)


async def test_the_event_says_where_the_case_stands(feedback: Feedback, world: World) -> None:
    case = await feedback.open_case("c-1")
    (change,) = await _changes(world, feedback.tenant_id)
    assert change == CaseChanged(
        change=CASE_CHANGE_OPENED,
        case_id=case.case_id,
        customer_id="c-1",
        state=CASE_STATE_OPEN,
        urgency=URGENCY_NORMAL,
        opened_at=case.opened_at,
        changed_at=case.opened_at,
        version=1,
        trigger=case.triggers[0],
        team="default",
        due_at=case.clocks.first_response.due_at,
    )


async def test_many_at_once_leave_one_open_case_a_customer(feedback: Feedback, world: World) -> None:
    batches = [[nps(0, customer_id=f"c-{number}") for number in range(20)] for _ in range(12)]
    results = await asyncio.gather(*(feedback.record(*batch) for batch in batches))
    assert {result.status for batch in results for result in batch} == {ITEM_STATUS_STORED}
    assert await _count(world, feedback.tenant_id, "select count(*) from cases") == 20
    assert await _count(world, feedback.tenant_id, "select count(*) from triggers where case_id is not null") == 240
    assert await _count(world, feedback.tenant_id, "select sum(version) from cases") == 240


async def test_every_trigger_has_a_case_or_a_suppression(feedback: Feedback, world: World) -> None:
    await feedback.record(
        *(nps(score, customer_id=f"c-{score}") for score in range(11)),
        *(nps(score) for score in range(11)),
        *(nps(score, customer_id="c-old", at=ago(days=30)) for score in range(11)),
    )
    assert await _count(world, feedback.tenant_id, "select count(*) from responses where score <= 6") == 21
    assert await _count(world, feedback.tenant_id, "select count(case_id) from triggers") == 7
    assert await _count(world, feedback.tenant_id, "select count(reason) from triggers") == 14


async def test_an_answer_is_not_stored_without_what_it_causes(feedback: Feedback, world: World) -> None:
    answer = nps(0, customer_id="c-1")
    conn = await world.connect("feedback", feedback.tenant_id)
    try:
        # Somebody has linked this trigger before, so that it cannot be linked in the transaction of the answer.
        await conn.execute(
            "insert into triggers (tenant_id, kind, id, at, reason) values ($1, 'response', $2, $3, 'TOO_OLD')",
            feedback.tenant_id,
            answer.response_id,
            clock.now(),
        )
    finally:
        await conn.close()
    with pytest.raises(ServiceError, match="INTERNAL"):
        await feedback.record(answer, nps(9))
    counts = "select (select count(*) from {0}) + (select count(*) from {1}) + (select count(*) from {2})"
    written = await _count(world, feedback.tenant_id, counts.format("responses", "cases", "seen"))
    assert written + await _count(world, feedback.tenant_id, "select count(*) from outbox") == 0
