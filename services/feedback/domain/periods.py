"""The intervals of a series and the order of its groups. All times UTC."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

INTERVALS = ("day", "week", "month")
_MOST_INTERVALS = 5_000
_SHORTEST_DAYS = {"day": 1, "week": 7, "month": 28}
_DECEMBER = 12
_LAST_YEAR = 9_990


def start_of(interval: str, at: datetime) -> datetime:
    """Return the start of the day, ISO week (Monday) or month that holds an instant.

    It is what PostgreSQL's `date_trunc(interval, at, 'UTC')` returns.

    Args:
        interval: "day", "week" or "month".
        at: aware.
    """
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if interval == "week":
        return midnight - timedelta(days=midnight.weekday())
    return midnight.replace(day=1) if interval == "month" else midnight


def end_of(interval: str, at: datetime) -> datetime:
    """Return the end, exclusive, of the day, ISO week or month that holds an instant."""
    start = start_of(interval, at)
    if interval == "week":
        return start + timedelta(days=7)
    if interval == "day":
        return start + timedelta(days=1)
    if start.month == _DECEMBER:
        return start.replace(year=start.year + 1, month=1)
    return start.replace(month=start.month + 1)


def series_of(interval: str, from_at: datetime, to_at: datetime) -> list[tuple[datetime, datetime]]:
    """Cut a period into intervals without gaps.

    The cuts are those of the calendar, so that two answers of different periods agree on what a week is; the first and
    the last interval are clipped to the period, so that the series adds up to it.

    Args:
        interval: "day", "week" or "month".
        from_at: aware, inclusive.
        to_at: aware, exclusive; not after `from_at` means no interval.

    Returns:
        (from, to) pairs in order, from inclusive, to exclusive.
    """
    at, until = from_at.astimezone(UTC), to_at.astimezone(UTC)
    series = []
    while at < until:
        end = min(end_of(interval, at), until)
        series.append((at, end))
        at = end
    return series


def span_of(
    interval: str, from_at: datetime | None, to_at: datetime | None, seen: tuple[datetime, datetime] | None
) -> tuple[datetime, datetime] | None:
    """Return the period that a series covers when the caller left an end open.

    An open end is the first (last) interval that holds an answer, whole.

    Args:
        interval: "day", "week" or "month".
        from_at: what the caller asked for, inclusive.
        to_at: what the caller asked for, exclusive.
        seen: when the first and the last answer of the period were given; None without answers.

    Returns:
        (from, to), or None when an open end finds no answer.
    """
    if from_at and to_at:
        return from_at, to_at
    if seen is None:
        return None
    return from_at or start_of(interval, seen[0]), to_at or end_of(interval, seen[1])


def problem_with_period(
    interval: str | None, from_at: datetime | None, to_at: datetime | None
) -> tuple[str, str, str] | None:
    """Tell what is wrong with a KPI's period: (code, pointer, detail), or None."""
    if interval is not None and interval not in INTERVALS:
        return "INTERVAL_UNKNOWN", "?interval", "interval is one of day, week, month"
    if to_at is not None and to_at.year > _LAST_YEAR:
        return "PERIOD_INVALID", "?to", f"to must not be later than the year {_LAST_YEAR}"
    if from_at is None or to_at is None:
        return None
    if to_at < from_at:
        return "PERIOD_INVALID", "?to", "to must not be earlier than from"
    if interval and (to_at - from_at).days > _MOST_INTERVALS * _SHORTEST_DAYS[interval]:
        return "SERIES_TOO_LONG", "?interval", f"a series has at most {_MOST_INTERVALS} intervals: take a longer one"
    return None


def sorted_keys(keys: Iterable[str | None]) -> list[str | None]:
    """Return the keys of groups, each once, by code point; the group without a key comes last."""
    distinct = set(keys)
    known = sorted(key for key in distinct if key is not None)
    return [*known, None] if None in distinct else [*known]
