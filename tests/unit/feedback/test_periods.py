from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.feedback import domain

instants = st.datetimes(datetime(1970, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def at(text):
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("interval", "moment", "start"),
    [
        ("day", "2026-06-10T23:59:59.999999Z", "2026-06-10T00:00:00Z"),
        ("week", "2026-06-07T23:59:59Z", "2026-06-01T00:00:00Z"),
        ("week", "2026-06-08T00:00:00Z", "2026-06-08T00:00:00Z"),
        ("week", "2027-01-01T12:00:00Z", "2026-12-28T00:00:00Z"),
        ("month", "2024-02-29T12:00:00Z", "2024-02-01T00:00:00Z"),
    ],
)
def test_an_instant_lies_in_its_interval(interval, moment, start):
    assert domain.start_of(interval, at(moment)) == at(start)


def test_a_day_is_a_day_in_utc():
    local = datetime(2026, 6, 10, 1, 0, tzinfo=timezone(timedelta(hours=2)))
    assert domain.start_of("day", local) == at("2026-06-09T00:00:00Z")


@pytest.mark.parametrize(
    ("interval", "moment", "end"),
    [
        ("month", "2026-12-31T12:00:00Z", "2027-01-01T00:00:00Z"),
        ("month", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
        ("week", "2026-06-07T12:00:00Z", "2026-06-08T00:00:00Z"),
        ("day", "2026-02-28T12:00:00Z", "2026-03-01T00:00:00Z"),
    ],
)
def test_an_interval_ends_where_the_next_one_starts(interval, moment, end):
    assert domain.end_of(interval, at(moment)) == at(end)


def test_the_first_and_the_last_interval_are_clipped_to_the_period():
    series = domain.series_of("month", at("2026-01-20T06:00:00Z"), at("2026-03-02T00:00:00Z"))
    assert series == [
        (at("2026-01-20T06:00:00Z"), at("2026-02-01T00:00:00Z")),
        (at("2026-02-01T00:00:00Z"), at("2026-03-01T00:00:00Z")),
        (at("2026-03-01T00:00:00Z"), at("2026-03-02T00:00:00Z")),
    ]


def test_a_period_that_ends_with_an_interval_has_no_empty_one_after_it():
    assert len(domain.series_of("week", at("2026-06-01T00:00:00Z"), at("2026-06-15T00:00:00Z"))) == 2


@given(instants, st.timedeltas(timedelta(0), timedelta(days=400)), st.sampled_from(domain.INTERVALS))
@settings(max_examples=50, deadline=None)
def test_a_series_covers_its_period_without_gaps(start, length, interval):
    series = domain.series_of(interval, start, start + length)
    edges = [start, *(end for _, end in series)]
    assert [begin for begin, _ in series] == edges[:-1]
    assert edges[-1] == start + length
    assert [end for _, end in series[:-1]] == [domain.start_of(interval, begin) for begin, _ in series[1:]]


def test_open_ends_are_whole_intervals_around_the_answers():
    seen = (at("2026-06-10T12:00:00Z"), at("2026-06-23T12:00:00Z"))
    assert domain.span_of("week", None, None, seen) == (at("2026-06-08T00:00:00Z"), at("2026-06-29T00:00:00Z"))


def test_an_end_that_was_asked_for_stays():
    seen = (at("2026-06-10T12:00:00Z"), at("2026-06-23T12:00:00Z"))
    asked = at("2026-06-01T00:00:00Z")
    assert domain.span_of("day", asked, None, seen) == (asked, at("2026-06-24T00:00:00Z"))


def test_without_answers_an_open_period_has_no_series():
    assert domain.span_of("day", at("2026-06-01T00:00:00Z"), None, None) is None


@pytest.mark.parametrize(
    ("interval", "start", "end", "code"),
    [
        ("year", None, None, "INTERVAL_UNKNOWN"),
        ("day", "2026-06-02T00:00:00Z", "2026-06-01T00:00:00Z", "PERIOD_INVALID"),
        (None, None, "9999-06-01T00:00:00Z", "PERIOD_INVALID"),
        ("day", "1970-01-01T00:00:00Z", "2026-06-01T00:00:00Z", "SERIES_TOO_LONG"),
    ],
)
def test_a_period_that_makes_no_sense_is_named(interval, start, end, code):
    assert domain.problem_with_period(interval, start and at(start), end and at(end))[0] == code


@pytest.mark.parametrize("interval", ["week", "month", None])
def test_half_a_century_is_fine_in_longer_intervals(interval):
    assert domain.problem_with_period(interval, at("1970-01-01T00:00:00Z"), at("2026-06-01T00:00:00Z")) is None


def test_groups_are_sorted_by_code_point_and_the_one_without_a_key_is_last():
    assert domain.sorted_keys(["b", None, "B", "a", "é", "a"]) == ["B", "a", "b", "é", None]
