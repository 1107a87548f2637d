"""Tests of whether a KPI differs between two sets of answers, and which of many such differences to believe."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .distributions import Z_95, normal_p_value, student_p_value, student_quantile_95
from .metrics import (
    ADDED_ANSWERS,
    Counts,
    added_squares,
    adjusted_moments,
    moment_sums,
    net_counts,
    share_counts,
)

FEWEST = 10
"""Answers (clusters, where answers are clustered) a side below which no change is called significant or not."""
FALSE_DISCOVERY_RATE = 0.05
_SATISFIED_FROM = 4


class Change(NamedTuple):
    """What changed between two sets of answers, later less earlier, in the KPI's own unit.

    Attributes:
        delta: difference of the plain values.
        low: lower end of the difference's 95 % interval.
        high: upper end of it.
        p_value: two-sided, 0 to 1; None when a side has too few answers.
    """

    delta: float
    low: float
    high: float
    p_value: float | None


def nps_change(before: Counts, after: Counts) -> Change | None:
    """Test the difference of two Net Promoter Scores given by different people; None when a side is empty.

    Both sides get three answers, 3/4 of them promoters and 3/4 detractors; the test and the interval are Wald's on what
    that gives: z = (NPS2' - NPS1') / sqrt(var1' / n1' + var2' / n2').

    Source: Rocks, The American Statistician 70(4), 2016 (the adjustment), two independent samples.
    """
    sides = net_counts(before), net_counts(after)
    if not (sides[0][0] and sides[1][0]):
        return None
    variance = sum(adjusted_moments(*side)[1] / (side[0] + ADDED_ANSWERS) for side in sides)
    return _net_change(*sides, variance, min(sides[0][0], sides[1][0]))


def nps_change_clustered(before: Counts, after: Counts, clusters: Iterable[tuple[int, int, int, int]]) -> Change | None:
    """Test the difference of two Net Promoter Scores where some answered more than once; None when a side is empty.

    One formula for what repeats: the same customers in both periods (paired), several answers of an account in one
    (clustered), or a mixture. What a cluster answered earlier is set against what it answered later, so a pair that
    moves together counts as little noise. With one answer a cluster it is the same as `nps_change`.

    Args:
        before: score -> answers, earlier.
        after: score -> answers, later.
        clusters: per account (customer, where there is none; answer, where neither) the answers and the promoters less
            detractors, earlier, then later: (n1, net1, n2, net2).

    Source: own definition: the adjustment of Rocks 2016 with the linearised variance of a difference of two ratios,
        Cochran, Sampling Techniques, 1977, section 6.
    """
    sides = net_counts(before), net_counts(after)
    if not (sides[0][0] and sides[1][0]):
        return None
    mean1, mean2 = adjusted_moments(*sides[0])[0], adjusted_moments(*sides[1])[0]
    size1, size2 = sides[0][0] + ADDED_ANSWERS, sides[1][0] + ADDED_ANSWERS
    variance = added_squares(mean1) / size1**2 + added_squares(mean2) / size2**2
    clusters_before = clusters_after = 0
    for n1, net1, n2, net2 in clusters:
        variance += ((net2 - n2 * mean2) / size2 - (net1 - n1 * mean1) / size1) ** 2
        clusters_before += n1 > 0
        clusters_after += n2 > 0
    return _net_change(*sides, variance, min(clusters_before, clusters_after))


def csat_change(before: Counts, after: Counts) -> Change | None:
    """Test the difference of two shares of satisfied answers; None when a side is empty.

    Source: Agresti and Caffo, "Simple and Effective Confidence Intervals for Proportions and Differences of
        Proportions", The American Statistician 54(4), 2000: one satisfied and one other answer more on each side.
    """
    (n1, hits1), (n2, hits2) = share_counts(before, _SATISFIED_FROM), share_counts(after, _SATISFIED_FROM)
    if not (n1 and n2):
        return None
    share1, share2 = (hits1 + 1) / (n1 + 2), (hits2 + 1) / (n2 + 2)
    se = math.sqrt(share1 * (1 - share1) / (n1 + 2) + share2 * (1 - share2) / (n2 + 2))
    return Change(
        100.0 * (hits2 / n2 - hits1 / n1),
        100.0 * (share2 - share1 - Z_95 * se),
        100.0 * (share2 - share1 + Z_95 * se),
        normal_p_value((share2 - share1) / se) if min(n1, n2) >= FEWEST else None,
    )


def ces_change(before: Counts, after: Counts) -> Change | None:
    """Test the difference of two mean effort scores; None when a side has fewer than two answers.

    Source: Welch, "The Generalization of Student's Problem when Several Different Population Variances are Involved",
        Biometrika 34, 1947.
    """
    (n1, sum1, squares1), (n2, sum2, squares2) = moment_sums(before), moment_sums(after)
    if min(n1, n2) <= 1:
        return None
    delta = (sum2 * n1 - sum1 * n2) / (n1 * n2)
    part1 = (n1 * squares1 - sum1 * sum1) / (n1 * n1 * (n1 - 1))
    part2 = (n2 * squares2 - sum2 * sum2) / (n2 * n2 * (n2 - 1))
    enough = min(n1, n2) >= FEWEST
    if part1 + part2 == 0.0:
        return Change(delta, delta, delta, float(delta == 0.0) if enough else None)
    se = math.sqrt(part1 + part2)
    df = (part1 + part2) ** 2 / (part1**2 / (n1 - 1) + part2**2 / (n2 - 1))
    half = student_quantile_95(df) * se
    return Change(delta, delta - half, delta + half, student_p_value(delta / se, df) if enough else None)


CHANGES = {"nps": nps_change, "csat": csat_change, "ces": ces_change}
"""Metric -> the test of two independent sets of answers."""


def are_significant(p_values: Sequence[float | None]) -> list[bool | None]:
    """Say of each of the tests of one answer whether it holds, with 5 % of those that do expected to be chance.

    Args:
        p_values: of all the tests shown together, in any order; None for one that could not be made.

    Returns:
        One entry a test; None stays None and does not count.

    Source: Benjamini and Hochberg, "Controlling the False Discovery Rate", JRSS B 57(1), 1995.
    """
    known = sorted(p for p in p_values if p is not None)
    passed = [p for rank, p in enumerate(known, start=1) if p * len(known) <= FALSE_DISCOVERY_RATE * rank]
    limit = passed[-1] if passed else -1.0
    return [None if p is None else p <= limit for p in p_values]


def _net_change(before: tuple[int, int, int], after: tuple[int, int, int], variance: float, fewest: int) -> Change:
    """Put a Net Promoter difference together from its sides, its variance (points / 100) and its smaller side."""
    (n1, promoters1, detractors1), (n2, promoters2, detractors2) = before, after
    shift = adjusted_moments(*after)[0] - adjusted_moments(*before)[0]
    se = math.sqrt(variance)
    return Change(
        100.0 * ((promoters2 - detractors2) * n1 - (promoters1 - detractors1) * n2) / (n1 * n2),
        100.0 * (shift - Z_95 * se),
        100.0 * (shift + Z_95 * se),
        normal_p_value(shift / se) if fewest >= FEWEST else None,
    )
