"""What makes a customer acceptable, and what becomes of one when a change comes in: replace, merge, or nothing."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final, NamedTuple
from zoneinfo import available_timezones

from plaudit.profile.v1.profile_pb2 import Customer
from plaudit.profile.v1.profile_service_pb2 import SaveStatus

from .fields import (
    MAX_INTEGER,
    MAX_ITEM_BYTES,
    MAX_NAME,
    Problem,
    problem_with_id,
    problem_with_object,
    problem_with_text,
    problem_with_time,
    search_key,
    utc,
    value_of,
)

OWN_FIELDS: Final = (
    "name",
    "email",
    "phone",
    "locale",
    "timezone",
    "account_id",
    "role",
    "preferred_channel",
    "acquired_at",
    "goals",
    "traits",
    "identities",
    "source",
    "source_updated_at",
)
"""The partner's own fields: all that a save may change, and that the version counts."""

CHANNELS: Final = frozenset({"email", "sms", "whatsapp", "push", "phone", "post", "in_app", "in_person", "web"})
MAX_LIST: Final = 64

_X_CHANNEL = re.compile(r"x\.[A-Za-z0-9._:-]{1,100}")
_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_HOST_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(
    rf"(?=.{{3,254}}$)(?=[^@]{{1,64}}@){_LOCAL}(?:\.{_LOCAL})*@(?:{_HOST_LABEL}\.)+[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9]"
)
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
_LOCALE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?(-[A-Za-z0-9]{4,8})*")
_IDENTITY_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_PHONE_QUERY = re.compile(r"\+?[0-9 ()./-]{3,}")
_MAX_TOKEN = 200
_MAX_WORDS = 8
_SHAPES: Final = {
    "email": (_EMAIL, "EMAIL_INVALID", "not an e-mail address that can be written to"),
    "phone": (_PHONE, "PHONE_INVALID", "a phone number is written as E.164: + and up to 15 digits"),
    "locale": (_LOCALE, "LOCALE_INVALID", "a locale is a language tag of BCP 47"),
}


class Change(NamedTuple):
    """One wish to save a customer."""

    customer: Customer
    fields: Sequence[str] | None = None
    """The fields to merge; None replaces them all."""
    must_exist: bool = False
    versions: Sequence[int] = ()
    """The versions of which the kept customer must have one; empty for any."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of one change."""

    status: SaveStatus.ValueType
    customer: Customer | None = None
    """The customer as it is afterwards; None where there is none."""
    problem: Problem | None = None

    @property
    def is_change(self) -> bool:
        """Whether there is something to write."""
        return self.status in (SaveStatus.SAVE_STATUS_CREATED, SaveStatus.SAVE_STATUS_UPDATED)


def problem_with_customer(customer: Customer, now: datetime) -> Problem | None:
    """Return the first reason to refuse a customer's own fields, or None. `traits` may hold nulls (a merge patch)."""
    if customer.ByteSize() > MAX_ITEM_BYTES:
        return Problem("ITEM_TOO_LARGE", "", "an item is at most 32 KiB")
    return (
        problem_with_id(customer.customer_id, "/customer_id")
        or _problem_with_words(customer)
        or _problem_with_shapes(customer)
        or _problem_with_times(customer, now)
        or _problem_with_lists(customer)
        or (problem_with_object(customer.traits, "/traits") if customer.HasField("traits") else None)
    )


def _problem_with_words(customer: Customer) -> Problem | None:
    if customer.HasField("name") and not search_key(customer.name).strip("\u115f\u1160\u200b\u2800\u3164\uffa0"):
        return Problem("BLANK", "/name", "must not be blank")
    if customer.HasField("account_id") and (problem := problem_with_id(customer.account_id, "/account_id")):
        return problem
    longest = {"name": MAX_NAME, "role": MAX_NAME, "source": MAX_NAME}
    problems = (
        problem_with_text(getattr(customer, field), f"/{field}", longest=most) for field, most in longest.items()
    )
    return next(filter(None, problems), None)


