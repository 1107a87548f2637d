"""Cases: how they move, who is told, what their clocks do, how they are found."""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest

from libs.common import clock
from libs.common.errors import Aborted, FailedPrecondition, InvalidArgument, NotFound, ServiceError
from plaudit.event.v1.event_batch_pb2 import EventBatch
from plaudit.feedback.v1 import feedback_service_pb2 as pb
from plaudit.feedback.v1.feedback_events_pb2 import (
    CASE_CHANGE_ASSIGNED,
    CASE_CHANGE_CLOSED,
    CASE_CHANGE_CONTACTED,
    CASE_CHANGE_MOVED,
    CASE_CHANGE_OPENED,
    CASE_CHANGE_REOPENED,
    CaseChanged,
)
from plaudit.feedback.v1.feedback_pb2 import (
    CASE_STATE_ACKNOWLEDGED,
    CASE_STATE_ACTION_TAKEN,
    CASE_STATE_CLOSED,
    CASE_STATE_IN_PROGRESS,
    CASE_STATE_OPEN,
    CASE_STATE_REOPENED,
    CASE_STATE_SUPPRESSED,
    CASE_STATE_WAITING_CUSTOMER,
    CONFIRMATION_CONFIRMED,
    CONFIRMATION_NOT_ASKED,
    CONTACT_OUTCOME_REACHED,
    Case,
)
from tests.conftest import World

from .conftest import Feedback, ago, stamp

FORWARD = (CASE_STATE_ACKNOWLEDGED, CASE_STATE_IN_PROGRESS, CASE_STATE_ACTION_TAKEN, CASE_STATE_CLOSED)


async def move(feedback: Feedback, case: Case, to: int, **fields: Any) -> Case:
    """Move a case one step, with a root cause where one is needed."""
    if to == CASE_STATE_ACTION_TAKEN:
        fields.setdefault("root_cause", "late delivery")
    request = pb.TransitionCaseRequest(case_id=case.case_id, to=to, **fields)  # type: ignore[arg-type]
    answer = await feedback.call("TransitionCase", request)
    moved: Case = answer.case
    return moved


async def closed_case(feedback: Feedback, **fields: Any) -> Case:
    """Open a case and close it."""
    case = await feedback.open_case()
    for to in FORWARD:
        case = await move(feedback, case, to, **(fields if to == CASE_STATE_CLOSED else {}))
    return case


async def contact(feedback: Feedback, case: Case, **fields: Any) -> Case:
    """Note that the customer was reached."""
    given = {"by": "s-1", "channel": "phone", "outcome": CONTACT_OUTCOME_REACHED, **fields}
    answer = await feedback.call("AddContact", pb.AddContactRequest(case_id=case.case_id, **given))
    contacted: Case = answer.case
    return contacted


async def get(feedback: Feedback, case: Case) -> Case:
    """Read a case."""
    answer = await feedback.call("GetCase", pb.GetCaseRequest(case_id=case.case_id))
    found: Case = answer.case
    return found


async def refused(feedback: Feedback, case: Case, to: int, **fields: Any) -> str:
    """Return the reason for which a case does not move so."""
    request = pb.TransitionCaseRequest(case_id=case.case_id, to=to, **fields)  # type: ignore[arg-type]
    with pytest.raises(ServiceError) as caught:
        await feedback.call("TransitionCase", request)
    return caught.value.reason


async def changes(world: World, tenant_id: uuid.UUID) -> list[CaseChanged]:
    """Return what the others were told of a tenant's cases, in order."""
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


async def test_a_case_goes_all_the_way(feedback: Feedback) -> None:
    case = await closed_case(feedback, confirmation=CONFIRMATION_CONFIRMED, note="she is happy now", by="s-1")
    assert (case.state, case.confirmation, case.root_cause) == (
        CASE_STATE_CLOSED,
        CONFIRMATION_CONFIRMED,
        "late delivery",
    )
    assert [step.to for step in case.history] == [CASE_STATE_OPEN, *FORWARD]
    assert (case.history[-1].by, case.history[-1].note) == ("s-1", "she is happy now")
    assert await get(feedback, case) == case


async def test_every_step_is_told(feedback: Feedback, world: World) -> None:
    case = await closed_case(feedback)
    await move(feedback, case, CASE_STATE_REOPENED)
    told = await changes(world, feedback.tenant_id)
    assert [(change.change, change.version) for change in told] == [
        (CASE_CHANGE_OPENED, 1),
        (CASE_CHANGE_MOVED, 2),
        (CASE_CHANGE_MOVED, 3),
        (CASE_CHANGE_MOVED, 4),
        (CASE_CHANGE_CLOSED, 5),
        (CASE_CHANGE_REOPENED, 6),
    ]


