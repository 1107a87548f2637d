"""The two distributions that intervals and tests need: the normal and Student's t."""

import math
from functools import lru_cache
from statistics import NormalDist

Z_95 = NormalDist().inv_cdf(0.975)
"""Two-sided 95 % quantile of the normal distribution, 1.959964."""
_LARGE_DF = 10_000
_EPSILON = 1e-16
_TINY = 1e-300


def normal_p_value(z: float) -> float:
    """Return the two-sided p-value of a standard normal statistic, 0 to 1."""
    return math.erfc(abs(z) / math.sqrt(2.0))


def student_p_value(t: float, df: float) -> float:
    """Return the two-sided p-value of Student's t, 0 to 1.

    Args:
        t: the statistic.
        df: degrees of freedom, > 0, need not be whole.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.1 and 26.5.27.
    """
    if math.isinf(t):
        return 0.0
    square = t * t
    if square <= df:
        return 1.0 - _incomplete_beta(0.5, df / 2.0, square / (df + square))
    return _incomplete_beta(df / 2.0, 0.5, df / (df + square))


@lru_cache(maxsize=4_096)
def student_quantile_95(df: float) -> float:
    """Return the t beyond which, on both sides together, 5 % of Student's distribution lie.

    Newton's method from the normal quantile: the tail is convex above 0, so every step stays below the root. From
    10,000 degrees on three terms of the expansion in 1/df are exact to 1e-13.

    Args:
        df: degrees of freedom, > 0.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5 (expansion).
    """
    t = Z_95
    if df >= _LARGE_DF:
        return t + (t**3 + t) / (4.0 * df) + (5.0 * t**5 + 16.0 * t**3 + 3.0 * t) / (96.0 * df * df)
    for _ in range(200):
        step = (student_p_value(t, df) - 0.05) / (2.0 * _student_density(t, df))
        t += step
        if abs(step) <= 1e-14 * t:
            break
    return t


def _student_density(t: float, df: float) -> float:
    log_scale = math.lgamma((df + 1.0) / 2.0) - math.lgamma(df / 2.0) - 0.5 * math.log(df * math.pi)
    return math.exp(log_scale - (df + 1.0) / 2.0 * math.log1p(t * t / df))


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b), x in 0..1.

    Source: NIST Digital Library of Mathematical Functions, 8.17.22 (continued fraction) and 8.17.4 (symmetry).
    """
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    front = math.exp(log_front)
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _beta_fraction(a, b, x) / a
    return 1.0 - front * _beta_fraction(b, a, 1.0 - x) / b


def _beta_fraction(a: float, b: float, x: float) -> float:
    """Evaluate the continued fraction of the incomplete beta function by Lentz's method."""
    c, d = 1.0, _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    d = 1.0 / d
    value = d
    for m in range(1, 1_000):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        for term in (even, odd):
            d = 1.0 / _away_from_zero(1.0 + term * d)
            c = _away_from_zero(1.0 + term / c)
            value *= c * d
        if abs(c * d - 1.0) <= _EPSILON:
            break
    return value


def _away_from_zero(number: float) -> float:
    return number if abs(number) > _TINY else _TINY
