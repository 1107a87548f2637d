import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.feedback import domain

VECTORS = json.loads((Path(__file__).resolve().parents[2] / "vectors" / "calendars.json").read_text())
CALENDARS = {key: domain.calendar_of(**calendar) for key, calendar in VECTORS["calendars"].items()}
CASES = [pytest.param(case, id=case["name"]) for case in VECTORS["cases"]]
NINE_TO_FIVE = [["09:00", "17:00"]]

instants = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
calendars = st.sampled_from(["office", "split", "night", "always"])


@pytest.mark.parametrize("case", CASES)
def test_working_seconds_are_added(case):
    start, end = datetime.fromisoformat(case["start"]), datetime.fromisoformat(case["end"])
    assert domain.add_working_seconds(start, case["seconds"], CALENDARS[case["calendar"]]) == end


@pytest.mark.parametrize("case", CASES)
def test_working_seconds_are_counted(case):
    start, end = datetime.fromisoformat(case["start"]), datetime.fromisoformat(case["end"])
    assert domain.working_seconds_between(start, end, CALENDARS[case["calendar"]]) == case["seconds"]


@given(instants, st.integers(0, 400_000), calendars)
@settings(max_examples=40, deadline=None)
def test_what_was_added_is_what_lies_between(start, seconds, key):
    end = domain.add_working_seconds(start, seconds, CALENDARS[key])
    assert domain.working_seconds_between(start, end, CALENDARS[key]) == seconds


@given(instants, st.integers(0, 100_000), st.integers(0, 100_000), calendars)
@settings(max_examples=40, deadline=None)
def test_adding_twice_is_adding_the_sum(start, first, second, key):
    calendar = CALENDARS[key]
    halfway = domain.add_working_seconds(start, first, calendar)
    assert domain.working_seconds_between(start, domain.add_working_seconds(halfway, second, calendar), calendar) == (
        first + second
    )


def test_nothing_lies_between_an_instant_and_an_earlier_one():
    start = datetime(2026, 6, 1, 9, tzinfo=UTC)
    assert domain.working_seconds_between(start, start - timedelta(days=3), CALENDARS["office"]) == 0


def test_nothing_added_is_the_start_itself():
    start = datetime(2026, 6, 6, 9, tzinfo=UTC)
    assert domain.add_working_seconds(start, 0, CALENDARS["office"]) == start


def test_the_default_calendar_never_rests():
    start = datetime(2026, 12, 24, 20, tzinfo=UTC)
    assert domain.add_working_seconds(start, 86_400, domain.ALWAYS) == start + timedelta(days=1)


def test_more_work_than_ten_years_hold_is_refused():
    with pytest.raises(ValueError, match="ten years"):
        domain.add_working_seconds(datetime(2026, 6, 1, tzinfo=UTC), 4_000 * 86_400, CALENDARS["gap"])


@pytest.mark.parametrize(
    ("timezone", "hours", "holidays", "pointer"),
    [
        ("Europe/Nowhere", {"mon": NINE_TO_FIVE}, [], "/timezone"),
        ("../../etc/passwd", {"mon": NINE_TO_FIVE}, [], "/timezone"),
        ("UTC", {"monday": NINE_TO_FIVE}, [], "/hours"),
        ("UTC", {}, [], "/hours"),
        ("UTC", {"mon": []}, [], "/hours"),
        ("UTC", {"mon": [["17:00", "09:00"]]}, [], "/hours/mon"),
        ("UTC", {"mon": [["09:00", "09:00"]]}, [], "/hours/mon"),
        ("UTC", {"mon": [["9:00", "17:00"]]}, [], "/hours/mon"),
        ("UTC", {"mon": [["09:60", "17:00"]]}, [], "/hours/mon"),
        ("UTC", {"mon": [["09:00", "24:01"]]}, [], "/hours/mon"),
        ("UTC", {"mon": [["09:00"]]}, [], "/hours/mon"),
        ("UTC", {"mon": [["09:00", "12:00"], ["11:59", "17:00"]]}, [], "/hours/mon"),
        ("UTC", {"mon": NINE_TO_FIVE}, ["2026-12-25", "2026-02-30"], "/holidays/1"),
        ("UTC", {"mon": NINE_TO_FIVE}, ["20261225"], "/holidays/0"),
    ],
)
def test_a_calendar_that_makes_no_sense_is_named(timezone, hours, holidays, pointer):
    assert domain.problem_with_calendar(timezone, hours, holidays)[1] == pointer


def test_shifts_that_touch_are_fine():
    hours = {"mon": [["12:00", "17:00"], ["09:00", "12:00"]]}
    assert domain.problem_with_calendar("Europe/Berlin", hours, ["2026-12-25"]) is None
