"""The rules for single fields: ids, words, times, money, free-form JSON; not for whole customers or activities."""

import json
import re
import sys
import unicodedata
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from plaudit.common.v1.money_pb2 import Money

MAX_ITEM_BYTES: Final = 32 * 1024
MAX_JSON_BYTES: Final = 16 * 1024
MAX_KEYS: Final = 64
MAX_DEPTH: Final = 4
MAX_TEXT: Final = 1_000
MAX_NAME: Final = 200
MAX_INTEGER: Final = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly."""
MAX_FLOAT: Final = sys.float_info.max

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}").fullmatch
# Control characters, and those that turn the direction of the text around them. Line breaks and tabs are text.
_UNSAFE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff]").search
_FAR = timedelta(hours=24)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_CURRENCY = re.compile(r"[A-Z]{3}")
_HALF_ESCAPED = re.compile(r"\\u[dD][89a-fA-F]").search


class Problem(NamedTuple):
    """Why an item is refused: a stable code, where (RFC 6901), and a sentence that never repeats the input."""

    code: str
    pointer: str
    detail: str


def problem_with_id(value: str, pointer: str) -> Problem | None:
    """Check the form of an id that a partner owns; the edge has the closer look at what it may be."""
    if _ID(value):
        return None
    if "@" in value or value.startswith("+"):
        return Problem("ID_IS_PERSONAL", pointer, "an id must not be an e-mail address or a phone number")
    detail = "an id is 1 to 128 characters of A-Z a-z 0-9 . _ : - and begins with a letter or digit"
    return Problem("ID_INVALID", pointer, detail)


def problem_with_text(value: str, pointer: str, *, longest: int = MAX_TEXT) -> Problem | None:
    """Check a string that people may read: its length in code points, and nothing that hides or turns text."""
    if len(value) > longest:
        return Problem("ITEM_TOO_LARGE", pointer, f"at most {longest} characters")
    if _UNSAFE(value):
        return Problem("TEXT_INVALID", pointer, "control characters and direction overrides are not allowed")
    return None


def problem_with_free_text(value: str, pointer: str, *, longest: int = MAX_TEXT) -> Problem | None:
    """Check a string that is kept as it is: its length in code points, and that the database can hold it."""
    if len(value) > longest:
        return Problem("ITEM_TOO_LARGE", pointer, f"at most {longest} characters")
    return Problem("TEXT_INVALID", pointer, "the character NUL is not allowed") if "\0" in value else None


def problem_with_time(value: Timestamp, pointer: str, now: datetime) -> Problem | None:
    """Check that a time lies between 1970 and 24 hours ahead."""
    seconds = value.seconds
    if not 0 <= value.nanos < 1_000_000_000 or seconds < 0:
        return Problem("TIME_OUT_OF_RANGE", pointer, "times begin with 1970-01-01T00:00:00Z")
    if seconds > _last_second(now):
        code = "OCCURRED_AT_IN_FUTURE" if pointer.endswith("/occurred_at") else "TIME_OUT_OF_RANGE"
        return Problem(code, pointer, "more than 24 hours ahead")
    return None


@lru_cache(maxsize=8)
def _last_second(now: datetime) -> float:
    return (now + _FAR).timestamp()


def problem_with_money(value: Money, pointer: str) -> Problem | None:
    """Check an amount that somebody paid: a currency code, not negative, exact in every JSON reader."""
    if not _CURRENCY.fullmatch(value.currency):
        return Problem("CURRENCY_UNKNOWN", f"{pointer}/currency", "not an ISO 4217 code in upper case")
    if not 0 <= value.amount_minor <= MAX_INTEGER:
        return Problem("OUT_OF_RANGE", f"{pointer}/amount_minor", "from 0 to 2^53 - 1 minor units")
    return None


def problem_with_object(raw: bytes, pointer: str) -> Problem | None:
    """Check a free-form JSON object: at most 16 KiB, 64 keys, depth 4, strings of 1,000 characters."""
    if len(raw) > MAX_JSON_BYTES:
        return Problem("ITEM_TOO_LARGE", pointer, "at most 16 KiB of JSON")
    try:
        text = raw.decode()
        value = json.loads(text, parse_constant=_refuse)
        if _HALF_ESCAPED(text):
            # Half a character, which JSON's grammar allows, is no text that can be kept.
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return Problem("JSON_INVALID", pointer, "not JSON")
    if not isinstance(value, dict):
        return Problem("JSON_INVALID", pointer, "not a JSON object")
    return _problem_within(value, pointer, 1)


def _refuse(constant: str) -> float:
    raise ValueError(constant)


def _problem_within(value: Any, pointer: str, depth: int) -> Problem | None:
    """Return the first problem with what a JSON value holds."""
    if isinstance(value, str):
        return problem_with_free_text(value, pointer)
    if isinstance(value, int | float) and not isinstance(value, bool):
        limit = MAX_INTEGER if isinstance(value, int) else MAX_FLOAT
        return None if abs(value) <= limit else Problem("OUT_OF_RANGE", pointer, "too large a number")
    if not isinstance(value, dict | list):
        return None
    if depth > MAX_DEPTH:
        return Problem("ITEM_TOO_LARGE", pointer, f"at most {MAX_DEPTH} levels deep")
    if isinstance(value, dict):
        if len(value) > MAX_KEYS:
            return Problem("ITEM_TOO_LARGE", pointer, f"at most {MAX_KEYS} keys")
        problems = (problem_with_free_text(key, pointer) for key in value)
        if problem := next(filter(None, problems), None):
            return problem
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    problems = (_problem_within(inner, f"{pointer}/{_escaped(str(key))}", depth + 1) for key, inner in pairs)
    return next(filter(None, problems), None)


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def search_key(text: str) -> str:
    """Fold a text so that case, accents and spacing do not count."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    folded = unicodedata.normalize("NFKD", plain.casefold())
    return " ".join("".join(c for c in folded if not unicodedata.combining(c)).split())


def value_of(message: Message, field: str) -> Any:
    """Return a field's value, or None where it is absent."""
    return getattr(message, field) if message.HasField(field) else None


def said_in(message: Message) -> dict[str, Any]:
    """Return the fields that a message has, by name: one pass where many may be absent."""
    names = _names_of(message.DESCRIPTOR)
    return {names[field]: value for field, value in message.ListFields()}


@cache
def _names_of(kind: Descriptor) -> dict[FieldDescriptor, str]:
    """Return the names of a message's fields: each asked of the descriptor would be a string of its own."""
    return {field: field.name for field in kind.fields}


def utc(value: Timestamp) -> datetime:
    """Return a proto's time as an aware datetime, whole microseconds, within the years there are."""
    try:
        return _EPOCH + timedelta(0, value.seconds, value.nanos // 1000)
    except OverflowError:
        return _FIRST if value.seconds < 0 else _LAST
