"""What a field may hold."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from libs.common import clock
from services.gateway.edge import rules
from services.gateway.edge.rules import Refused


def code_of(rule, value):
    with pytest.raises(Refused) as refused:
        rule(value)
    return refused.value.faults[0].code


GOOD_IDS = [
    "a", "0", "A1", "act-000123", "a.b_c:d-e", "x" * 128, "2026-11-21", "21-11-2026", "2026.11.21", "2026-11-00123",
    "1234567890", "123456789012345678", "0123456789", "12-34", "2024-00123", "1234-5678", "1.2.3", "CUST-415-555-0123",
    "0012", "000123456789", "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
]  # fmt: skip
PERSONAL_IDS = [
    "jo@example.com", "a@b", "@", "+4915112345678", "+1 415 555 0123", "415-555-0123", "415.555.0123", "1-800-555-0199",
    "0049-30-1234567", "004930123456789", "0014155550123", "030-1234567", "(415) 555-0123", "06.12.34.56.78",
]  # fmt: skip
BAD_IDS = ["", " ", "a b", "-a", ".a", "é", "a/b", "a\n", "a\0", "x" * 129, "a;b", "%00", "$a", "{a}"]


@pytest.mark.parametrize("value", GOOD_IDS)
def test_a_good_id_stays_as_it_is(value):
    assert rules.identifier(value) == value


@pytest.mark.parametrize("value", PERSONAL_IDS)
def test_an_address_or_a_number_of_a_person_is_no_id(value):
    assert code_of(rules.identifier, value) == "ID_IS_PERSONAL"


@pytest.mark.parametrize("value", BAD_IDS)
def test_other_characters_are_no_id(value):
    assert code_of(rules.identifier, value) == "ID_INVALID"


@pytest.mark.parametrize("value", ["web", "Łódź", "Zoë", "नमस्ते", "नमस्\u200dते", "👩‍👩‍👧", "x" * 200, "a b"])
def test_a_line_may_be_of_any_script(value):
    assert rules.label(200)(value) == value


def test_a_line_is_normalised():
    assert rules.label(200)("Cafe\u0301") == "Café"


@pytest.mark.parametrize("value", ["a\nb", "a\0b", "a\u202eb", "a\u2066b", "\x7f", "a\u0085b", "\ufeffa", "a\u2028b"])
def test_a_line_has_no_controls_and_no_overrides(value):
    assert code_of(rules.label(200), value) == "TEXT_INVALID"


@pytest.mark.parametrize("value", ["", " ", "\u00a0", "\u3164", "\u200b\u200b", "\u2800", "\u3000 "])
def test_a_line_is_not_blank(value):
    assert code_of(rules.label(200), value) == "BLANK"


def test_a_lines_length_counts_code_points():
    assert rules.label(3)("👍👍👍") == "👍👍👍"
    assert code_of(rules.label(3), "👍👍👍👍") == "ITEM_TOO_LARGE"


@pytest.mark.parametrize("value", ["", " \n\t", "\u3164"])
def test_blank_free_text_counts_as_absent(value):
    assert rules.free_text(10)(value) is None


def test_free_text_keeps_everything_but_nul():
    assert rules.free_text(100)("a\u202e\x01\n<b>") == "a\u202e\x01\n<b>"
    assert code_of(rules.free_text(100), "a\0b") == "TEXT_INVALID"
    assert code_of(rules.free_text(3), "abcd") == "ITEM_TOO_LARGE"


@pytest.mark.parametrize("value", ["a@b.co", "a.b+x@gmail.com", "o'brien@sub.example.org", "A@EXAMPLE.COM"])
def test_a_good_address(value):
    assert rules.email(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "", "a", "a@b", "@b.co", "a@", "a@@b.co", "a@b@c.co", "a..b@c.co", ".a@c.co", "a.@c.co", '"a b"@c.co',
        "a@[127.0.0.1]", "a@b.co.", "a@b..co", "a@-b.co", "é@b.co", "a@bücher.de", "a@b.co\r\nBcc: x@y.co", "a b@c.co",
        "a" * 65 + "@b.co", "a@" + "b" * 64 + ".co", "a@" + "b." * 130 + "co",
    ],
)  # fmt: skip
def test_a_bad_address(value):
    assert code_of(rules.email, value) == "EMAIL_INVALID"


@pytest.mark.parametrize(
    "value", ["+", "+0123456789", "+1234567890123456", "4915112345678", "+49 151", "+٤٩١٥١١٢٣٤", "+1415x1"]
)
def test_a_phone_number_is_e164(value):
    assert rules.phone("+4915112345678") == "+4915112345678"
    assert code_of(rules.phone, value) == "PHONE_INVALID"


@pytest.mark.parametrize("value", ["Etc/GMT+25", "../../etc/passwd", "europe/berlin", "", "CEST"])
def test_a_time_zone_is_of_the_list(value):
    assert rules.timezone("Europe/Berlin") == "Europe/Berlin"
    assert code_of(rules.timezone, value) == "TIMEZONE_UNKNOWN"


@pytest.mark.parametrize("value", ["e", "english", "en_US", "en-", "x-klingon-", "../en"])
def test_a_locale_is_a_language_tag(value):
    assert [rules.locale(good) for good in ("en", "pt-BR", "zh-Hant-TW", "es-419")]
    assert code_of(rules.locale, value) == "LOCALE_INVALID"


@pytest.mark.parametrize(
    "value",
    [
        "javascript:alert(1)",
        "ftp://a.b",
        "http://",
        "https://u:p@a.b/",
        "https://a b",
        "//a.b",
        "https://a.b:x/",
        "http://[::1",
    ],
)
def test_a_url_is_http_and_names_no_user(value):
    assert rules.url("https://example.com/a?b=c#d")
    assert code_of(rules.url, value) == "URL_INVALID"


@pytest.mark.parametrize("value", ["usd", "XXX", "BTC", "XAU", "XTS", "", "EURO"])
def test_a_currency_is_in_use(value):
    assert rules.currency("JPY") == "JPY"
    assert code_of(rules.currency, value) == "CURRENCY_UNKNOWN"


def test_a_time_is_answered_in_utc():
    given = datetime.fromisoformat("2026-01-02T04:04:05+01:00")
    assert rules.past(given) == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert rules.past(given).tzinfo is UTC


def test_the_past_reaches_from_1970_to_24_hours_ahead():
    assert rules.past(clock.now() + timedelta(hours=23, minutes=59))
    assert rules.past(datetime(1970, 1, 1, tzinfo=UTC))
    assert code_of(rules.past, clock.now() + timedelta(hours=24, minutes=1)) == "OCCURRED_AT_IN_FUTURE"
    assert code_of(rules.past, datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)) == "TIME_OUT_OF_RANGE"


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2026-01-31", "2026-01-31T00:00:00+00:00"),
        ("2026-01-31T01:00:00Z", "2026-01-31T01:00:00+00:00"),
        ("2026-01-31T01:00:00+02:00", "2026-01-30T23:00:00+00:00"),
        ("2026-01-31T01:00:00 02:00", "2026-01-30T23:00:00+00:00"),
    ],
)
def test_a_query_takes_a_time_or_a_date(text, iso):
    assert rules.time_or_date(text) == datetime.fromisoformat(iso)


@pytest.mark.parametrize("text", ["", "5", "2026", "2026-02-30", "yesterday", "2026-01-31 01:00:00"])
def test_a_query_takes_no_other_time(text):
    assert code_of(rules.time_or_date, text) in {"TIME_INVALID", "OFFSET_MISSING"}


def test_properties_come_out_in_canonical_form():
    packed = rules.json_object()({"b": 1, "a": {"d": None, "c": [True, 1.5, "é"]}})
    assert bytes(packed) == '{"a":{"c":[true,1.5,"é"]},"b":1}'.encode()


def test_a_number_of_properties_is_written_in_one_way():
    packed = rules.json_object()(json.loads('{"a": [1.0, 1, -0.0, 1e3, 1.25, 1e300, 9007199254740992.0]}'))
    assert bytes(packed) == b'{"a":[1,1,0,1000,1.25,1e300,9007199254740992.0]}'


def test_a_patch_keeps_nulls():
    assert bytes(rules.json_object(keep_nulls=True)({"a": None})) == b'{"a":null}'


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({f"k{i}": 1 for i in range(65)}, "ITEM_TOO_LARGE"),
        ({"a": {"b": {"c": {"d": {}}}}}, "ITEM_TOO_LARGE"),
        ({"a": [[[[]]]]}, "ITEM_TOO_LARGE"),
        ({"a": "x" * 1001}, "ITEM_TOO_LARGE"),
        ({"x" * 1001: 1}, "ITEM_TOO_LARGE"),
        ({"a": 2**53}, "OUT_OF_RANGE"),
        ({"a": "\0"}, "TEXT_INVALID"),
        ({"\0": 1}, "TEXT_INVALID"),
    ],
)
def test_properties_have_limits(value, code):
    assert code_of(rules.json_object(), value) == code


def test_properties_may_be_as_large_as_the_limits():
    assert rules.json_object()({"a": {"b": {"c": {"d": 1}}}, **{f"k{i}": 2**53 - 1 for i in range(63)}})


@pytest.mark.parametrize(("given", "read"), [(1, 1), (200, 200), (201, 200), (10**9, 200)])
def test_a_limit_over_200_reads_as_200(given, read):
    assert rules.page_size(given) == read
