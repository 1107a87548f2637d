"""The advocacy score, version 1: signals with weights, their decay, and the evidence that adds up to the value.

All numbers are whole micro-points (1,000,000 = 1 point), so sums are exact in any order.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from math import exp2, floor
from typing import NamedTuple

from plaudit.feedback.v1.feedback_pb2 import METRIC_CES, METRIC_CSAT, METRIC_NPS, Metric
from plaudit.profile.v1.profile_events_pb2 import ActivityRecorded

MODEL_VERSION = "1"
POINT = 1_000_000
BASE = 50 * POINT
LOWEST, HIGHEST = 0, 100 * POINT
HALF_LIFE_DAYS = 90

SATISFACTION, LOYALTY, ADVOCACY, INFLUENCE = "satisfaction", "loyalty", "advocacy", "influence"
DIMENSIONS = (SATISFACTION, LOYALTY, ADVOCACY, INFLUENCE)

ANSWERS: Mapping[int, tuple[tuple[int, str, int], ...]] = {
    METRIC_NPS: ((9, "nps.promoter", 20), (7, "nps.passive", 3), (0, "nps.detractor", -25)),
    METRIC_CSAT: ((4, "csat.satisfied", 8), (3, "csat.neutral", 0), (1, "csat.dissatisfied", -12)),
    METRIC_CES: ((6, "ces.easy", 5), (4, "ces.neutral", 0), (1, "ces.difficult", -8)),
}
"""Metric -> (lowest score of the class, its signal, its weight in points), the best class first."""

ACTIVITIES: Mapping[str, int] = {
    "service_visit.completed": 3,
    "purchase.completed": 2,
    "subscription.started": 0,
    "subscription.renewed": 6,
    "subscription.upgraded": 8,
    "subscription.downgraded": -8,
    "subscription.cancelled": -30,
    "support.opened": -4,
    "support.resolved": 4,
    "device.alert": -2,
    "device.recovered": 2,
}
"""Activity type -> weight in points; all of them are loyalty. Other types are no signal, but for verified acts."""

ACTS = frozenset(
    {
        "newsletter.forwarded",
        "social.shared",
        "reference.given",
        "beta.joined",
        "review.published",
        "event.spoken",
        "community.helped",
    }
)
"""Activity types that are acts of advocacy: a signal once verified."""

_ACT, _ACT_INCENTIVISED, _ACT_UNSOLICITED = 10 * POINT, 3 * POINT, 15 * POINT


class Signal(NamedTuple):
    """What a fact says about a customer: its name, its dimension, and its weight in micro-points."""

    signal: str
    dimension: str
    weight: int


class Entry(NamedTuple):
    """One row of a customer's signal ledger.

    Attributes:
        kind: of the source fact, such as "response" or "activity".
        id: of the source fact.
        signal: the signal's name.
        dimension: one of DIMENSIONS.
        occurred_at: of the source fact, UTC.
        weight: micro-points, undecayed.
    """

    kind: str
    id: str
    signal: str
    dimension: str
    occurred_at: datetime
    weight: int


class Evidence(NamedTuple):
    """One item of a score; kind, id, dimension and occurred_at are None for the base and the clamp.

    Attributes:
        contribution: micro-points, decayed.
    """

    signal: str
    kind: str | None
    id: str | None
    dimension: str | None
    occurred_at: datetime | None
    contribution: int


class Score(NamedTuple):
    """A customer's score in micro-points.

    Attributes:
        value: 0 to 100,000,000; None without a signal.
        dimensions: each of DIMENSIONS, 0 where it has no signal; empty without any signal.
        evidence: the base, the entries by occurred_at and id, the clamp where there is one; they sum to the value.
    """

    value: int | None
    dimensions: Mapping[str, int]
    evidence: tuple[Evidence, ...]


UNKNOWN = Score(None, {}, ())


def signal_of_answer(metric: Metric.ValueType, score: int | None) -> Signal | None:
    """Return what an answer says, or None for one without a score."""
    if score is None:
        return None
    for lowest, signal, points in ANSWERS.get(metric, ()):
        if score >= lowest:
            return Signal(signal, SATISFACTION, points * POINT)
    return None


def signal_of_activity(activity: ActivityRecorded) -> Signal | None:
    """Return what an activity says, or None: acts count once verified, and most other types do not count.

    An act is incentivised when it says so, or names an incentive and says nothing; solicited unless it says no.
    """
    activity_type = activity.type
    points = ACTIVITIES.get(activity_type)
    if points is not None:
        return Signal(activity_type, LOYALTY, points * POINT)
    if activity_type not in ACTS or not activity.verified:
        return None
    incentivised = activity.incentivised if activity.HasField("incentivised") else activity.has_incentive
    solicited = activity.solicited or not activity.HasField("solicited")
    return Signal(activity_type, ADVOCACY, weight_of_act(solicited=solicited, incentivised=incentivised))


def signal_of_referral(*, pays_referrer: bool) -> Signal:
    """Return what a converted referral says of its referrer: a verified, solicited act, incentivised if it pays."""
    return Signal("referral.converted", INFLUENCE, weight_of_act(solicited=True, incentivised=pays_referrer))


def weight_of_act(*, solicited: bool, incentivised: bool) -> int:
    """Return the micro-points of a verified act: 10 points, x 0.3 if incentivised, else x 1.5 if unsolicited."""
    if incentivised:
        return _ACT_INCENTIVISED
    return _ACT if solicited else _ACT_UNSOLICITED


def score_of(entries: Iterable[Entry], as_of: datetime) -> Score:
    """Fold a customer's ledger into the score at an instant.

    Per UTC day and dimension the weights are summed, the sum is decayed by 2^(-age / 90) and rounded once, half-even.
    The entries of that day and dimension share that figure by largest remainder: each gets its own decayed weight
    rounded down, and what is left goes micro-point by micro-point to the largest fractions (then the earliest, then
    the smallest id). The order of the entries does not matter.

    Args:
        entries: each source fact once, times aware.
        as_of: aware. Age is whole UTC days up to its date, at least 0: what lies ahead counts in full.

    Source: own definition; exponential decay with a half-life of 90 days.
    """
    ordered = sorted(entries, key=_place)
    if not ordered:
        return UNKNOWN
    days: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
    for index, entry in enumerate(ordered):
        days[_day_of(entry.occurred_at), entry.dimension].append(index)
    today = _day_of(as_of)
    contributions = [0] * len(ordered)
    dimensions = dict.fromkeys(DIMENSIONS, 0)
    for (day, dimension), group in days.items():
        shares = _shares([ordered[index].weight for index in group], decay_factor(today - day))
        dimensions[dimension] += sum(shares)
        for index, share in zip(group, shares, strict=True):
            contributions[index] = share
    total = BASE + sum(dimensions.values())
    value = min(max(total, LOWEST), HIGHEST)
    return Score(value, dimensions, _evidence(ordered, contributions, value - total))


@lru_cache(maxsize=65_536)
def decay_factor(age_days: int) -> float:
    """Return what is left of a weight after so many days, 1 at 0 days or fewer, 1/2 at 90."""
    return exp2(-max(age_days, 0) / HALF_LIFE_DAYS)


def _shares(weights: list[int], factor: float) -> list[int]:
    """Decay the sum of a day's weights, round it once, and share it out; the earlier of two alike comes first."""
    if len(weights) == 1:
        return [round(weights[0] * factor)]
    decayed = [weight * factor for weight in weights]
    shares = [floor(share) for share in decayed]
    left = round(sum(weights) * factor) - sum(shares)
    by_fraction = sorted(range(len(weights)), key=lambda index: shares[index] - decayed[index])
    for index in by_fraction[:left]:
        shares[index] += 1
    return shares


def _evidence(ordered: list[Entry], contributions: list[int], clamp: int) -> tuple[Evidence, ...]:
    base = Evidence("base", None, None, None, None, BASE)
    items = [
        Evidence(entry.signal, entry.kind, entry.id, entry.dimension, entry.occurred_at, contribution)
        for entry, contribution in zip(ordered, contributions, strict=True)
    ]
    end = [Evidence("clamp", None, None, None, None, clamp)] if clamp else []
    return (base, *items, *end)


def _place(entry: Entry) -> tuple[datetime, str, str]:
    return entry.occurred_at, entry.id, entry.kind


def _day_of(at: datetime) -> int:
    """Return the number of an instant's UTC day."""
    return (at if at.tzinfo is UTC else at.astimezone(UTC)).toordinal()
