"""What holds for every case until a tenant says otherwise: the team, its calendar, its promise. In one place."""

from datetime import UTC, datetime

from plaudit.feedback.v1.feedback_pb2 import Case, Clocks

from .calendars import ALWAYS, add_working_seconds
from .cases import is_open
from .clocks import DEFAULT_POLICY, clocks_of

DEFAULT_TEAM = "default"


def default_clocks_of(case: Case, now: datetime) -> Clocks:
    """Return the clocks of a case by the default policy on the default calendar."""
    return clocks_of(case, DEFAULT_POLICY, ALWAYS, now)


def first_due_at(opened_at: datetime) -> datetime:
    """Return from when on a case that is opened is overdue if nothing happens: what `overdue_from` says of it."""
    soonest = min(DEFAULT_POLICY.first_response_seconds, DEFAULT_POLICY.resolution_seconds)
    return add_working_seconds(opened_at, soonest, ALWAYS)


def overdue_from(case: Case, clocks: Clocks, now: datetime) -> datetime | None:
    """Return from when on a case is overdue if nothing more happens, or None when no clock of it runs.

    A clock that stands still counts only if it was missed before it stood.

    Args:
        case: whose clocks these are.
        clocks: as of `now`.
        now: aware.
    """
    if not is_open(case.state):
        return None
    unmet = [
        (clock.due_at.ToDatetime(UTC), clock.paused)
        for clock in (clocks.first_response, clocks.next_response, clocks.resolution)
        if clock.HasField("due_at") and not clock.HasField("met_at")
    ]
    return min((due_at for due_at, is_paused in unmet if not is_paused or due_at <= now), default=None)