async def test_closed_without_a_confirmation_is_not_asked(feedback: Feedback) -> None:
    assert (await closed_case(feedback)).confirmation == CONFIRMATION_NOT_ASKED


async def test_no_step_may_be_left_out(feedback: Feedback) -> None:
    case = await feedback.open_case()
    later = (CASE_STATE_IN_PROGRESS, CASE_STATE_ACTION_TAKEN, CASE_STATE_CLOSED, CASE_STATE_REOPENED)
    reasons = {await refused(feedback, case, to) for to in (*later, CASE_STATE_OPEN, CASE_STATE_WAITING_CUSTOMER)}
    assert reasons == {"TRANSITION_NOT_ALLOWED"}


async def test_a_refused_step_changes_nothing(feedback: Feedback) -> None:
    case = await feedback.open_case()
    await refused(feedback, case, CASE_STATE_CLOSED)
    assert await get(feedback, case) == case


async def test_action_taken_needs_a_root_cause(feedback: Feedback) -> None:
    case = await feedback.open_case()
    case = await move(feedback, case, CASE_STATE_ACKNOWLEDGED)
    case = await move(feedback, case, CASE_STATE_IN_PROGRESS)
    with pytest.raises(InvalidArgument, match="ROOT_CAUSE_MISSING"):
        await feedback.call(
            "TransitionCase", pb.TransitionCaseRequest(case_id=case.case_id, to=CASE_STATE_ACTION_TAKEN)
        )


async def test_only_an_open_case_is_suppressed_and_with_a_reason(feedback: Feedback) -> None:
    case = await feedback.open_case()
    assert await refused(feedback, case, CASE_STATE_SUPPRESSED) == "NOTE_MISSING"
    case = await move(feedback, case, CASE_STATE_SUPPRESSED, note="a test order")
    assert (case.state, case.history[-1].note) == (CASE_STATE_SUPPRESSED, "a test order")


async def test_waiting_returns_to_where_it_came_from(feedback: Feedback) -> None:
    case = await feedback.open_case()
    case = await move(feedback, case, CASE_STATE_ACKNOWLEDGED)
    case = await move(feedback, case, CASE_STATE_WAITING_CUSTOMER)
    assert case.clocks.resolution.paused
    assert await refused(feedback, case, CASE_STATE_IN_PROGRESS) == "TRANSITION_NOT_ALLOWED"
    case = await move(feedback, case, CASE_STATE_ACKNOWLEDGED)
    assert not case.clocks.resolution.paused


async def test_acknowledging_equals_the_step(feedback: Feedback) -> None:
    case = await feedback.open_case()
    request = pb.AcknowledgeCaseRequest(case_id=case.case_id, by="s-1", note="on it")
    case = (await feedback.call("AcknowledgeCase", request)).case
    assert (case.state, case.history[-1].by, case.history[-1].note) == (CASE_STATE_ACKNOWLEDGED, "s-1", "on it")
    assert not case.clocks.first_response.HasField("met_at")
    with pytest.raises(FailedPrecondition, match="TRANSITION_NOT_ALLOWED"):
        await feedback.call("AcknowledgeCase", request)


async def test_a_contact_meets_the_first_clock_and_starts_the_next(feedback: Feedback, world: World) -> None:
    case = await feedback.open_case()
    before = clock.now()
    case = await contact(feedback, case)
    met_at = case.clocks.first_response.met_at.ToDatetime(before.tzinfo)
    assert before <= met_at <= clock.now()
    assert case.clocks.next_response.due_at == stamp(met_at + timedelta(hours=48))
    assert [(call.by, call.channel, call.outcome) for call in case.contacts] == [
        ("s-1", "phone", CONTACT_OUTCOME_REACHED)
    ]
    told = (await changes(world, feedback.tenant_id))[-1]
    assert (told.change, told.outcome, told.state) == (CASE_CHANGE_CONTACTED, CONTACT_OUTCOME_REACHED, CASE_STATE_OPEN)


@pytest.mark.parametrize("missing", ["by", "channel", "outcome"])
async def test_a_contact_needs_who_how_and_what_came_of_it(feedback: Feedback, missing: str) -> None:
    case = await feedback.open_case()
    with pytest.raises(InvalidArgument, match="CONTACT_INCOMPLETE") as caught:
        await contact(feedback, case, **{missing: None})
    assert caught.value.metadata["pointer"] == f"/{missing}"


async def test_a_reopened_case_has_a_new_resolution_clock(feedback: Feedback) -> None:
    case = await closed_case(feedback)
    case = await move(feedback, case, CASE_STATE_REOPENED)
    assert not case.HasField("confirmation")
    assert not case.clocks.resolution.HasField("met_at")
    case = await move(feedback, case, CASE_STATE_IN_PROGRESS)
    assert case.state == CASE_STATE_IN_PROGRESS


