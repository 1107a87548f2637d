"""Dates are read as declared, never guessed."""

import pytest

from deploy.local.importer import dates
from deploy.local.importer.problems import MapError, RefusedError


def reader(*formats, **spec):
    return dates.compiled("fields.at", {"formats": list(formats), **spec})


@pytest.mark.parametrize(
    ("form", "zone", "text", "expected"),
    [
        ("%d/%m/%Y %H:%M", "UTC", "01/05/2018 20:23", "2018-05-01T20:23:00Z"),
        ("%m/%d/%y", "UTC", "1/5/14", "2014-01-05T00:00:00Z"),
        ("%Y-%m-%d %H:%M:%S %z", None, "2015-02-24 11:35:52 -0800", "2015-02-24T19:35:52Z"),
        ("%d.%m.%Y %H:%M", "Europe/Berlin", "01.07.2024 12:00", "2024-07-01T10:00:00Z"),
        ("%d.%m.%Y %H:%M", "+05:30", "01.07.2024 12:00", "2024-07-01T06:30:00Z"),
        ("%d.%m.%Y %I:%M %p", "UTC", "01.07.2024 12:05 AM", "2024-07-01T00:05:00Z"),
        ("rfc3339", None, "2024-07-01T12:00:00.250+02:00", "2024-07-01T10:00:00.250000Z"),
        ("epoch_seconds", None, "1719828000", "2024-07-01T10:00:00Z"),
        ("epoch_milliseconds", None, "1719828000500", "2024-07-01T10:00:00.500000Z"),
    ],
)
def test_reads_a_value_as_declared(form, zone, text, expected):
    assert reader(form, **({"timezone": zone} if zone else {})).read(text) == expected


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("%d/%m/%Y", "13/25/2018"),
        ("%d/%m/%Y", "2018-05-01"),
        ("%d/%m/%Y", "01/05/2018 20:23"),
        ("%d/%m/%Y", "31/02/2018"),
        ("%d/%m/%Y", "01/05/18"),
        ("rfc3339", "2024-07-01T12:00:00"),
        ("rfc3339", "20240701T120000+02:00"),
        ("epoch_seconds", "yesterday"),
        ("epoch_seconds", "1e99"),
        ("epoch_seconds", "999999999999999"),
    ],
)
def test_refuses_what_does_not_read_as_declared(form, text):
    with pytest.raises(RefusedError) as refused:
        reader(form, timezone="UTC").read(text)
    assert refused.value.code == "DATE_UNREADABLE"


def test_a_date_without_a_time_is_at_the_declared_time_of_day():
    assert reader("%d/%m/%Y", timezone="Europe/Berlin", time="12:00").read("01/01/2024") == "2024-01-01T11:00:00Z"


def test_several_formats_that_no_value_can_confuse_are_taken():
    both = reader("%d/%m/%Y", "%Y-%m-%d", timezone="UTC")
    assert [both.read("01/05/2018"), both.read("2018-05-01")] == ["2018-05-01T00:00:00Z"] * 2


@pytest.mark.parametrize("pair", [("%d/%m/%Y", "%m/%d/%Y"), ("%y-%m-%d", "%d-%m-%y"), ("%H:%M %d%m%Y", "%M:%H %d%m%Y")])
def test_formats_that_read_one_value_in_two_ways_are_refused_before_any_row(pair):
    with pytest.raises(MapError, match="reads as different days or times"):
        reader(*pair, timezone="UTC")


def test_a_local_time_that_does_not_exist_is_refused():
    with pytest.raises(RefusedError, match="clocks went forward"):
        reader("%d/%m/%Y %H:%M", timezone="Europe/London").read("31/03/2024 01:30")


def test_a_local_time_that_happens_twice_is_refused_unless_the_map_says_which():
    with pytest.raises(RefusedError, match="clocks went back"):
        reader("%d/%m/%Y %H:%M", timezone="Europe/London").read("27/10/2024 01:30")


@pytest.mark.parametrize(("which", "expected"), [("first", "2024-10-27T00:30:00Z"), ("second", "2024-10-27T01:30:00Z")])
def test_a_local_time_that_happens_twice_is_the_declared_one(which, expected):
    dated = reader("%d/%m/%Y %H:%M", timezone="Europe/London", when_twice=which)
    assert dated.read("27/10/2024 01:30") == expected


@pytest.mark.parametrize(
    ("spec", "key"),
    [
        ({}, "fields.at.formats"),
        ({"formats": "%Y"}, "fields.at.formats"),
        ({"formats": ["%d/%m/%Y"]}, "fields.at.timezone"),
        ({"formats": ["%d/%m/%Y"], "timezone": "Europe/Lodnon"}, "fields.at.timezone"),
        ({"formats": ["%d/%m"], "timezone": "UTC"}, "fields.at.formats"),
        ({"formats": ["%x"], "timezone": "UTC"}, "fields.at.formats"),
        ({"formats": ["%d/%m/%Y %I:%M"], "timezone": "UTC"}, "fields.at.formats"),
        ({"formats": ["epoch_seconds", "epoch_milliseconds"]}, "fields.at.formats"),
        ({"formats": ["%d/%m/%Y"], "timezone": "UTC", "time": "noon"}, "fields.at.time"),
        ({"formats": ["%d/%m/%Y"], "timezone": "UTC", "when_twice": "both"}, "fields.at.when_twice"),
    ],
)
def test_a_wrong_declaration_names_its_key(spec, key):
    with pytest.raises(MapError) as wrong:
        dates.compiled("fields.at", spec)
    assert wrong.value.key == key


@pytest.mark.parametrize(("text", "evidence"), [("23/04/2018", 1), ("04/23/2018", -1), ("03/04/2018", 0), ("?", 0)])
def test_a_value_may_prove_or_contradict_the_order_of_day_and_month(text, evidence):
    assert reader("%d/%m/%Y", timezone="UTC").evidence(text) == evidence
