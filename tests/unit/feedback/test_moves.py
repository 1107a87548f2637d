"""A case after a step, a contact or a change, and what the others are told of it."""

from datetime import UTC, datetime, timedelta

import pytest

from plaudit.feedback.v1.feedback_events_pb2 import CASE_CHANGE_CLOSED, CASE_CHANGE_MOVED, CASE_CHANGE_REOPENED
from plaudit.feedback.v1.feedback_pb2 import (
    CASE_STATE_ACKNOWLEDGED,
    CASE_STATE_CLOSED,
    CASE_STATE_OPEN,
    CASE_STATE_REOPENED,
    CONFIRMATION_CONFIRMED,
    CONFIRMATION_NOT_ASKED,
    Case,
    CaseState,
    CaseStep,
    Contact,
)
from services.feedback import domain

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def case(**fields: object) -> Case:
    """Make a case that was opened at noon."""
    given = {"case_id": "case_1", "state": CASE_STATE_OPEN, "version": 3, **fields}
    return Case(
        opened_at=domain.stamp_of(NOON), history=[CaseStep(to=CASE_STATE_OPEN, at=domain.stamp_of(NOON))], **given
    )  # type: ignore[arg-type]


def step(to: CaseState.ValueType) -> CaseStep:
    """Make a step one hour later."""
    return CaseStep(to=to, at=domain.stamp_of(NOON + timedelta(hours=1)))


def test_a_step_is_added_and_the_old_case_stays_as_it_was() -> None:
    before = case()
    after = domain.moved(before, step(CASE_STATE_ACKNOWLEDGED), now=NOON)
    assert (after.state, after.version, len(after.history)) == (CASE_STATE_ACKNOWLEDGED, 4, 2)
    assert before == case()


@pytest.mark.parametrize(
    ("given", "kept"), [(0, CONFIRMATION_NOT_ASKED), (CONFIRMATION_CONFIRMED, CONFIRMATION_CONFIRMED)]
)
def test_closing_says_what_the_customer_said(given: int, kept: int) -> None:
    after = domain.moved(case(), step(CASE_STATE_CLOSED), now=NOON, confirmation=given)  # type: ignore[arg-type]
    assert after.confirmation == kept


def test_reopening_forgets_what_the_customer_said() -> None:
    closed = case(state=CASE_STATE_CLOSED, confirmation=CONFIRMATION_CONFIRMED)
    assert not domain.moved(closed, step(CASE_STATE_REOPENED), now=NOON).HasField("confirmation")


def test_a_root_cause_stays_until_another_is_given() -> None:
    before = case(root_cause="late delivery")
    assert domain.moved(before, step(CASE_STATE_CLOSED), now=NOON).root_cause == "late delivery"
    assert domain.moved(before, step(CASE_STATE_CLOSED), now=NOON, root_cause="broken").root_cause == "broken"


@pytest.mark.parametrize(
    ("values", "version"),
    [
        ([("owner", "s-1")], 3),
        ([("external_ref", None)], 3),
        ([], 3),
        ([("owner", "s-2")], 4),
        ([("owner", None)], 4),
        ([("owner", "s-1"), ("external_ref", "T-9")], 4),
    ],
)
def test_only_what_changes_makes_a_new_version(values: list[tuple[str, str | None]], version: int) -> None:
    after = domain.updated(case(owner="s-1"), values, NOON)  # type: ignore[arg-type]
    assert after.version == version


@pytest.mark.parametrize(
    ("given", "settled"),
    [(None, 0), (20, 0), (60, 0), (61, 61), (-1, -1), (-3_600, -3_600)],
)
def test_a_clock_that_goes_slightly_ahead_means_now(given: int | None, settled: int) -> None:
    at = None if given is None else NOON + timedelta(seconds=given)
    assert domain.settled_at(at, NOON) == NOON + timedelta(seconds=settled)


@pytest.mark.parametrize(("seconds", "is_past"), [(0, False), (-60, False), (-61, True)])
def test_what_is_more_than_a_minute_old_is_past(seconds: int, is_past: bool) -> None:
    assert domain.is_past(NOON + timedelta(seconds=seconds), NOON) is is_past


@pytest.mark.parametrize(
    ("to", "change"),
    [
        (CASE_STATE_CLOSED, CASE_CHANGE_CLOSED),
        (CASE_STATE_REOPENED, CASE_CHANGE_REOPENED),
        (CASE_STATE_ACKNOWLEDGED, CASE_CHANGE_MOVED),
    ],
)
def test_what_a_step_is_called(to: CaseState.ValueType, change: int) -> None:
    assert domain.change_of(to) == change


def test_the_event_holds_nothing_that_was_typed() -> None:
    noted = case(owner="hidden", root_cause="hidden", external_ref="hidden", external_url="hidden")
    noted.history[0].note = "hidden"
    event = domain.case_event(noted, CASE_CHANGE_MOVED, NOON, due_at=None, history=False)
    assert b"hidden" not in event.SerializeToString()


def overdue_from(case: Case, now: datetime) -> datetime | None:
    """Return from when on a case is overdue."""
    return domain.overdue_from(case, domain.default_clocks_of(case, now), now)


def test_a_new_case_is_overdue_as_its_clocks_say() -> None:
    assert domain.first_due_at(NOON) == overdue_from(case(), NOON) == NOON + timedelta(hours=24)


def test_a_contact_leaves_the_later_clocks() -> None:
    contact = Contact(at=domain.stamp_of(NOON + timedelta(hours=1)))
    after = domain.contacted(case(), contact, NOON + timedelta(hours=1))
    assert overdue_from(after, NOON + timedelta(hours=1)) == NOON + timedelta(hours=49)


def test_what_is_closed_is_never_overdue() -> None:
    after = domain.moved(case(), step(CASE_STATE_CLOSED), now=NOON)
    assert overdue_from(after, NOON + timedelta(days=9)) is None
