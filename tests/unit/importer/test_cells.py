"""Numbers are exact and written as declared."""

from decimal import Decimal

import pytest

from deploy.local.importer import cells
from deploy.local.importer.cells import Money, Numerals
from deploy.local.importer.problems import RefusedError

GERMAN = Numerals(decimal_separator=",", thousands_separator=".", without=("€",))


@pytest.mark.parametrize(("text", "expected"), [("0", 0), ("10", 10), ("4.0", 4), ("-3", -3), (" 7", 7), (8, 8)])
def test_a_whole_number_is_read(text, expected):
    assert cells.read_int(Numerals(), text) == expected


@pytest.mark.parametrize(
    "text", ["4.5", "5.7E+17", "ten", "1,000", "", "--1", "٣", True, "9" * 70, "9223372036854775808"]
)
def test_what_is_no_whole_number_is_refused(text):
    with pytest.raises(RefusedError):
        cells.read_int(Numerals(), text)


@pytest.mark.parametrize(
    ("numerals", "text", "decimals", "expected"),
    [
        (Numerals(), "12.5", 2, 1250),
        (Numerals(), "0.29", 2, 29),
        (Numerals(), "1099511627776.07", 2, 109951162777607),
        (Numerals(), Decimal("19.99"), 2, 1999),
        (Numerals(), "500", 0, 500),
        (Numerals(thousands_separator=","), "-1,234,567.80", 2, -123456780),
        (GERMAN, "1.234,50 €", 2, 123450),
        (Numerals(multiply=Decimal(1000)), "2.5", 2, 250000),
    ],
)
def test_an_amount_is_exact(numerals, text, decimals, expected):
    assert Money(numerals, decimals).read(text) == expected


@pytest.mark.parametrize(
    ("numerals", "text"),
    [
        (Numerals(), "12.345"),
        (Numerals(), "1,234.50"),
        (Numerals(), "€ 5"),
        (Numerals(thousands_separator=","), "12,34.50"),
        (GERMAN, "12.50"),
        (GERMAN, "1.5"),
    ],
)
def test_an_amount_written_otherwise_than_declared_is_refused(numerals, text):
    with pytest.raises(RefusedError):
        Money(numerals, 2).read(text)


def test_a_declared_scale_is_applied_exactly():
    assert cells.read_int(Numerals(multiply=Decimal(2), add=Decimal(-1)), "5.5") == 10


@pytest.mark.parametrize(("text", "expected"), [("true", True), ("False", False), (True, True)])
def test_true_and_false_are_read(text, expected):
    assert cells.read_bool(text) is expected


def test_other_words_are_not_guessed_to_be_true():
    with pytest.raises(RefusedError, match="values"):
        cells.read_bool("Yes")


def test_a_list_is_split_and_its_blanks_dropped():
    assert cells.read_list("|", "a | b||") == ["a", "b"]
