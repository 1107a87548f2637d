"""What a KPI is compared with, and what it mixes."""

from datetime import UTC, datetime, timedelta

import pytest

from services.feedback import domain

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MARCH = datetime(2026, 3, 1, tzinfo=UTC)


def test_the_period_before_is_as_long() -> None:
    assert domain.start_before(MARCH, MARCH + timedelta(days=31)) == MARCH - timedelta(days=31)


@pytest.mark.parametrize("end", [MARCH + timedelta(days=100_000), datetime(9999, 12, 31, tzinfo=UTC)])
def test_the_period_before_begins_no_earlier_than_any_fact(end: datetime) -> None:
    assert domain.start_before(MARCH, end) == EPOCH


def test_only_what_differs_is_mixed() -> None:
    assert domain.mixed_of({"relationship"}, {"0-10"}, {False}) == []
    both = domain.mixed_of({"relationship", "transactional"}, {"0-10", "1-10"}, {True, False})
    assert both == ["kinds", "scales", "staff_collected"]


@pytest.mark.parametrize("metric", ["nps", "csat", "ces"])
def test_nothing_is_tested_against_nothing(metric: str) -> None:
    assert domain.p_value_of(metric, {}, {5: 100}, []) is None


def test_people_who_repeat_are_set_against_themselves() -> None:
    before, after = {7: 20}, {9: 20}
    paired = domain.p_value_of("nps", before, after, [(1, 0, 1, 1)] * 20)
    strangers = domain.p_value_of("nps", before, after, [(1, 0, 0, 0)] * 20 + [(0, 0, 1, 1)] * 20)
    assert paired is not None
    assert strangers is not None
    assert paired <= strangers
