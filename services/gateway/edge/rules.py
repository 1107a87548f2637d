"""What a field may hold: one function per rule, value in, normalised value out, `Refused` where it may not."""

import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

import msgspec

from libs.common import clock

from ..problems import Fault
from .currencies import CURRENCIES

Rule = Callable[[Any], Any]


class Refused(Exception):
    """A value that a field may not hold; pointers are relative to the value."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(faults[0].code)
        self.faults = faults


def refuse(code: str, detail: str, pointer: str = "") -> Refused:
    """Return a refusal of one value."""
    return Refused([Fault(pointer, code, detail)])


# Ids. One with a letter can be no phone number, which spares most ids the closer look; first those that begin with it.
_WORD_ID = re.compile(r"[A-Za-z][A-Za-z0-9._:\-]{0,127}\Z").match
_PLAIN_ID = re.compile(r"(?=[0-9._:\-]*[A-Za-z])[A-Za-z0-9][A-Za-z0-9._:\-]{0,127}\Z").match
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:\-]{0,127}\Z").match
_DIALLED = re.compile(r"00[1-9][0-9]{10,14}\Z").match
_GROUPED = re.compile(r"[0-9]+(?:[.\-][0-9]+)+\Z").match
_DATED = re.compile(
    r"(?:(?:19|20)[0-9]{2}[.\-](?:0?[1-9]|1[0-2])(?:[.\-]|\Z))"
    r"|(?:[0-3]?[0-9][.\-](?:0?[1-9]|1[0-2]|[0-3][0-9])[.\-](?:19|20)[0-9]{2}\Z)",
).match
_PHONE = re.compile(r"[+(][0-9 ().\-/]{6,}\Z").match
_MIN_DIGITS, _MAX_DIGITS = 7, 15
_MIN_GROUPS = 3
_MAX_LOOKED_AT = 320


def identifier(value: str) -> str:
    """Check an id that partners own."""
    if _WORD_ID(value) or _PLAIN_ID(value):
        return value
    if len(value) <= _MAX_LOOKED_AT and _is_personal(value):
        detail = "an id must not be an e-mail address or a phone number: use your own pseudonymous key"
        raise refuse("ID_IS_PERSONAL", detail)
    if _ID(value):
        return value
    detail = "an id has 1 to 128 characters of A-Z a-z 0-9 . _ : - and begins with a letter or digit"
    raise refuse("ID_INVALID", detail)


def _is_personal(value: str) -> bool:
    if "@" in value or _PHONE(value) or _DIALLED(value):
        return True
    if not _GROUPED(value) or _DATED(value):
        return False
    digits = sum(map(str.isdigit, value))
    international = value.startswith("00")
    if not _MIN_DIGITS <= digits - 2 * international <= _MAX_DIGITS:
        return False
    # Two groups alone are more often a number of a document than of a phone, unless they begin like one.
    return value.startswith("0") or len(re.split(r"[.\-]", value)) >= _MIN_GROUPS


# Text.
_NAME_CONTROLS = re.compile(
    "[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]"
)
_UNSEEN = re.compile("[\\s\u00ad\u115f\u1160\u180e\u200b-\u200f\u2060-\u2064\u2800\u3164\ufe00-\ufe0f\uffa0]*\\Z").match


def label(limit: int) -> Rule:
    """Return the rule of a line of text: no controls or bidi overrides, not blank, NFC, at most `limit` code points."""

    def check(value: str) -> str:
        # Printable ASCII, by far the most common, needs nothing of what follows.
        if value.isascii() and value.isprintable() and len(value) <= limit and not value.isspace() and value:
            return value
        value = unicodedata.normalize("NFC", value)
        if len(value) > limit:
            raise refuse("ITEM_TOO_LARGE", f"at most {limit} characters")
        if _NAME_CONTROLS.search(value):
            raise refuse("TEXT_INVALID", "control and text direction characters are not allowed here")
        if _UNSEEN(value):
            raise refuse("BLANK", "must not be blank")
        return value

    return check


def free_text(limit: int) -> Rule:
    """Return the rule of free text: any character but NUL, NFC, at most `limit` code points; blank counts as absent."""

    def check(value: str) -> str | None:
        if not value.isascii():
            value = unicodedata.normalize("NFC", value)
        if len(value) > limit:
            raise refuse("ITEM_TOO_LARGE", f"at most {limit} characters")
        if "\0" in value:
            raise refuse("TEXT_INVALID", "the character NUL is not allowed")
        return None if _UNSEEN(value) else value

    return check


_EMAIL = re.compile(
    r"(?=.{3,254}\Z)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])\Z",
).match
_LOCAL_PART = 64


def email(value: str) -> str:
    """Check an e-mail address: dot-atom and a host name in ASCII; no quoted parts, no address literals."""
    if not _EMAIL(value) or value.index("@") > _LOCAL_PART:
        raise refuse("EMAIL_INVALID", "not an e-mail address that we can write to")
    return value


_E164 = re.compile(r"\+[1-9][0-9]{6,14}\Z").match


def phone(value: str) -> str:
    """Check a phone number: E.164."""
    if not _E164(value):
        raise refuse("PHONE_INVALID", "a phone number is written as E.164: +, country code, up to 15 digits in all")
    return value


_LOCALE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z]{4})?(?:-(?:[A-Za-z]{2}|[0-9]{3}))?(?:-[A-Za-z0-9]{4,8})*\Z").match


def locale(value: str) -> str:
    """Check a language tag of BCP 47."""
    if not _LOCALE(value):
        raise refuse("LOCALE_INVALID", "a locale is a language tag of BCP 47, such as en or pt-BR")
    return value


_ZONES = frozenset(available_timezones())


def timezone(value: str) -> str:
    """Check a time zone's IANA name."""
    if value not in _ZONES:
        raise refuse("TIMEZONE_UNKNOWN", "a time zone is an IANA name, such as Europe/Berlin")
    return value


