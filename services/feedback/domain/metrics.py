"""NPS, CSAT and CES with their errors and intervals, from how often each score was given.

Every function takes `counts`: score -> number of answers with it, >= 0. Answers without a score are in no count. Sums
are whole numbers until the last step, and nothing is rounded.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from .distributions import Z_95, student_quantile_95

Counts = Mapping[int, int]

PROMOTER, PASSIVE, DETRACTOR = "promoter", "passive", "detractor"
_PROMOTER_FROM = 9
_DETRACTOR_TO = 6
_SATISFIED_FROM = 4
_EASY_FROM = 5
_CES_LOWEST, _CES_HIGHEST = 1.0, 7.0

ADDED_ANSWERS = 3.0
"""Answers that the adjusted Wald method adds to n: 3/4 promoters, 3/4 detractors, 3/2 passives."""
ADDED_EXTREMES = 0.75


class Estimate(NamedTuple):
    """A KPI over one set of answers; value, se, low and high in the KPI's own unit.

    Attributes:
        n: answers, >= 0.
        value: None when n = 0.
        se: standard error of the value; None where it cannot be known (n = 0; a mean of 1 answer).
        low: lower end of the 95 % interval, cut at the end of the scale; None as `se`.
        high: upper end of it.
    """

    n: int
    value: float | None
    se: float | None
    low: float | None
    high: float | None


NOTHING = Estimate(0, None, None, None, None)


def category_of(score: int) -> str:
    """Sort one answer into its Net Promoter category.

    Args:
        score: likelihood to recommend, 0 to 10 inclusive (from 1 on the scale "1-10").

    Returns:
        "detractor" (0-6), "passive" (7-8) or "promoter" (9-10).

    Source: Reichheld, "The One Number You Need to Grow", HBR, December 2003.
    """
    if score <= _DETRACTOR_TO:
        return DETRACTOR
    return PROMOTER if score >= _PROMOTER_FROM else PASSIVE


def net_of(score: int) -> int:
    """Return what one answer adds to promoters less detractors: 1, 0 or -1."""
    return int(score >= _PROMOTER_FROM) - int(score <= _DETRACTOR_TO)


def nps(counts: Counts) -> Estimate:
    """Return the Net Promoter Score, -100 to 100.

    The value and `se` are the plain ones of the trinomial, 100 (p - d) and 100 sqrt((p + d - (p - d)^2) / n). The
    interval is the adjusted Wald one, with z = 1.96: it is centred on the score of n + 3 answers, promoters + 3/4 and
    detractors + 3/4, with that score's trinomial error. So it has a width when all answers are alike, and with very
    few of them it may leave out the value.

    Source: Reichheld, HBR, December 2003; Rocks, "Interval Estimation for the Net Promoter Score", The American
        Statistician 70(4), 2016.
    """
    n, promoters, detractors = net_counts(counts)
    if n == 0:
        return NOTHING
    _, variance = net_moments(n, promoters, detractors)
    centre, adjusted = adjusted_moments(n, promoters, detractors)
    half = Z_95 * math.sqrt(adjusted / (n + ADDED_ANSWERS))
    return Estimate(
        n,
        100.0 * (promoters - detractors) / n,
        100.0 * math.sqrt(variance / n),
        _cut(100.0 * (centre - half), -100.0, 100.0),
        _cut(100.0 * (centre + half), -100.0, 100.0),
    )


def nps_clustered(counts: Counts, clusters: Iterable[tuple[int, int]]) -> Estimate:
    """Return the Net Promoter Score with an error that knows who answered more than once.

    The value is that of `nps`. Answers of one cluster (an account, or a customer) may agree with each other, so the
    error is that of a ratio of cluster totals; the three added answers of the interval stand alone. With one answer a
    cluster it is the same as `nps`.

    Args:
        counts: score -> answers.
        clusters: per cluster its answers and its promoters less detractors; together they are `counts`.

    Source: own definition: Rocks 2016 with the linearised ratio variance of Cochran, Sampling Techniques, 1977,
        section 9A, without a correction for few clusters.
    """
    n, promoters, detractors = net_counts(counts)
    if n == 0:
        return NOTHING
    totals = list(clusters)
    mean = (promoters - detractors) / n
    centre, _ = adjusted_moments(n, promoters, detractors)
    plain = sum((net - size * mean) ** 2 for size, net in totals)
    adjusted = sum((net - size * centre) ** 2 for size, net in totals) + added_squares(centre)
    half = Z_95 * math.sqrt(adjusted) / (n + ADDED_ANSWERS)
    return Estimate(
        n,
        100.0 * (promoters - detractors) / n,
        100.0 * math.sqrt(plain) / n,
        _cut(100.0 * (centre - half), -100.0, 100.0),
        _cut(100.0 * (centre + half), -100.0, 100.0),
    )


def csat(counts: Counts) -> Estimate:
    """Return the share of satisfied answers (4 and 5 of 1 to 5), percent, with Wilson's interval.

    Source: top-2-box by convention; Wilson, "Probable Inference, the Law of Succession, and Statistical Inference",
        JASA 22, 1927.
    """
    return _share(counts, _SATISFIED_FROM)


def ces(counts: Counts) -> Estimate:
    """Return the mean customer effort score, 1 to 7, with Student's t interval of n - 1 degrees.

    The error is that of the sample (n - 1). One answer has a value and no interval; answers all alike have an interval
    without a width, since they show no spread.

    Source: Dixon, Toman and DeLisi, The Effortless Experience, 2013 (CES 2.0); Student, Biometrika 6(1), 1908.
    """
    n, total, squares = moment_sums(counts)
    if n == 0:
        return NOTHING
    value = total / n
    if n == 1:
        return Estimate(1, value, None, None, None)
    se = math.sqrt((n * squares - total * total) / (n * n * (n - 1)))
    half = student_quantile_95(n - 1) * se
    return Estimate(
        n, value, se, _cut(value - half, _CES_LOWEST, _CES_HIGHEST), _cut(value + half, _CES_LOWEST, _CES_HIGHEST)
    )


def ces_easy(counts: Counts) -> Estimate:
    """Return the share of answers that found it easy (5 to 7 of 1 to 7), percent, with Wilson's interval."""
    return _share(counts, _EASY_FROM)


