"""The three clocks of a case, as a function of what happened to it: nothing is counted up, so nothing drifts.

- first response runs from the opening to the first contact of any outcome.
- next response runs from each contact (and from a reopening after one) to the next contact or the closing. A case
  without a contact has none.
- resolution runs from the opening, and anew from each reopening, to the closing.

`waiting_customer` pauses the last two; a closed case pauses the first, a suppressed one all that are not met. A pause
moves `due_at` by its working seconds once it is over; while it lasts `due_at` stays and cannot be missed. `breached`
stays true once a clock, or one before it of the same name, was missed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from plaudit.feedback.v1.feedback_pb2 import (
    CASE_STATE_CLOSED,
    CASE_STATE_REOPENED,
    CASE_STATE_SUPPRESSED,
    CASE_STATE_UNSPECIFIED,
    CASE_STATE_WAITING_CUSTOMER,
    Case,
    CaseState,
    Clock,
    Clocks,
)

from .calendars import Calendar, add_working_seconds, working_seconds_between

Step = tuple[CaseState.ValueType, datetime]
"""The state that a case moved to, and when."""
Pause = tuple[datetime, datetime | None]
"""When a clock stood still: from, to; `to` None while it does."""


@dataclass(frozen=True, slots=True)
class SlaPolicy:
    """How fast a team promises to be, in working seconds of its calendar, each > 0."""

    first_response_seconds: int = 24 * 3_600
    next_response_seconds: int = 48 * 3_600
    resolution_seconds: int = 7 * 24 * 3_600


DEFAULT_POLICY = SlaPolicy()


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of a clock: from its start until it was met, gave up, or now."""

    due_at: datetime
    met_at: datetime | None
    is_paused: bool
    is_breached: bool


def clocks_of(case: Case, policy: SlaPolicy, calendar: Calendar, now: datetime) -> Clocks:
    """Return the clocks of a case as they stand at `now`.

    Args:
        case: with opened_at, contacts and history; the history's steps in order, times UTC.
        policy: how many working seconds each clock has.
        calendar: the owner team's.
        now: aware; not before the last step.

    Source: own definition.
    """
    opened_at = case.opened_at.ToDatetime(UTC)
    steps = [(step.to, step.at.ToDatetime(UTC)) for step in case.history]
    contacts = sorted(contact.at.ToDatetime(UTC) for contact in case.contacts)
    waits = _pauses(steps, (CASE_STATE_WAITING_CUSTOMER, CASE_STATE_SUPPRESSED))
    rests = _pauses(steps, (CASE_STATE_CLOSED, CASE_STATE_SUPPRESSED))
    watch = _Watch(calendar, now)
    first = watch.run(opened_at, policy.first_response_seconds, rests, contacts[0] if contacts else None)
    return Clocks(
        first_response=_clock_of([first]),
        next_response=_clock_of(_next_responses(watch, policy.next_response_seconds, waits, steps, contacts)),
        resolution=_clock_of(_resolutions(watch, policy.resolution_seconds, waits, steps, opened_at)),
    )


def next_due_at(clocks: Clocks, now: datetime) -> datetime | None:
    """Return when the next clock that runs will be missed, or None; what is past due already is not named again."""
    return min((at for at in _running_due(clocks) if at >= now), default=None)


def is_overdue(clocks: Clocks, now: datetime) -> bool:
    """Tell whether a clock is past due and still waits to be met; what is paused is not overdue."""
    return any(at < now for at in _running_due(clocks))


def _running_due(clocks: Clocks) -> list[datetime]:
    every = (clocks.first_response, clocks.next_response, clocks.resolution)
    running = (clock for clock in every if clock.HasField("due_at") and not clock.HasField("met_at"))
    return [clock.due_at.ToDatetime(UTC) for clock in running if not clock.paused]


@dataclass(frozen=True, slots=True)
class _Watch:
    """A calendar and the time."""

    calendar: Calendar
    now: datetime

    def run(self, start: datetime, seconds: int, pauses: Iterable[Pause], met_at: datetime | None) -> _Run:
        """Return one run of a clock, which stands still during the pauses, one begun before it is met included."""
        until = met_at or self.now
        within = [
            (begin, end if end is None or end <= until else None)
            for begin, end in pauses
            if begin < until and (end is None or end > start)
        ]
        due_at = self._due(start, seconds, within)
        stood_at = within[-1][0] if within and within[-1][1] is None else None
        is_paused = stood_at is not None and met_at is None
        return _Run(due_at, met_at, is_paused, (stood_at or until) > due_at)

    def _due(self, start: datetime, seconds: int, pauses: Sequence[Pause]) -> datetime:
        at, remaining = start, float(seconds)
        for begin, end in pauses:
            worked = working_seconds_between(at, begin, self.calendar)
            if worked >= remaining or end is None:
                break
            remaining -= worked
            at = end
        return add_working_seconds(at, remaining, self.calendar)


def _next_responses(
    watch: _Watch,
    seconds: int,
    pauses: Sequence[Pause],
    steps: Sequence[Step],
    contacts: Sequence[datetime],
) -> list[_Run]:
    """Return the runs of the next-response clock in order."""
    moves = [(at, to, False) for to, at in steps if to in (CASE_STATE_CLOSED, CASE_STATE_REOPENED)]
    calls = [(at, CASE_STATE_UNSPECIFIED, True) for at in contacts]
    runs = []
    start: datetime | None = None
    is_contacted = is_closed = False
    for at, to, is_contact in sorted(moves + calls, key=lambda event: event[0]):
        if start is not None:
            runs.append(watch.run(start, seconds, pauses, at))
        is_contacted = is_contacted or is_contact
        is_closed = to == CASE_STATE_CLOSED or (is_closed and is_contact)
        start = at if is_contacted and not is_closed else None
    if start is not None:
        runs.append(watch.run(start, seconds, pauses, None))
    return runs


def _resolutions(
    watch: _Watch, seconds: int, pauses: Sequence[Pause], steps: Sequence[Step], opened_at: datetime
) -> list[_Run]:
    """Return the runs of the resolution clock in order; the last one is the case's present one."""
    runs = []
    start: datetime | None = opened_at
    for to, at in steps:
        if to == CASE_STATE_REOPENED:
            start = at
        elif to == CASE_STATE_CLOSED and start is not None:
            runs.append(watch.run(start, seconds, pauses, at))
            start = None
    if start is not None:
        runs.append(watch.run(start, seconds, pauses, None))
    return runs


def _pauses(steps: Sequence[Step], states: tuple[CaseState.ValueType, ...]) -> list[Pause]:
    """Return when a case was in one of some states."""
    ends: list[datetime | None] = [*(at for _, at in steps[1:]), None]
    return [(at, end) for (to, at), end in zip(steps, ends, strict=False) if to in states]


def _clock_of(runs: Sequence[_Run]) -> Clock:
    """Show the last run, and whether any was missed."""
    if not runs:
        return Clock()
    last = runs[-1]
    is_breached = any(run.is_breached for run in runs)
    clock = Clock(paused=last.is_paused, breached=is_breached)
    clock.due_at.FromDatetime(last.due_at)
    if last.met_at is not None:
        clock.met_at.FromDatetime(last.met_at)
    return clock
