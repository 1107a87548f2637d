import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.feedback.v1.feedback_pb2 import CONTACT_OUTCOME_FAILED, CONTACT_OUTCOME_REACHED, Case, CaseState
from services.feedback import domain

VECTORS = json.loads((Path(__file__).resolve().parents[2] / "vectors" / "clocks.json").read_text())
CASES = [pytest.param(case, id=case["name"]) for case in VECTORS["cases"]]
OFFICE = domain.calendar_of("Europe/Berlin", {key: [["09:00", "17:00"]] for key in ("mon", "tue", "wed", "thu", "fri")})
OPENED_AT = datetime(2026, 6, 1, 10, tzinfo=UTC)


def at(text):
    return datetime.fromisoformat(text)


def case_of(opened_at, history=(), contacts=(), outcome=CONTACT_OUTCOME_REACHED):
    case = Case()
    case.opened_at.FromDatetime(opened_at)
    for state, moment in history:
        case.history.add(to=CaseState.Value(f"CASE_STATE_{state.upper()}")).at.FromDatetime(moment)
    for moment in contacts:
        case.contacts.add(outcome=outcome).at.FromDatetime(moment)
    case.state = case.history[-1].to if case.history else CaseState.Value("CASE_STATE_OPEN")
    return case


def vector_case(vector):
    history = [(state, at(moment)) for state, moment in vector["history"]]
    return case_of(at(vector["opened_at"]), history, [at(moment) for moment in vector["contacts"]])


def shown(clock):
    return {
        "due_at": clock.due_at.ToDatetime(UTC) if clock.HasField("due_at") else None,
        "met_at": clock.met_at.ToDatetime(UTC) if clock.HasField("met_at") else None,
        "paused": clock.paused,
        "breached": clock.breached,
    }


def expected(clock):
    return {**clock, **{key: clock[key] and at(clock[key]) for key in ("due_at", "met_at")}}


@pytest.mark.parametrize("vector", CASES)
def test_clocks_are_as_worked_out_by_hand(vector):
    hours = vector.get("office_hours")
    policy = domain.SlaPolicy(*(hour * 3_600 for hour in hours)) if hours else domain.DEFAULT_POLICY
    calendar = OFFICE if hours else domain.ALWAYS
    clocks = domain.clocks_of(vector_case(vector), policy, calendar, at(vector["now"]))
    assert shown(clocks.first_response) == expected(vector["first_response"])
    assert shown(clocks.next_response) == expected(vector["next_response"])
    assert shown(clocks.resolution) == expected(vector["resolution"])


def test_a_failed_attempt_stops_the_first_response_too():
    tried_at = OPENED_AT + timedelta(hours=1)
    case = case_of(OPENED_AT, contacts=[tried_at], outcome=CONTACT_OUTCOME_FAILED)
    clocks = domain.clocks_of(case, domain.DEFAULT_POLICY, domain.ALWAYS, tried_at)
    assert clocks.first_response.met_at.ToDatetime(UTC) == tried_at


def test_contacts_logged_out_of_order_give_the_same_clocks():
    contacts = [OPENED_AT + timedelta(hours=hours) for hours in (5, 1, 3)]
    now = OPENED_AT + timedelta(days=4)
    clocks = [
        domain.clocks_of(case_of(OPENED_AT, contacts=order), domain.DEFAULT_POLICY, domain.ALWAYS, now)
        for order in (contacts, sorted(contacts))
    ]
    assert clocks[0] == clocks[1]


def test_the_next_due_time_is_the_earliest_that_still_runs():
    clocks = domain.clocks_of(case_of(OPENED_AT), domain.DEFAULT_POLICY, domain.ALWAYS, OPENED_AT)
    assert domain.next_due_at(clocks, OPENED_AT) == OPENED_AT + timedelta(hours=24)


def test_what_is_past_due_is_not_due_next():
    now = OPENED_AT + timedelta(days=2)
    clocks = domain.clocks_of(case_of(OPENED_AT), domain.DEFAULT_POLICY, domain.ALWAYS, now)
    assert domain.next_due_at(clocks, now) == OPENED_AT + timedelta(days=7)


@pytest.mark.parametrize(
    ("history", "contacts", "days", "is_overdue"),
    [
        ([], [], 0, False),
        ([], [], 2, True),
        ([], [timedelta(hours=1)], 1, False),
        ([], [timedelta(hours=1)], 3, True),
        ([("acknowledged", 0), ("waiting_customer", 0)], [timedelta(hours=0)], 30, False),
        ([("suppressed", 0)], [], 30, False),
        ([("closed", 10), ("reopened", 11)], [timedelta(hours=1)], 12, False),
    ],
)
def test_a_case_is_overdue_while_a_running_clock_is_past_due(history, contacts, days, is_overdue):
    steps = [(state, OPENED_AT + timedelta(days=day)) for state, day in history]
    case = case_of(OPENED_AT, steps, [OPENED_AT + offset for offset in contacts])
    now = OPENED_AT + timedelta(days=days)
    clocks = domain.clocks_of(case, domain.DEFAULT_POLICY, domain.ALWAYS, now)
    assert domain.is_overdue(clocks, now) is is_overdue


@given(st.integers(0, 300_000), st.integers(0, 300_000), st.integers(1, 600_000))
@settings(max_examples=40, deadline=None)
def test_a_pause_in_time_moves_the_resolution_by_its_own_length(before, pause, after):
    waits_at = OPENED_AT + timedelta(seconds=before)
    goes_on_at = waits_at + timedelta(seconds=pause)
    case = case_of(OPENED_AT, [("waiting_customer", waits_at), ("acknowledged", goes_on_at)])
    now = goes_on_at + timedelta(seconds=after)
    clocks = domain.clocks_of(case, domain.DEFAULT_POLICY, domain.ALWAYS, now)
    assert clocks.resolution.due_at.ToDatetime(UTC) == OPENED_AT + timedelta(days=7, seconds=pause)


@given(st.integers(0, 2_000_000), st.integers(0, 2_000_000))
@settings(max_examples=40, deadline=None)
def test_a_breach_never_heals(first, later):
    case = case_of(OPENED_AT, [("acknowledged", OPENED_AT)], [OPENED_AT + timedelta(hours=30)])
    times = [OPENED_AT + timedelta(hours=30, seconds=seconds) for seconds in (first, first + later)]
    early, late = (domain.clocks_of(case, domain.DEFAULT_POLICY, domain.ALWAYS, now) for now in times)
    assert early.first_response.breached
    assert late.first_response.breached
    assert late.next_response.breached >= early.next_response.breached
    assert late.resolution.breached >= early.resolution.breached
