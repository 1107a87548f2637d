"""What makes an activity acceptable, and which facts of a customer's life it tells."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any, Final

from plaudit.profile.v1.profile_pb2 import Activity

from .fields import (
    MAX_ITEM_BYTES,
    Problem,
    problem_with_id,
    problem_with_money,
    problem_with_object,
    problem_with_text,
    problem_with_time,
    said_in,
)

BUYING: Final = frozenset({"purchase.completed", "service_visit.completed"})
SUBSCRIBING: Final = frozenset(
    f"subscription.{step}" for step in ("started", "renewed", "upgraded", "downgraded", "cancelled")
)
CANCELLED: Final = "subscription.cancelled"
SEEN: Final = BUYING | {"subscription.renewed", "usage.reported"}
"""What shows that a customer is still there."""

LIFECYCLE_TYPES: Final = sorted(SEEN | SUBSCRIBING)
"""What tells anything about the stage of life."""

TYPES: Final = (
    BUYING
    | SUBSCRIBING
    | {
        "support.opened",
        "support.resolved",
        "usage.reported",
        "device.alert",
        "device.recovered",
        "milestone.reached",
        "newsletter.opened",
        "newsletter.forwarded",
        "social.liked",
        "social.shared",
        "reference.offered",
        "reference.given",
        "beta.joined",
        "review.published",
        "event.spoken",
        "community.helped",
    }
)

# A partner's own type: dots between words that no subject or pattern could read as a wildcard.
_OWN_TYPE = re.compile(r"x(\.[A-Za-z0-9_-]+)+")
_MAX_TYPE = 128
_URL = re.compile(r"https?://[^\s/?#@\\]+([/?#]\S*)?", re.IGNORECASE)
_SUBJECTS = ("customer_id", "device_id", "account_id")
_WORDS = ("channel", "source", "staff_id", "team", "site", "moment")
_ACT_WORDS = ("ask_id", "incentive", "evidence_url")


def problem_with_activity(activity: Activity, now: datetime, said: Mapping[str, Any] | None = None) -> Problem | None:
    """Return the first reason to refuse an activity, or None.

    Args:
        activity: as it came, before any default is filled in.
        now: the time of receipt, UTC.
        said: its fields by name, where they are known already.
    """
    if activity.ByteSize() > MAX_ITEM_BYTES:
        return Problem("ITEM_TOO_LARGE", "", "an item is at most 32 KiB")
    said = said_in(activity) if said is None else said
    return (
        problem_with_id(said.get("activity_id", ""), "/activity_id")
        or _problem_with_type(said.get("type", ""))
        or _problem_with_subject(said)
        or _problem_with_occurrence(said, now)
        or _problem_with_words(said)
        or _problem_with_measures(said)
    )


def _problem_with_type(value: str) -> Problem | None:
    if value in TYPES or (len(value) <= _MAX_TYPE and _OWN_TYPE.fullmatch(value)):
        return None
    if not value:
        return Problem("FIELD_REQUIRED", "/type", "type is needed")
    detail = "one of the listed types, or x. and words of letters, digits, _ and - with dots between"
    return Problem("ACTIVITY_TYPE_UNKNOWN", "/type", detail)


def _problem_with_subject(said: Mapping[str, Any]) -> Problem | None:
    is_named = False
    for field in _SUBJECTS:
        if field in said:
            if problem := problem_with_id(said[field], f"/{field}"):
                return problem
            is_named = True
    if is_named:
        return None
    return Problem("SUBJECT_MISSING", "/customer_id", "one of customer_id, device_id and account_id is needed")


def _problem_with_occurrence(said: Mapping[str, Any], now: datetime) -> Problem | None:
    if "occurred_at" not in said:
        return Problem("FIELD_REQUIRED", "/occurred_at", "occurred_at is needed")
    return problem_with_time(said["occurred_at"], "/occurred_at", now)


def _problem_with_words(said: Mapping[str, Any]) -> Problem | None:
    for field in _WORDS:
        if field in said and (problem := problem_with_text(said[field], f"/{field}")):
            return problem
    if "act" in said:
        act = said["act"]
        for field in _ACT_WORDS:
            if problem := problem_with_text(getattr(act, field), f"/act/{field}"):
                return problem
        if act.HasField("evidence_url") and not _URL.fullmatch(act.evidence_url):
            return Problem("URL_INVALID", "/act/evidence_url", "an http or https address without credentials")
    return None


def _problem_with_measures(said: Mapping[str, Any]) -> Problem | None:
    if "value" in said and not isfinite(said["value"]):
        return Problem("OUT_OF_RANGE", "/value", "must be a finite number")
    if "amount" in said and (problem := problem_with_money(said["amount"], "/amount")):
        return problem
    return problem_with_object(said["properties"], "/properties") if "properties" in said else None


@dataclass(frozen=True, slots=True)
class Step:
    """One activity of a customer, as far as the lifecycle goes."""

    customer_id: str
    activity_id: str
    type: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Facts:
    """What a customer's activities say about the lifecycle. Times UTC; None where there is no such activity."""

    first_at: datetime | None = None
    """The first purchase, visit or subscription."""
    last_at: datetime | None = None
    """The latest purchase, visit, renewal or usage."""
    bought_at: datetime | None = None
    """The latest purchase or visit."""
    subscription_at: datetime | None = None
    """The latest step of a subscription, by time, then id."""
    subscription_id: str | None = None
    is_cancelled: bool | None = None
    """Whether that step was a cancellation."""


def facts_of(steps: Iterable[Step]) -> dict[str, Facts]:
    """Fold steps, in any order and repeated or not, into facts per customer."""
    grouped: dict[str, list[Step]] = {}
    for step in steps:
        if step.type in LIFECYCLE_TYPES:
            grouped.setdefault(step.customer_id, []).append(step)
    return {customer_id: _folded(own) for customer_id, own in sorted(grouped.items())}


def _folded(steps: list[Step]) -> Facts:
    first = [step.occurred_at for step in steps if step.type in BUYING or step.type in SUBSCRIBING]
    subscribed = [step for step in steps if step.type in SUBSCRIBING]
    latest = max(subscribed, key=lambda step: (step.occurred_at, step.activity_id), default=None)
    return Facts(
        first_at=min(first, default=None),
        last_at=max((step.occurred_at for step in steps if step.type in SEEN), default=None),
        bought_at=max((step.occurred_at for step in steps if step.type in BUYING), default=None),
        subscription_at=latest.occurred_at if latest else None,
        subscription_id=latest.activity_id if latest else None,
        is_cancelled=latest.type == CANCELLED if latest else None,
    )