_MAX_URL = 2_048
_URL = re.compile(r"https?://[!-~]+\Z", re.IGNORECASE).match


def url(value: str) -> str:
    """Check a web address: http or https, a host, no user name."""
    detail = "a URL begins with https:// or http://, names a host and has no spaces and no user name"
    if len(value) > _MAX_URL:
        raise refuse("ITEM_TOO_LARGE", f"at most {_MAX_URL} characters")
    if not _URL(value):
        raise refuse("URL_INVALID", detail)
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise refuse("URL_INVALID", detail) from None
    if not host or "@" in parts.netloc:
        raise refuse("URL_INVALID", detail)
    return value


_X_CHANNEL = re.compile(r"x\.[A-Za-z0-9._:\-]{1,100}\Z").match
CHANNELS = frozenset({"email", "sms", "whatsapp", "push", "phone", "post", "in_app", "in_person", "web"})


def channel(value: str) -> str:
    """Check a channel by which a customer can be reached."""
    if value not in CHANNELS and not _X_CHANNEL(value):
        raise refuse("VALUE_INVALID", f"one of {', '.join(sorted(CHANNELS))}, or x. and your own word")
    return value


# Times.
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_YEAR = 1970
_AHEAD = timedelta(hours=24)


_present = [_EPOCH]


def past(value: datetime) -> datetime:
    """Check when something happened: 1970 to 24 hours ahead; UTC."""
    # What lies behind a present that was is spared the look at the clock. The services look in any case.
    if value > _present[0]:
        _present[0] = clock.now()
        if value > _present[0] + _AHEAD:
            raise refuse("OCCURRED_AT_IN_FUTURE", "more than 24 hours ahead of the present")
    if value.year <= _EPOCH_YEAR and value < _EPOCH:
        raise refuse("TIME_OUT_OF_RANGE", "before 1970")
    return value if value.tzinfo is UTC else value.astimezone(UTC)


def instant(value: datetime) -> datetime:
    """Check a time that is known already: 1970 to 24 hours ahead; UTC."""
    if not _EPOCH <= value <= clock.now() + _AHEAD:
        raise refuse("TIME_OUT_OF_RANGE", "from 1970 to 24 hours ahead")
    return value.astimezone(UTC)


def any_time(value: datetime) -> datetime:
    """Check a time that may lie ahead, such as an expiry: from 1970; UTC."""
    try:
        value = value.astimezone(UTC)
    except OverflowError:
        raise refuse("TIME_OUT_OF_RANGE", "from 1970 to 9999") from None
    if value < _EPOCH:
        raise refuse("TIME_OUT_OF_RANGE", "from 1970 to 9999")
    return value


_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z").match


