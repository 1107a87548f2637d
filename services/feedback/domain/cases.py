"""When an answer needs a follow-up, and how a case may move. Its clocks are in `clocks`."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from plaudit.feedback.v1.feedback_pb2 import (
    CASE_STATE_ACKNOWLEDGED,
    CASE_STATE_ACTION_TAKEN,
    CASE_STATE_CLOSED,
    CASE_STATE_IN_PROGRESS,
    CASE_STATE_OPEN,
    CASE_STATE_REOPENED,
    CASE_STATE_SUPPRESSED,
    CASE_STATE_UNSPECIFIED,
    CASE_STATE_WAITING_CUSTOMER,
    CONFIRMATION_NOT_ASKED,
    CONFIRMATION_UNSPECIFIED,
    CONTACT_OUTCOME_UNSPECIFIED,
    METRIC_CES,
    METRIC_CSAT,
    METRIC_NPS,
    URGENCY_HIGH,
    URGENCY_NORMAL,
    Case,
    CaseState,
    Confirmation,
    Contact,
    Metric,
    Urgency,
)

from .responses import MOST_CODE_POINTS, Problem

ACT_WITHIN = timedelta(days=14)
"""What is older than this on arrival updates the picture and causes nothing."""

OPENS_CASE = "OPENS_CASE"
TOO_OLD = "TOO_OLD"
ANONYMOUS = "ANONYMOUS"

_NEGATIVE_TO: Mapping[int, int] = {METRIC_NPS: 6, METRIC_CSAT: 2, METRIC_CES: 3}
_OPENS_CASE_TO: Mapping[int, int] = {METRIC_NPS: 6, METRIC_CSAT: 2, METRIC_CES: 2}

_STEPS: Mapping[int, tuple[CaseState.ValueType, ...]] = {
    CASE_STATE_OPEN: (CASE_STATE_ACKNOWLEDGED, CASE_STATE_SUPPRESSED),
    CASE_STATE_ACKNOWLEDGED: (CASE_STATE_IN_PROGRESS, CASE_STATE_WAITING_CUSTOMER),
    CASE_STATE_IN_PROGRESS: (CASE_STATE_ACTION_TAKEN, CASE_STATE_WAITING_CUSTOMER),
    CASE_STATE_ACTION_TAKEN: (CASE_STATE_CLOSED, CASE_STATE_WAITING_CUSTOMER),
    CASE_STATE_CLOSED: (CASE_STATE_REOPENED,),
    CASE_STATE_REOPENED: (CASE_STATE_IN_PROGRESS,),
    CASE_STATE_SUPPRESSED: (),
}


def is_negative(metric: Metric.ValueType, score: int) -> bool:
    """Tell whether an answer is negative: NPS 0-6, CSAT 1-2, CES 1-3."""
    return score <= _NEGATIVE_TO.get(metric, -1)


def case_verdict(
    metric: Metric.ValueType, score: int | None, customer_id: str, occurred_at: datetime, received_at: datetime
) -> str | None:
    """Decide what follows from an answer.

    Args:
        metric: of the answer.
        score: None for an answer of words only.
        customer_id: whom it names, else whom its invitation leads to, else empty.
        occurred_at: when it was given.
        received_at: when it came; for loaded history the same.

    Returns:
        OPENS_CASE (or joins the customer's open one) for NPS 0-6, CSAT 1-2, CES 1-2; the reason of the suppression,
        TOO_OLD (more than 14 days on arrival) before ANONYMOUS (no customer); None when it is no trigger.
    """
    if score is None or score > _OPENS_CASE_TO.get(metric, -1):
        return None
    if received_at - occurred_at > ACT_WITHIN:
        return TOO_OLD
    return OPENS_CASE if customer_id else ANONYMOUS


def urgency_after(urgency: Urgency.ValueType, num_triggers: int) -> Urgency.ValueType:
    """Return a case's urgency once it has so many triggers: the first makes it normal, the second at least high."""
    least = URGENCY_HIGH if num_triggers > 1 else URGENCY_NORMAL
    return max(urgency, least)


def is_open(state: CaseState.ValueType) -> bool:
    """Tell whether a case is open: every state but closed and suppressed."""
    return state not in (CASE_STATE_UNSPECIFIED, CASE_STATE_CLOSED, CASE_STATE_SUPPRESSED)


def steps_from(case: Case) -> tuple[CaseState.ValueType, ...]:
    """Return the states to which a case may move now; from waiting_customer, the one it came from."""
    if case.state == CASE_STATE_WAITING_CUSTOMER:
        return (_state_before_waiting(case),)
    return _STEPS.get(case.state, ())


def problem_with_transition(
    case: Case,
    to: CaseState.ValueType,
    *,
    note: str = "",
    root_cause: str = "",
    confirmation: Confirmation.ValueType = CONFIRMATION_UNSPECIFIED,
) -> Problem | None:
    """Tell why a case may not move so, or None.

    Args:
        case: as it is, with its history.
        to: the state to reach.
        note: needed to suppress; at most 4,000 code points.
        root_cause: needed to reach action_taken from in_progress.
        confirmation: only when closing.

    Returns:
        TRANSITION_NOT_ALLOWED (a conflict with the state), else ROOT_CAUSE_MISSING, NOTE_MISSING,
        CONFIRMATION_NOT_ALLOWED or ITEM_TOO_LARGE (faults of the request), each (code, pointer, detail).
    """
    steps = steps_from(case)
    if to not in steps:
        names = ", ".join(CaseState.Name(step).removeprefix("CASE_STATE_").lower() for step in steps)
        return "TRANSITION_NOT_ALLOWED", "/to", f"from here a case goes to: {names or 'nowhere'}"
    if to == CASE_STATE_ACTION_TAKEN and case.state == CASE_STATE_IN_PROGRESS and not root_cause.strip():
        return "ROOT_CAUSE_MISSING", "/root_cause", "action_taken needs a root_cause"
    if to == CASE_STATE_SUPPRESSED and not note.strip():
        return "NOTE_MISSING", "/note", "suppressed needs a note that says why"
    if to != CASE_STATE_CLOSED and confirmation != CONFIRMATION_UNSPECIFIED:
        return "CONFIRMATION_NOT_ALLOWED", "/confirmation", "only closed carries a confirmation"
    for pointer, text in (("/note", note), ("/root_cause", root_cause)):
        if len(text) > MOST_CODE_POINTS:
            return "ITEM_TOO_LARGE", pointer, f"a text has at most {MOST_CODE_POINTS} characters"
    return None


def confirmation_after(to: CaseState.ValueType, confirmation: Confirmation.ValueType) -> Confirmation.ValueType:
    """Return the confirmation that a case carries after a step: closed without one is not_asked, else none."""
    if to != CASE_STATE_CLOSED:
        return CONFIRMATION_UNSPECIFIED
    return confirmation or CONFIRMATION_NOT_ASKED


def problem_with_contact(contact: Contact) -> Problem | None:
    """Tell what a contact lacks, or None: CONTACT_INCOMPLETE."""
    if not contact.by.strip():
        return "CONTACT_INCOMPLETE", "/by", "a contact needs by: who tried"
    if not contact.channel.strip():
        return "CONTACT_INCOMPLETE", "/channel", "a contact needs its channel"
    if contact.outcome == CONTACT_OUTCOME_UNSPECIFIED:
        return "CONTACT_INCOMPLETE", "/outcome", "the outcome is one of reached, left_message, failed"
    return None


def last_step_at(case: Case) -> datetime:
    """Return when a case last moved, or was opened."""
    times = [case.opened_at.ToDatetime(UTC), *(step.at.ToDatetime(UTC) for step in case.history)]
    return max(times)


def problem_with_at(case: Case, at: datetime, now: datetime) -> Problem | None:
    """Tell why a step or contact cannot have been then, or None.

    Args:
        case: as it is, with its history.
        at: aware; may be in the past (the scope for that is checked at the edge).
        now: aware.

    Returns:
        AT_IN_FUTURE (later than now) or AT_BEFORE_LAST_STEP (earlier than the case last moved or was opened).
    """
    if at > now:
        return "AT_IN_FUTURE", "/at", "at must not be in the future"
    if at < last_step_at(case):
        return "AT_BEFORE_LAST_STEP", "/at", "at must not be before the case's last step"
    return None


def _state_before_waiting(case: Case) -> CaseState.ValueType:
    for step in reversed(case.history):
        if step.to != CASE_STATE_WAITING_CUSTOMER:
            return step.to
    return CASE_STATE_ACKNOWLEDGED
