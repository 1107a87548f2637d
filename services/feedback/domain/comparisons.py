"""What a KPI is compared with, and what it mixes."""

from collections.abc import Collection
from datetime import UTC, datetime

from .changes import CHANGES, nps_change_clustered
from .metrics import Counts

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
"""No fact is older."""

Sides = tuple[Counts, Counts, list[tuple[int, int, int, int]]]
"""Scores counted before and after, and per account (answers, promoters less detractors) before, then after."""


def start_before(from_at: datetime, to_at: datetime) -> datetime:
    """Return when the equally long period before a period starts; not before 1970, where nothing is."""
    if to_at - from_at > from_at - _EARLIEST:
        return min(_EARLIEST, from_at)
    return from_at - (to_at - from_at)


def p_value_of(metric: str, before: Counts, after: Counts, clusters: list[tuple[int, int, int, int]]) -> float | None:
    """Test whether a KPI differs between two sets of answers.

    Args:
        metric: `nps` (paired where people repeat, clustered by account), `csat` or `ces`.
        before: score -> answers, earlier.
        after: score -> answers, later.
        clusters: per account (customer, where there is none) the answers and the promoters less detractors, earlier,
            then later; read for NPS.

    Returns:
        The two-sided p-value, or None where there are fewer than 10 answers on a side.
    """
    change = nps_change_clustered(before, after, clusters) if metric == "nps" else CHANGES[metric](before, after)
    return change.p_value if change else None


def mixed_of(kinds: Collection[str], scales: Collection[str], collected: Collection[bool]) -> list[str]:
    """Name what a figure mixes.

    Args:
        kinds: the kinds of the answers counted.
        scales: their scales.
        collected: whether a person asked for them and heard them.
    """
    parts = (("kinds", kinds), ("scales", scales), ("staff_collected", collected))
    return [name for name, values in parts if len(values) > 1]
