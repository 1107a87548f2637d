"""The signal ledger's rows: which facts are signals, of whom, and from when on they count."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from math import ceil, log2
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from plaudit.feedback.v1.feedback_events_pb2 import ResponseRecorded
from plaudit.profile.v1.profile_events_pb2 import ActivityRecorded
from plaudit.scoring.v1.scoring_service_pb2 import Interval

from .score import (
    BASE,
    DIMENSIONS,
    HALF_LIFE_DAYS,
    HIGHEST,
    LOWEST,
    POINT,
    UNKNOWN,
    Entry,
    Score,
    decay_factor,
    signal_of_activity,
    signal_of_answer,
)

RESPONSE, ACTIVITY = "response", "activity"
"""Kinds of sources."""
REPLAY = "replay"
"""The job that computes every score anew."""
LOOK, DRIFT = "score", "drift"
"""Kinds of timers: scores to look at, and days on which time alone moves some."""
_MARK, _MARKED_AT_ONCE = "/", 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Row(NamedTuple):
    """One signal of one customer.

    Attributes:
        customer_id: whose signal it is.
        entry: what it says.
        counts_from: when it was first both true and known, UTC: `occurred_at`, or the time of receipt where that is
            earlier. A score as of an earlier instant leaves it out.
    """

    customer_id: str
    entry: Entry
    counts_from: datetime


class Sum(NamedTuple):
    """The weights of one customer, UTC day and dimension, added up, in micro-points."""

    day: date
    dimension: str
    weight: int


class News(NamedTuple):
    """What is told of a score.

    Attributes:
        score: as of now.
        version: one more than that of what was told before.
        moves_on: the UTC day on which time alone will have moved it by a point; None for never.
    """

    score: Score
    version: int
    moves_on: date | None


def row_of_answer(answer: ResponseRecorded) -> Row | None:
    """Return the ledger row of an answer, or None where it names nobody or has no score."""
    if not answer.customer_id or not answer.HasField("score"):
        return None
    if (signal := signal_of_answer(answer.metric, answer.score)) is None:
        return None
    occurred_at, counts_from = _times(answer)
    entry = Entry(RESPONSE, answer.response_id, signal.signal, signal.dimension, occurred_at, signal.weight)
    return Row(answer.customer_id, entry, counts_from)


def row_of_activity(activity: ActivityRecorded) -> Row | None:
    """Return the ledger row of an activity, or None where it names nobody or is no signal."""
    if not activity.customer_id or (signal := signal_of_activity(activity)) is None:
        return None
    occurred_at, counts_from = _times(activity)
    entry = Entry(ACTIVITY, activity.activity_id, signal.signal, signal.dimension, occurred_at, signal.weight)
    return Row(activity.customer_id, entry, counts_from)


def _times(fact: ResponseRecorded | ActivityRecorded) -> tuple[datetime, datetime]:
    occurred_at = _instant(fact.occurred_at)
    return occurred_at, min(occurred_at, _instant(fact.received_at)) if fact.HasField("received_at") else occurred_at


def _instant(at: Timestamp) -> datetime:
    # A third of what `ToDatetime` costs, and every fact has two.
    return _EPOCH + timedelta(seconds=at.seconds, microseconds=at.nanos // 1000)


def totals_of(sums: Iterable[Sum], as_of: datetime) -> Score:
    """Return the score without its evidence: the same figures as `score_of` finds from the single rows.

    Args:
        sums: each day and dimension once.
        as_of: UTC.
    """
    today = as_of.toordinal()
    dimensions: dict[str, int] = {}
    for day, dimension, weight in sums:
        decayed = round(weight * decay_factor(today - day.toordinal()))
        dimensions[dimension] = dimensions.get(dimension, 0) + decayed
    if not dimensions:
        return UNKNOWN
    filled = {dimension: dimensions.get(dimension, 0) for dimension in DIMENSIONS}
    return Score(min(max(BASE + sum(filled.values()), LOWEST), HIGHEST), filled, ())


def points_of(rows: Iterable[Row], instants: Sequence[datetime]) -> Iterator[tuple[datetime, Score]]:
    """Compute the score as of many instants, from the ledger as it is today.

    Args:
        rows: of one customer.
        instants: UTC, ascending.

    Yields:
        Each instant with its score, without evidence.
    """
    waiting = sorted(rows, key=lambda row: row.counts_from, reverse=True)
    weights: dict[tuple[date, str], int] = {}
    for at in instants:
        while waiting and waiting[-1].counts_from <= at:
            entry = waiting.pop().entry
            place = (entry.occurred_at.date(), entry.dimension)
            weights[place] = weights.get(place, 0) + entry.weight
        yield at, totals_of((Sum(day, dimension, weight) for (day, dimension), weight in weights.items()), at)


def marks_of(customer_ids: Iterable[str], batch: str) -> list[str]:
    """Return the timers' ids under which the scores of many customers are looked at again.

    Args:
        customer_ids: any number; a slash is in none of them. Up to 16 share an id.
        batch: makes these ids differ from those of other batches.
    """
    ordered = sorted(customer_ids)
    parts = (ordered[start : start + _MARKED_AT_ONCE] for start in range(0, len(ordered), _MARKED_AT_ONCE))
    return [_MARK.join((*part, "", batch)) for part in parts]


def customers_of(timer_ids: Iterable[str]) -> list[str]:
    """Return the customers behind timers' ids, each once and sorted: plain customer ids, and what `marks_of` made."""
    found = set()
    for timer_id in timer_ids:
        found.update(timer_id.partition(_MARK * 2)[0].split(_MARK))
    return sorted(found)


