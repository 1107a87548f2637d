"""A case after a step, a contact or a change of its fields. Whether it may happen is asked in `cases` before."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal, get_args

from plaudit.feedback.v1.feedback_events_pb2 import (
    CASE_CHANGE_CLOSED,
    CASE_CHANGE_MOVED,
    CASE_CHANGE_REOPENED,
    CaseChange,
    CaseChanged,
)
from plaudit.feedback.v1.feedback_pb2 import (
    CASE_STATE_CLOSED,
    CASE_STATE_REOPENED,
    CONFIRMATION_UNSPECIFIED,
    Case,
    CaseState,
    CaseStep,
    Confirmation,
    Contact,
)

from .cases import confirmation_after
from .times import stamp_of

AT_LEEWAY = timedelta(seconds=60)
"""How far a caller's clock may go ahead or behind before a time counts as the future or the past."""

Updatable = Literal["owner", "external_ref", "external_url"]
UPDATABLE: tuple[Updatable, ...] = get_args(Updatable)


def settled_at(at: datetime | None, now: datetime) -> datetime:
    """Return when a step takes place: now where no time is given or a clock goes slightly ahead."""
    if at is None or now < at <= now + AT_LEEWAY:
        return now
    return at


def is_past(at: datetime, now: datetime) -> bool:
    """Tell whether a step is loaded from the past, so that nothing is sent for it."""
    return at < now - AT_LEEWAY


def moved(
    case: Case,
    step: CaseStep,
    *,
    now: datetime,
    root_cause: str = "",
    confirmation: Confirmation.ValueType = CONFIRMATION_UNSPECIFIED,
) -> Case:
    """Return a case after a step that it may take; its clocks are still the old ones."""
    after = _changed(case, now)
    after.history.append(step)
    after.state = step.to
    if root_cause:
        after.root_cause = root_cause
    if said := confirmation_after(step.to, confirmation):
        after.confirmation = said
    else:
        after.ClearField("confirmation")
    return after


def contacted(case: Case, contact: Contact, now: datetime) -> Case:
    """Return a case after an attempt to speak with the customer; its clocks are still the old ones."""
    after = _changed(case, now)
    after.contacts.append(contact)
    return after


def updated(case: Case, values: Iterable[tuple[Updatable, str | None]], now: datetime) -> Case:
    """Return a case with some of its `UPDATABLE` fields set, or cleared where the value is None.

    What changes nothing returns the case as it was, version included.
    """
    after = _changed(case, now)
    is_same = True
    for name, value in values:
        old = getattr(case, name) if case.HasField(name) else None
        is_same = is_same and old == value
        if value is None:
            after.ClearField(name)
        else:
            setattr(after, name, value)
    return case if is_same else after


def change_of(to: CaseState.ValueType) -> CaseChange.ValueType:
    """Return what a step is called when the others are told of it."""
    changes = {CASE_STATE_CLOSED: CASE_CHANGE_CLOSED, CASE_STATE_REOPENED: CASE_CHANGE_REOPENED}
    return changes.get(to, CASE_CHANGE_MOVED)


def case_event(
    case: Case, change: CaseChange.ValueType, at: datetime, *, due_at: datetime | None, history: bool
) -> CaseChanged:
    """Return what the others are told of a case that changed: where it stands, never what was noted."""
    event = CaseChanged(
        change=change,
        case_id=case.case_id,
        state=case.state,
        urgency=case.urgency,
        opened_at=case.opened_at,
        changed_at=stamp_of(at),
        version=case.version,
        history=history,
        team=case.team,
        due_at=stamp_of(due_at),
    )
    if case.HasField("customer_id"):
        event.customer_id = case.customer_id
    if case.HasField("confirmation"):
        event.confirmation = case.confirmation
    return event


def _changed(case: Case, now: datetime) -> Case:
    after = Case()
    after.CopyFrom(case)
    after.version += 1
    after.updated_at.FromDatetime(now)
    return after
