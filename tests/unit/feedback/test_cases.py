from datetime import UTC, datetime, timedelta

import pytest

from plaudit.feedback.v1 import feedback_pb2 as pb
from services.feedback import domain

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
STATES = [name for name in pb.CaseState.keys() if name != "CASE_STATE_UNSPECIFIED"]  # noqa: SIM118 - an enum's names
PATHS = {
    "OPEN": [],
    "ACKNOWLEDGED": ["ACKNOWLEDGED"],
    "IN_PROGRESS": ["ACKNOWLEDGED", "IN_PROGRESS"],
    "ACTION_TAKEN": ["ACKNOWLEDGED", "IN_PROGRESS", "ACTION_TAKEN"],
    "CLOSED": ["ACKNOWLEDGED", "IN_PROGRESS", "ACTION_TAKEN", "CLOSED"],
    "REOPENED": ["ACKNOWLEDGED", "IN_PROGRESS", "ACTION_TAKEN", "CLOSED", "REOPENED"],
    "SUPPRESSED": ["SUPPRESSED"],
    "WAITING_CUSTOMER": ["ACKNOWLEDGED", "IN_PROGRESS", "WAITING_CUSTOMER"],
}
ALLOWED = {
    ("OPEN", "ACKNOWLEDGED"),
    ("OPEN", "SUPPRESSED"),
    ("ACKNOWLEDGED", "IN_PROGRESS"),
    ("ACKNOWLEDGED", "WAITING_CUSTOMER"),
    ("IN_PROGRESS", "ACTION_TAKEN"),
    ("IN_PROGRESS", "WAITING_CUSTOMER"),
    ("ACTION_TAKEN", "CLOSED"),
    ("ACTION_TAKEN", "WAITING_CUSTOMER"),
    ("CLOSED", "REOPENED"),
    ("REOPENED", "IN_PROGRESS"),
    ("WAITING_CUSTOMER", "IN_PROGRESS"),
}


def state(name):
    return pb.CaseState.Value(f"CASE_STATE_{name}")


def case_in(*names):
    case = pb.Case(state=state(names[-1] if names else "OPEN"))
    case.opened_at.FromDatetime(NOW - timedelta(days=2))
    for number, name in enumerate(names):
        case.history.add(to=state(name)).at.FromDatetime(NOW - timedelta(days=1, minutes=-number))
    return case


def code_of(problem):
    return problem and problem[0]


@pytest.mark.parametrize("to", [name.removeprefix("CASE_STATE_") for name in STATES])
@pytest.mark.parametrize("frm", PATHS)
def test_a_case_moves_one_step_and_no_other(frm, to):
    problem = domain.problem_with_transition(case_in(*PATHS[frm]), state(to), note="why", root_cause="late delivery")
    assert code_of(problem) == (None if (frm, to) in ALLOWED else "TRANSITION_NOT_ALLOWED")


@pytest.mark.parametrize("came_from", ["ACKNOWLEDGED", "IN_PROGRESS", "ACTION_TAKEN"])
def test_waiting_for_the_customer_goes_back_to_where_it_came_from(came_from):
    assert domain.steps_from(case_in(*PATHS[came_from], "WAITING_CUSTOMER")) == (state(came_from),)


def test_going_back_to_action_taken_needs_no_second_root_cause():
    case = case_in(*PATHS["ACTION_TAKEN"], "WAITING_CUSTOMER")
    assert domain.problem_with_transition(case, state("ACTION_TAKEN")) is None


@pytest.mark.parametrize("root_cause", ["", "  "])
def test_action_taken_needs_a_root_cause(root_cause):
    problem = domain.problem_with_transition(
        case_in(*PATHS["IN_PROGRESS"]), state("ACTION_TAKEN"), root_cause=root_cause
    )
    assert problem[:2] == ("ROOT_CAUSE_MISSING", "/root_cause")


def test_suppressing_needs_a_note():
    assert domain.problem_with_transition(case_in(), state("SUPPRESSED"))[:2] == ("NOTE_MISSING", "/note")


def test_only_closing_takes_a_confirmation():
    problem = domain.problem_with_transition(case_in(), state("ACKNOWLEDGED"), confirmation=pb.CONFIRMATION_CONFIRMED)
    assert problem[:2] == ("CONFIRMATION_NOT_ALLOWED", "/confirmation")


def test_a_wrong_step_is_named_before_what_it_lacks():
    assert code_of(domain.problem_with_transition(case_in(), state("ACTION_TAKEN"))) == "TRANSITION_NOT_ALLOWED"


def test_a_note_has_a_limit():
    problem = domain.problem_with_transition(case_in(), state("ACKNOWLEDGED"), note="x" * 4_001)
    assert problem[:2] == ("ITEM_TOO_LARGE", "/note")