METRICS: Mapping[str, tuple[str, Callable[[Counts], Estimate]]] = {
    "nps": ("promoters_minus_detractors", nps),
    "csat": ("top_2_percent", csat),
    "ces": ("mean", ces),
}
"""Metric -> the variant that its payload names, and the function that computes it. `ces_easy` is `percent_5_to_7`."""


def net_counts(counts: Counts) -> tuple[int, int, int]:
    """Return answers, promoters and detractors."""
    promoters = sum(num for score, num in counts.items() if score >= _PROMOTER_FROM)
    detractors = sum(num for score, num in counts.items() if score <= _DETRACTOR_TO)
    return sum(counts.values()), promoters, detractors


def moment_sums(counts: Counts) -> tuple[int, int, int]:
    """Return answers, the sum of their scores and the sum of the squares."""
    return (
        sum(counts.values()),
        sum(score * num for score, num in counts.items()),
        sum(score * score * num for score, num in counts.items()),
    )


def net_moments(n: float, promoters: float, detractors: float) -> tuple[float, float]:
    """Return mean and variance of one answer counted as 1, 0 or -1; n > 0."""
    mean = (promoters - detractors) / n
    return mean, max((promoters + detractors) / n - mean * mean, 0.0)


def adjusted_moments(n: int, promoters: int, detractors: int) -> tuple[float, float]:
    """Return the same of n + 3 answers, promoters + 3/4, detractors + 3/4 (Rocks 2016)."""
    return net_moments(n + ADDED_ANSWERS, promoters + ADDED_EXTREMES, detractors + ADDED_EXTREMES)


def added_squares(centre: float) -> float:
    """Return the squared distances of the three added answers from a mean: 3/4 at 1, 3/4 at -1, 3/2 at 0."""
    return 2.0 * ADDED_EXTREMES + ADDED_ANSWERS * centre * centre


def share_counts(counts: Counts, at_least: int) -> tuple[int, int]:
    """Return answers, and those with a score of `at_least` or more."""
    return sum(counts.values()), sum(num for score, num in counts.items() if score >= at_least)


def _share(counts: Counts, at_least: int) -> Estimate:
    n, hits = share_counts(counts, at_least)
    if n == 0:
        return NOTHING
    share = hits / n
    square = Z_95 * Z_95
    centre = (hits + square / 2.0) / (n + square)
    half = Z_95 * math.sqrt(hits * (n - hits) / n + square / 4.0) / (n + square)
    return Estimate(
        n,
        100.0 * hits / n,
        100.0 * math.sqrt(share * (1.0 - share) / n),
        100.0 * max(centre - half, 0.0) if hits else 0.0,
        100.0 * min(centre + half, 1.0) if hits < n else 100.0,
    )


def _cut(number: float, lowest: float, highest: float) -> float:
    return min(max(number, lowest), highest)