def time_or_date(value: str | datetime) -> datetime:
    """Read a query's time: RFC 3339 with an offset, or a date, which is its midnight in UTC."""
    if isinstance(value, datetime):
        return any_time(value)
    # A bare + in a query string arrives as a space.
    text = value.replace(" ", "+") if "T" in value else value
    try:
        read = msgspec.convert(text + "T00:00:00Z" if _DATE(text) else text, datetime)
    except msgspec.ValidationError:
        raise refuse("TIME_INVALID", "a time is RFC 3339 with an offset, or a date such as 2026-01-31") from None
    if read.tzinfo is None:
        raise refuse("OFFSET_MISSING", "a time needs its offset from UTC, such as Z or +02:00")
    return any_time(read)


# Numbers.
MAX_INTEGER = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly."""


def integer(low: int = -MAX_INTEGER, high: int = MAX_INTEGER) -> Rule:
    """Return the rule of an integer between two bounds, both inclusive."""

    def check(value: int) -> int:
        if not low <= value <= high:
            raise refuse("OUT_OF_RANGE", f"from {low} to {high}")
        return value

    return check


def number(value: float) -> float:
    """Check a number: finite."""
    if not isfinite(value):
        raise refuse("OUT_OF_RANGE", "must be a finite number")
    return value


def page_size(value: int) -> int:
    """Read a list's limit: below 1 is refused, over 200 reads as 200."""
    if value < 1:
        raise refuse("OUT_OF_RANGE", "at least 1; over 200 reads as 200")
    return min(value, 200)


def currency(value: str) -> str:
    """Check a currency's ISO 4217 code."""
    if value not in CURRENCIES:
        raise refuse("CURRENCY_UNKNOWN", "a currency is an ISO 4217 code in capitals, such as EUR")
    return value


# JSON values of the partner's own shape.
_MAX_JSON_BYTES = 16 * 1024
_MAX_KEYS = 64
_MAX_DEPTH = 4
_MAX_STRING = 1_000


def json_object(*, keep_nulls: bool = False) -> Rule:
    """Return the rule of a JSON object of the partner's own shape; it comes out in canonical form.

    Args:
        keep_nulls: true where null says clear (merge patch); otherwise null and absent are alike.
    """

    def check(value: dict[str, Any]) -> msgspec.Raw:
        if isinstance(value, msgspec.Raw):
            return value
        packed = msgspec.json.encode(_plain(value, 1, keep_nulls=keep_nulls), order="deterministic")
        if len(packed) > _MAX_JSON_BYTES:
            raise refuse("ITEM_TOO_LARGE", "at most 16 KiB of JSON")
        return msgspec.Raw(packed)

    return check


def _plain(value: Any, depth: int, *, keep_nulls: bool) -> Any:
    kind = type(value)
    if kind is str:
        return _string(value)
    if kind is dict:
        if depth > _MAX_DEPTH:
            raise refuse("ITEM_TOO_LARGE", "at most 4 levels deep")
        if len(value) > _MAX_KEYS:
            raise refuse("ITEM_TOO_LARGE", "at most 64 keys")
        return {
            _string(key): _plain(item, depth + 1, keep_nulls=keep_nulls)
            for key, item in value.items()
            if item is not None or keep_nulls
        }
    if kind is list:
        if depth > _MAX_DEPTH:
            raise refuse("ITEM_TOO_LARGE", "at most 4 levels deep")
        return [_plain(item, depth + 1, keep_nulls=keep_nulls) for item in value]
    if kind is int and not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise refuse("OUT_OF_RANGE", f"integers from {-MAX_INTEGER} to {MAX_INTEGER}")
    if kind is float and value.is_integer() and -MAX_INTEGER <= value <= MAX_INTEGER:
        # JSON has one kind of number: 1.0 says what 1 says.
        return int(value)
    return value


def _string(value: str) -> str:
    if len(value) > _MAX_STRING:
        raise refuse("ITEM_TOO_LARGE", "strings of at most 1,000 characters")
    if "\0" in value:
        raise refuse("TEXT_INVALID", "the character NUL is not allowed")
    return value


def list_of(rule: Rule, limit: int) -> Rule:
    """Return the rule of a list whose items follow `rule`, at most `limit` of them."""

    def check(values: list[Any]) -> list[Any]:
        if len(values) > limit:
            raise refuse("ITEM_TOO_LARGE", f"at most {limit} items")
        faults = []
        for index, value in enumerate(values):
            try:
                values[index] = rule(value)
            except Refused as refused:
                faults += [fault.under(f"/{index}") for fault in refused.faults]
        if faults:
            raise Refused(faults)
        return values

    return check