async def test_a_case_does_not_reopen_beside_an_open_one(feedback: Feedback) -> None:
    old = await closed_case(feedback)
    await feedback.open_case()
    assert await refused(feedback, old, CASE_STATE_REOPENED) == "CASE_ALREADY_OPEN"


async def test_a_past_is_told_step_by_step(feedback: Feedback, world: World) -> None:
    case = await feedback.open_case(history_at=ago(days=400))
    case = await move(feedback, case, CASE_STATE_ACKNOWLEDGED, at=stamp(ago(days=399)))
    case = await contact(feedback, case, at=stamp(ago(days=398)))
    assert case.clocks.first_response.breached
    assert case.clocks.next_response.due_at == stamp(case.contacts[0].at.ToDatetime() + timedelta(hours=48))
    assert [change.history for change in await changes(world, feedback.tenant_id)] == [True, True, True]


async def test_no_step_is_in_the_future_or_before_the_last_one(feedback: Feedback) -> None:
    case = await feedback.open_case(history_at=ago(days=10))
    to = CASE_STATE_ACKNOWLEDGED
    assert await refused(feedback, case, to, at=stamp(ago(days=11))) == "AT_BEFORE_LAST_STEP"
    assert await refused(feedback, case, to, at=stamp(clock.now() + timedelta(hours=1))) == "AT_IN_FUTURE"


async def test_a_clock_that_goes_slightly_ahead_is_forgiven(feedback: Feedback) -> None:
    case = await feedback.open_case()
    case = await move(feedback, case, CASE_STATE_ACKNOWLEDGED, at=stamp(clock.now() + timedelta(seconds=20)))
    assert case.history[-1].at.ToDatetime(clock.now().tzinfo) <= clock.now()


async def test_a_key_takes_effect_once(feedback: Feedback) -> None:
    case = await feedback.open_case()
    request = pb.AddContactRequest(case_id=case.case_id, by="s-1", channel="phone", outcome=CONTACT_OUTCOME_REACHED)
    first = await feedback.call("AddContact", request, x_idempotency_key="k-1")
    again = await feedback.call("AddContact", request, x_idempotency_key="k-1")
    assert again == first
    assert len((await get(feedback, case)).contacts) == 1


async def test_a_key_with_another_body_is_refused(feedback: Feedback) -> None:
    case = await feedback.open_case()
    request = pb.AcknowledgeCaseRequest(case_id=case.case_id, note="one")
    await feedback.call("AcknowledgeCase", request, x_idempotency_key="k-1")
    request.note = "two"
    with pytest.raises(InvalidArgument, match="IDEMPOTENCY_KEY_REUSED"):
        await feedback.call("AcknowledgeCase", request, x_idempotency_key="k-1")


async def test_steps_at_once_are_taken_one_by_one(feedback: Feedback) -> None:
    case = await feedback.open_case()

    async def acknowledge() -> str:
        try:
            await move(feedback, case, CASE_STATE_ACKNOWLEDGED)
        except (FailedPrecondition, Aborted) as refusal:
            return refusal.reason
        return "moved"

    outcomes = await asyncio.gather(*(acknowledge() for _ in range(6)))
    assert sorted(outcomes) == [*["TRANSITION_NOT_ALLOWED"] * 5, "moved"]
    assert len((await get(feedback, case)).history) == 2


async def test_a_case_is_assigned_and_linked(feedback: Feedback, world: World) -> None:
    case = await feedback.open_case()
    request = pb.UpdateCaseRequest(case_id=case.case_id, owner="s-1", external_ref="T-9")
    request.update_mask.paths.extend(["owner", "external_ref"])
    case = (await feedback.call("UpdateCase", request)).case
    assert (case.owner, case.external_ref, case.version) == ("s-1", "T-9", 2)
    assert (await changes(world, feedback.tenant_id))[-1].change == CASE_CHANGE_ASSIGNED


async def test_what_is_named_and_unset_is_cleared_and_the_rest_stays(feedback: Feedback) -> None:
    case = await feedback.open_case()
    request = pb.UpdateCaseRequest(case_id=case.case_id, owner="s-1", external_ref="T-9")
    request.update_mask.paths.extend(["owner", "external_ref"])
    await feedback.call("UpdateCase", request)
    request = pb.UpdateCaseRequest(case_id=case.case_id, external_ref="ignored")
    request.update_mask.paths.append("owner")
    case = (await feedback.call("UpdateCase", request)).case
    assert (case.HasField("owner"), case.external_ref) == (False, "T-9")


async def test_an_update_that_changes_nothing_is_none(feedback: Feedback) -> None:
    case = await feedback.open_case()
    request = pb.UpdateCaseRequest(case_id=case.case_id)
    request.update_mask.paths.append("owner")
    assert (await feedback.call("UpdateCase", request)).case.version == case.version