def has_moved(told: int | None, value: int | None) -> bool:
    """Say whether a score differs by a point or more from the one told last, or has got or lost its value."""
    if told is None or value is None:
        return told is not value
    return abs(value - told) >= POINT


def days_until_moved(dimensions: Mapping[str, int], told: int | None) -> int | None:
    """Return in how many days time alone will have moved a score by a point, or None for never.

    All weights decay by the same factor, so what stands above or below the base halves every 90 days.

    Args:
        dimensions: micro-points at the present day.
        told: the value told last, micro-points.

    Returns:
        Days, at least 1. Rounding may make it a day early: whoever wakes then looks again.
    """
    above = sum(dimensions.values())
    if told is None or not has_moved(told, BASE):
        return None
    side = 1 if above > 0 else -1
    then = side * (told - BASE) - POINT
    if not above or then < 0:
        return None
    # Half a micro-point is what rounding may add; the last term is what a float may be wrong by.
    days = HALF_LIFE_DAYS * log2(max(side * above / (then + 0.5), 1))
    return max(ceil(days - 1e-9), 1)


def day_of_move(score: Score, told: int | None, now: datetime) -> date | None:
    """Return the UTC day on which time alone will have moved a score by a point from what was told, or None."""
    days = days_until_moved(score.dimensions, told)
    return None if days is None else now.date() + timedelta(days=days)


def news_of(score: Score, version: int, now: datetime) -> News:
    """Return what is told of a score that is worked out now, UTC."""
    return News(score, version, day_of_move(score, score.value, now))


def boundaries(after: datetime, end: datetime, interval: "Interval.ValueType", limit: int) -> list[datetime]:
    """Return the ends of the intervals between two instants, oldest first.

    Args:
        after: exclusive, UTC.
        end: the last one, whether it ends an interval or not, UTC, later than `after`.
        interval: all boundaries are midnights UTC; days where it is unspecified.
        limit: how many to return at most.
    """
    found: list[datetime] = []
    at = _next_boundary(after, interval)
    while at < end and len(found) < limit:
        found.append(at)
        at = _next_boundary(at, interval)
    return found if len(found) == limit else [*found, end]


def _next_boundary(at: datetime, interval: "Interval.ValueType") -> datetime:
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    if interval == Interval.INTERVAL_MONTH:
        return (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
    if interval == Interval.INTERVAL_WEEK:
        return midnight + timedelta(days=7 - midnight.weekday())
    return midnight + timedelta(days=1)