@pytest.mark.parametrize(
    ("to", "given", "carried"),
    [
        ("CLOSED", pb.CONFIRMATION_UNSPECIFIED, pb.CONFIRMATION_NOT_ASKED),
        ("CLOSED", pb.CONFIRMATION_CONFIRMED, pb.CONFIRMATION_CONFIRMED),
        ("CLOSED", pb.CONFIRMATION_DECLINED, pb.CONFIRMATION_DECLINED),
        ("REOPENED", pb.CONFIRMATION_UNSPECIFIED, pb.CONFIRMATION_UNSPECIFIED),
    ],
)
def test_a_closed_case_carries_a_confirmation(to, given, carried):
    assert domain.confirmation_after(state(to), given) == carried


@pytest.mark.parametrize(
    ("metric", "score", "is_negative", "opens"),
    [
        (pb.METRIC_NPS, 0, True, True),
        (pb.METRIC_NPS, 6, True, True),
        (pb.METRIC_NPS, 7, False, False),
        (pb.METRIC_CSAT, 1, True, True),
        (pb.METRIC_CSAT, 2, True, True),
        (pb.METRIC_CSAT, 3, False, False),
        (pb.METRIC_CES, 1, True, True),
        (pb.METRIC_CES, 2, True, True),
        (pb.METRIC_CES, 3, True, False),
        (pb.METRIC_CES, 4, False, False),
    ],
)
def test_an_answer_is_negative_and_opens_a_case_from_its_own_score_on(metric, score, is_negative, opens):
    assert domain.is_negative(metric, score) is is_negative
    assert domain.case_verdict(metric, score, "c1", NOW, NOW) == ("OPENS_CASE" if opens else None)


@pytest.mark.parametrize(
    ("score", "customer_id", "age", "verdict"),
    [
        (0, "c1", timedelta(days=14), "OPENS_CASE"),
        (0, "c1", timedelta(days=14, microseconds=1), "TOO_OLD"),
        (0, "", timedelta(0), "ANONYMOUS"),
        (0, "", timedelta(days=15), "TOO_OLD"),
        (9, "", timedelta(days=15), None),
        (None, "c1", timedelta(0), None),
    ],
)
def test_a_trigger_opens_a_case_or_is_suppressed_with_a_reason(score, customer_id, age, verdict):
    assert domain.case_verdict(pb.METRIC_NPS, score, customer_id, NOW - age, NOW) == verdict


@pytest.mark.parametrize(
    ("urgency", "num_triggers", "after"),
    [
        (pb.URGENCY_UNSPECIFIED, 1, pb.URGENCY_NORMAL),
        (pb.URGENCY_NORMAL, 2, pb.URGENCY_HIGH),
        (pb.URGENCY_HIGH, 3, pb.URGENCY_HIGH),
        (pb.URGENCY_URGENT, 2, pb.URGENCY_URGENT),
    ],
)
def test_the_second_trigger_makes_a_case_high(urgency, num_triggers, after):
    assert domain.urgency_after(urgency, num_triggers) == after


@pytest.mark.parametrize("name", PATHS)
def test_open_is_every_state_but_closed_and_suppressed(name):
    assert domain.is_open(state(name)) is (name not in ("CLOSED", "SUPPRESSED"))


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (NOW, None),
        (NOW + timedelta(microseconds=1), "AT_IN_FUTURE"),
        (NOW - timedelta(days=1), None),
        (NOW - timedelta(days=1, microseconds=1), "AT_BEFORE_LAST_STEP"),
    ],
)
def test_a_step_lies_between_the_last_one_and_now(at, code):
    assert code_of(domain.problem_with_at(case_in("ACKNOWLEDGED"), at, NOW)) == code


def test_the_opening_is_the_first_step():
    assert domain.last_step_at(case_in()) == NOW - timedelta(days=2)


@pytest.mark.parametrize(
    ("by", "channel", "outcome", "pointer"),
    [
        ("", "phone", pb.CONTACT_OUTCOME_REACHED, "/by"),
        ("ann", "", pb.CONTACT_OUTCOME_REACHED, "/channel"),
        ("ann", "phone", pb.CONTACT_OUTCOME_UNSPECIFIED, "/outcome"),
    ],
)
def test_a_contact_says_who_how_and_with_what_outcome(by, channel, outcome, pointer):
    problem = domain.problem_with_contact(pb.Contact(by=by, channel=channel, outcome=outcome))
    assert problem[:2] == ("CONTACT_INCOMPLETE", pointer)


def test_a_whole_contact_is_fine():
    contact = pb.Contact(by="ann", channel="phone", outcome=pb.CONTACT_OUTCOME_LEFT_MESSAGE)
    assert domain.problem_with_contact(contact) is None