def _problem_with_shapes(customer: Customer) -> Problem | None:
    for field, (shape, code, detail) in _SHAPES.items():
        value = value_of(customer, field)
        if value is not None and not shape.fullmatch(value):
            return Problem(code, f"/{field}", detail)
    if customer.HasField("timezone") and customer.timezone not in _timezones():
        return Problem("TIMEZONE_UNKNOWN", "/timezone", "a time zone is an IANA name")
    channel = customer.preferred_channel
    if customer.HasField("preferred_channel") and channel not in CHANNELS and not _X_CHANNEL.fullmatch(channel):
        return Problem("VALUE_INVALID", "/preferred_channel", "one of the channels, or x. and a word of your own")
    return None


@cache
def _timezones() -> frozenset[str]:
    return frozenset(available_timezones())


def _problem_with_times(customer: Customer, now: datetime) -> Problem | None:
    for field in ("acquired_at", "source_updated_at"):
        at = value_of(customer, field)
        if at is not None and (problem := problem_with_time(at, f"/{field}", now)):
            return problem
    return None


def _problem_with_lists(customer: Customer) -> Problem | None:
    if customer.HasField("goals") and (problem := _problem_with_goals(customer.goals)):
        return problem
    if len(customer.identities) > MAX_LIST:
        return Problem("ITEM_TOO_LARGE", "/identities", f"at most {MAX_LIST} identities")
    for index, identity in enumerate(customer.identities):
        at = f"/identities/{index}"
        if not _IDENTITY_TYPE.fullmatch(identity.type):
            return Problem("IDENTITY_INVALID", f"{at}/type", "a type is up to 64 letters, digits, . _ : and -")
        if not identity.value.strip():
            return Problem("BLANK", f"{at}/value", "must not be blank")
        if problem := problem_with_text(identity.value, f"{at}/value"):
            return problem
    return None


def _problem_with_goals(raw: bytes) -> Problem | None:
    try:
        goals = json.loads(raw)
    except (ValueError, RecursionError):
        goals = None
    if not isinstance(goals, list) or not all(isinstance(goal, str) for goal in goals):
        return Problem("JSON_INVALID", "/goals", "a list of strings")
    if len(goals) > MAX_LIST:
        return Problem("ITEM_TOO_LARGE", "/goals", f"at most {MAX_LIST} goals")
    problems = (problem_with_text(goal, f"/goals/{index}") for index, goal in enumerate(goals))
    return next(filter(None, problems), None)


def outcome_of(kept: Customer | None, change: Change, now: datetime) -> Outcome:
    """Decide what becomes of a valid change.

    Older data, by `source_updated_at`, has no effect. The same content again has none either: neither a version nor an
    event. Replacing revives an archived customer, merging leaves it where it is.

    Args:
        kept: the customer as it is, a stub included; None where there is none.
        change: what to save.
        now: UTC.
    """
    if problem := _problem_with_precondition(kept, change):
        return Outcome(SaveStatus.SAVE_STATUS_REJECTED, kept, problem)
    if kept is not None and _is_older(kept, change):
        return Outcome(SaveStatus.SAVE_STATUS_UNCHANGED, kept)
    wanted = _merged(kept or Customer(customer_id=change.customer.customer_id), change)
    if wanted.HasField("traits") and (problem := problem_with_object(wanted.traits, "/traits")):
        return Outcome(SaveStatus.SAVE_STATUS_REJECTED, kept, problem)
    if kept is not None and kept.known:
        is_revived = change.fields is None and kept.HasField("archived_at")
        if not is_revived and same_content(kept, wanted):
            return Outcome(SaveStatus.SAVE_STATUS_UNCHANGED, kept)
    is_new = kept is None or not kept.known
    wanted.known = True
    wanted.version = (kept.version if kept else 0) + 1
    wanted.updated_at.FromDatetime(now)
    if kept is None:
        wanted.created_at.FromDatetime(now)
    if change.fields is None:
        wanted.ClearField("archived_at")
    return Outcome(SaveStatus.SAVE_STATUS_CREATED if is_new else SaveStatus.SAVE_STATUS_UPDATED, wanted)


def problem_with_versions(kept: Customer, versions: Sequence[int]) -> Problem | None:
    """Check that a customer still has one of the versions that the caller read."""
    if versions and kept.version not in versions:
        return Problem("VERSION_MISMATCH", "", "the customer was changed since; read it again")
    return None


def _problem_with_precondition(kept: Customer | None, change: Change) -> Problem | None:
    if kept is None:
        if change.must_exist and change.fields is not None:
            return Problem("CUSTOMER_NOT_FOUND", "", "there is no such customer")
        is_conditional = change.must_exist or bool(change.versions)
        return Problem("VERSION_MISMATCH", "", "there is no such customer") if is_conditional else None
    return problem_with_versions(kept, change.versions)