async def test_every_change_leaves_an_audit_row(feedback: Feedback, world: World) -> None:
    case = await feedback.open_case()
    await move(feedback, case, CASE_STATE_ACKNOWLEDGED)
    await contact(feedback, case)
    conn = await world.connect("feedback", feedback.tenant_id)
    try:
        rows = await conn.fetch(
            "select action, subject_id, before_hash <> after_hash as changed from audit order by at"
        )
    finally:
        await conn.close()
    assert [tuple(row) for row in rows] == [("TransitionCase", case.case_id, True), ("AddContact", case.case_id, True)]


@pytest.mark.parametrize(
    ("method", "request_type"),
    [
        ("GetCase", pb.GetCaseRequest),
        ("AcknowledgeCase", pb.AcknowledgeCaseRequest),
        ("UpdateCase", pb.UpdateCaseRequest),
    ],
)
async def test_an_unknown_case_is_not_found(feedback: Feedback, method: str, request_type: Any) -> None:
    with pytest.raises(NotFound, match="CASE_NOT_FOUND"):
        await feedback.call(method, request_type(case_id="case_nobody"))


async def test_another_tenants_case_is_not_found(feedback: Feedback) -> None:
    case = await feedback.open_case()
    feedback.tenant_id = uuid.uuid4()
    with pytest.raises(NotFound, match="CASE_NOT_FOUND"):
        await move(feedback, case, CASE_STATE_ACKNOWLEDGED)


async def test_cases_are_found_by_what_they_are(feedback: Feedback) -> None:
    one, two = await feedback.open_case("c-1"), await feedback.open_case("c-2")
    request = pb.UpdateCaseRequest(case_id=one.case_id, owner="s-1", external_ref="T-9")
    request.update_mask.paths.extend(["owner", "external_ref"])
    await feedback.call("UpdateCase", request)
    await move(feedback, two, CASE_STATE_ACKNOWLEDGED)
    filters: list[tuple[dict[str, Any], list[str]]] = [
        ({}, [two.case_id, one.case_id]),
        ({"state": CASE_STATE_ACKNOWLEDGED}, [two.case_id]),
        ({"owner": "s-1"}, [one.case_id]),
        ({"team": "default"}, [two.case_id, one.case_id]),
        ({"team": "other"}, []),
        ({"customer_id": "c-1"}, [one.case_id]),
        ({"external_ref": "T-9"}, [one.case_id]),
        ({"trigger_id": two.triggers[0].id}, [two.case_id]),
        ({"updated_after": stamp(clock.now())}, []),
    ]
    found = [[case.case_id for case in await feedback.cases(**given)] for given, _ in filters]
    assert found == [wanted for _, wanted in filters]


async def test_overdue_cases_are_found(feedback: Feedback) -> None:
    late = await feedback.open_case("c-1", history_at=ago(days=2))
    fresh = await feedback.open_case("c-2")
    shut = await feedback.open_case("c-3", history_at=ago(days=2))
    await move(feedback, shut, CASE_STATE_SUPPRESSED, note="a test order")
    assert [case.case_id for case in await feedback.cases(overdue=True)] == [late.case_id]
    assert {case.case_id for case in await feedback.cases(overdue=False)} == {fresh.case_id, shut.case_id}


async def test_a_contact_ends_being_overdue(feedback: Feedback) -> None:
    late = await feedback.open_case("c-1", history_at=ago(days=2))
    await contact(feedback, late)
    assert not await feedback.cases(overdue=True)


async def test_cases_are_listed_by_page(feedback: Feedback) -> None:
    made = [await feedback.open_case(f"c-{number}") for number in range(3)]
    first = await feedback.call("ListCases", pb.ListCasesRequest(page_size=2))
    rest = await feedback.call("ListCases", pb.ListCasesRequest(page_size=2, page_token=first.next_page_token))
    listed = [case.case_id for case in (*first.cases, *rest.cases)]
    assert listed == [case.case_id for case in reversed(made)]


async def test_a_case_does_not_reopen_beside_one_that_opens_meanwhile(
    feedback: Feedback, world: World, eventually: Any
) -> None:
    old = await closed_case(feedback)
    conn = await world.connect("feedback", feedback.tenant_id)
    opening = """insert into cases (tenant_id, case_id, customer_id, team, urgency, state, do_not_contact, opened_at,
        updated_at, version) select tenant_id, 'case_new', customer_id, team, urgency, 'open', false, opened_at,
        updated_at, 1 from cases"""

    async def waits() -> bool:
        return bool(await conn.fetchval("select count(*) from pg_locks where not granted"))

    try:
        async with conn.transaction():
            await conn.execute(opening)
            reopening = asyncio.create_task(refused(feedback, old, CASE_STATE_REOPENED))
            await eventually(waits)
        assert await reopening == "CASE_ALREADY_OPEN"
    finally:
        await conn.close()
