"""Arithmetic on business calendars: working seconds between two instants, and the instant so many of them later."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_A_DAY = 24 * 60
_TIME_LENGTH = len("09:00")
_SEARCH_DAYS = 3_660
"""How far ahead working time is looked for: ten years. A calendar without any in ten years has none."""

Span = tuple[int, int]
"""A shift on the wall clock: minutes from midnight, start inclusive, end exclusive, 0 to 1440."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """A business calendar, checked and ready for arithmetic; made by `calendar_of`.

    Attributes:
        timezone: IANA name.
        hours: seven tuples of shifts, Monday first; the shifts of a day are sorted and do not overlap.
        holidays: local dates without any working time.
    """

    timezone: str
    hours: tuple[tuple[Span, ...], ...]
    holidays: frozenset[date]

    @property
    def is_continuous(self) -> bool:
        """True when every second of every day is working time."""
        return not self.holidays and all(shifts == ((0, MINUTES_A_DAY),) for shifts in self.hours)


ALWAYS = Calendar("UTC", (((0, MINUTES_A_DAY),),) * 7, frozenset())
"""The default calendar: 24 hours, 7 days."""


def calendar_of(timezone: str, hours: Mapping[str, Sequence[Sequence[str]]], holidays: Sequence[str] = ()) -> Calendar:
    """Turn a calendar as partners write it into one for arithmetic.

    Args:
        timezone: IANA name.
        hours: weekday (`mon` to `sun`) to its shifts, each `[start, end]` as `HH:MM` local time, `24:00` allowed as an
            end; a weekday left out has none. A shift over midnight is two shifts.
        holidays: local dates, `YYYY-MM-DD`.

    Raises:
        ValueError: what `problem_with_calendar` names.
    """
    if problem := problem_with_calendar(timezone, hours, holidays):
        raise ValueError(problem[2])
    days = tuple(tuple(sorted(_span_of(shift) for shift in hours.get(weekday, ()))) for weekday in WEEKDAYS)
    return Calendar(timezone, days, frozenset(date.fromisoformat(day) for day in holidays))


def problem_with_calendar(
    timezone: str, hours: Mapping[str, Sequence[Sequence[str]]], holidays: Sequence[str] = ()
) -> tuple[str, str, str] | None:
    """Tell what is wrong with a calendar: (code, pointer, detail), or None."""
    if not _is_timezone(timezone):
        return "TIMEZONE_UNKNOWN", "/timezone", "timezone must be an IANA name"
    for weekday, shifts in hours.items():
        if weekday not in WEEKDAYS:
            return "HOURS_INVALID", "/hours", "hours has the keys mon, tue, wed, thu, fri, sat and sun only"
        if not _are_shifts(shifts):
            return "HOURS_INVALID", f"/hours/{weekday}", "shifts are [start, end] as HH:MM, start before end, apart"
    if not any(hours.values()):
        return "HOURS_INVALID", "/hours", "a calendar needs at least one shift"
    for index, day in enumerate(holidays):
        if not _is_date(day):
            return "HOLIDAY_INVALID", f"/holidays/{index}", "a holiday is a date, YYYY-MM-DD"
    return None


def add_working_seconds(start: datetime, seconds: float, calendar: Calendar) -> datetime:
    """Return the instant at which so many working seconds have passed.

    An amount that ends with a shift ends at the shift's end, not at the next one's start; 0 seconds is `start`.

    Args:
        start: aware; need not be working time.
        seconds: working seconds, >= 0.
        calendar: whose hours count.

    Returns:
        The instant, UTC.

    Raises:
        ValueError: the calendar has not enough working time in ten years.

    Source: own definition; local times that do not exist or exist twice by RFC 5545, section 3.3.5.
    """
    at = start.astimezone(UTC)
    if seconds <= 0:
        return at
    if calendar.is_continuous:
        return at + timedelta(seconds=seconds)
    remaining = timedelta(seconds=seconds)
    for opens_at, closes_at in _shifts_from(at, calendar):
        if closes_at - opens_at >= remaining:
            return opens_at + remaining
        remaining -= closes_at - opens_at
    message = "the calendar has not enough working time in the next ten years"
    raise ValueError(message)


def working_seconds_between(start: datetime, end: datetime, calendar: Calendar) -> float:
    """Return the working seconds from one instant to a later one; 0 when `end` is not later.

    Args:
        start: aware, inclusive.
        end: aware, exclusive.
        calendar: whose hours count.
    """
    at, until = start.astimezone(UTC), end.astimezone(UTC)
    if until <= at:
        return 0.0
    if calendar.is_continuous:
        return (until - at).total_seconds()
    worked = timedelta()
    for opens_at, closes_at in _shifts_from(at, calendar):
        if opens_at >= until:
            break
        worked += min(closes_at, until) - opens_at
    return worked.total_seconds()


def _shifts_from(at: datetime, calendar: Calendar) -> Iterator[tuple[datetime, datetime]]:
    """Yield what is left of the shifts from `at` on, in order and never overlapping, UTC."""
    first = at.astimezone(ZoneInfo(calendar.timezone)).date()
    ended_at = at
    for offset in range(_SEARCH_DAYS):
        for opens_at, closes_at in _shifts_of(calendar, first + timedelta(days=offset)):
            if closes_at > ended_at:
                yield max(opens_at, ended_at), closes_at
                ended_at = closes_at


@lru_cache(maxsize=8_192)
def _shifts_of(calendar: Calendar, day: date) -> tuple[tuple[datetime, datetime], ...]:
    """Return a local day's shifts in UTC. A clock change lengthens or shortens the shift that holds it."""
    if day in calendar.holidays:
        return ()
    zone = ZoneInfo(calendar.timezone)
    shifts = calendar.hours[day.weekday()]
    return tuple((_instant(day, start, zone), _instant(day, end, zone)) for start, end in shifts)


def _instant(day: date, minute: int, zone: ZoneInfo) -> datetime:
    """Return when a wall clock shows a time: the first of two, and by the offset before the gap when there is none."""
    days, rest = divmod(minute, MINUTES_A_DAY)
    local = datetime(day.year, day.month, day.day, rest // 60, rest % 60, tzinfo=zone) + timedelta(days=days)
    return local.astimezone(UTC)


def _span_of(shift: Sequence[str]) -> Span:
    start, end = shift
    return _minute_of(start), _minute_of(end)


def _minute_of(text: str) -> int:
    """Return minutes from midnight of `HH:MM`, or -1 when it is none."""
    hour, colon, minute = text.partition(":")
    if len(text) != _TIME_LENGTH or not (colon and text.isascii() and hour.isdigit() and minute.isdigit()):
        return -1
    total = int(hour) * 60 + int(minute)
    return total if int(minute) <= 59 and total <= MINUTES_A_DAY else -1


def _are_shifts(shifts: Sequence[Sequence[str]]) -> bool:
    if any(len(shift) != len(("start", "end")) for shift in shifts):
        return False
    spans = sorted(_span_of(shift) for shift in shifts)
    ends = [0, *(end for _, end in spans)]
    return all(start >= 0 and ended <= start < end for (start, end), ended in zip(spans, ends, strict=False))


@lru_cache(maxsize=1_024)
def _is_timezone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return False
    return True


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