def _is_older(kept: Customer, change: Change) -> bool:
    if not kept.HasField("source_updated_at") or not change.customer.HasField("source_updated_at"):
        return False
    if change.fields is not None and "source_updated_at" not in change.fields:
        return False
    return utc(change.customer.source_updated_at) < utc(kept.source_updated_at)


def _merged(kept: Customer, change: Change) -> Customer:
    """Return the kept customer with the change's fields, times in whole microseconds, JSON in canonical form."""
    wanted = Customer()
    wanted.CopyFrom(kept)
    for field in OWN_FIELDS if change.fields is None else change.fields:
        wanted.ClearField(field)  # type: ignore[arg-type]
        if field == "identities":
            wanted.identities.extend(_distinct(change.customer))
        elif not change.customer.HasField(field):  # type: ignore[arg-type]
            continue
        elif field == "traits":
            base = json.loads(kept.traits) if change.fields is not None and kept.HasField("traits") else {}
            traits = patched(base, json.loads(change.customer.traits))
            wanted.traits = json_bytes(traits)
        elif field == "goals":
            wanted.goals = json_bytes(json.loads(change.customer.goals))
        elif field in ("acquired_at", "source_updated_at"):
            getattr(wanted, field).FromDatetime(utc(getattr(change.customer, field)))
        else:
            setattr(wanted, field, getattr(change.customer, field))
    return wanted


def _distinct(customer: Customer) -> list[Any]:
    found = {(identity.type, identity.value): identity for identity in customer.identities}
    return list(found.values())


def patched(base: Any, patch: Any) -> Any:
    """Apply a JSON merge patch. Source: RFC 7396, section 2."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(base) if isinstance(base, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = patched(merged.get(key), value)
    return merged


def json_bytes(value: Any) -> bytes:
    """Write JSON in canonical form: sorted keys, no spaces, a whole number in one way only."""
    return json.dumps(_whole(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _whole(value: Any) -> Any:
    # The database keeps 1.0 and 1e22 as numbers without a fraction. What every reader holds exactly is an integer here,
    # what is beyond that a float, so that the same content is the same bytes after a round trip.
    if isinstance(value, float) and value.is_integer() and abs(value) <= MAX_INTEGER:
        return int(value)
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        return float(value)
    if isinstance(value, dict):
        return {key: _whole(inner) for key, inner in value.items()}
    return [_whole(inner) for inner in value] if isinstance(value, list) else value


def same_content(one: Customer, other: Customer) -> bool:
    """Say whether two customers agree in all of the partner's own fields."""
    for field in OWN_FIELDS:
        if field != "identities" and one.HasField(field) != other.HasField(field):  # type: ignore[arg-type]
            return False
        if getattr(one, field) != getattr(other, field):
            return False
    return True


def unknown_fields(fields: Iterable[str]) -> list[str]:
    """Return the names that no save may change."""
    return sorted(set(fields) - set(OWN_FIELDS))


def search_tokens(customer: Customer) -> frozenset[str]:
    """Return what a customer is found by: name, each later word of it, e-mail, digits of the phone number; folded."""
    words = search_key(customer.name).split()[:_MAX_WORDS]
    tokens = {" ".join(words[start:]) for start in range(len(words))}
    tokens |= {search_key(customer.email), customer.phone.removeprefix("+")}
    return frozenset(token[:_MAX_TOKEN] for token in tokens if token)


def search_prefixes(query: str) -> Sequence[str]:
    """Return the beginnings of tokens to look for; a phone number is also tried without what separates its digits."""
    prefixes = {search_key(query)[:_MAX_TOKEN]}
    if _PHONE_QUERY.fullmatch(query):
        prefixes.add(re.sub(r"[^0-9]", "", query))
    return sorted(prefix for prefix in prefixes if prefix)


def prefix_end(prefix: str) -> str:
    """Return the first string, in code point order, behind all that begin with a prefix."""
    last = ord(prefix[-1]) + 1
    # Surrogates are no characters.
    return prefix[:-1] + chr(0xE000 if 0xD800 <= last <= 0xDFFF else min(last, 0x10FFFF))
