"""The types that bodies are made of: each an annotated type that names its rule and describes itself in OpenAPI."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from . import rules


@dataclass(frozen=True)
class Checked:
    """Names the rule of an annotated type."""

    rule: rules.Rule


def _described(description: str, **schema: Any) -> Meta:
    return Meta(description=description, extra_json_schema=schema or None)


_ID_SCHEMA = {"minLength": 1, "maxLength": 128, "pattern": "^[A-Za-z0-9][A-Za-z0-9._:-]*$"}

Id = Annotated[
    str,
    _described("The partner's own id: a pseudonym, never an e-mail address or phone number.", **_ID_SCHEMA),
    Checked(rules.identifier),
]
Label = Annotated[
    str, _described("One line of text.", minLength=1, maxLength=200), Checked(rules.label(200)),
]  # fmt: skip
Line = Annotated[
    str, _described("One longer line of text.", minLength=1, maxLength=1000), Checked(rules.label(1_000)),
]  # fmt: skip
FreeText = Annotated[
    str, _described("Free text. Blank counts as absent.", maxLength=4000), Checked(rules.free_text(4_000)),
]  # fmt: skip
Email = Annotated[str, _described("An e-mail address.", maxLength=254), Checked(rules.email)]
Phone = Annotated[str, _described("A phone number in E.164.", pattern="^\\+[1-9][0-9]{6,14}$"), Checked(rules.phone)]
Locale = Annotated[str, _described("A language tag of BCP 47."), Checked(rules.locale)]
Timezone = Annotated[str, _described("An IANA time zone name."), Checked(rules.timezone)]
Channel = Annotated[str, _described("A way to reach a customer."), Checked(rules.channel)]
Url = Annotated[str, _described("An http or https URL.", maxLength=2048), Checked(rules.url)]
CurrencyCode = Annotated[str, _described("An ISO 4217 code.", pattern="^[A-Z]{3}$"), Checked(rules.currency)]

OccurredAt = Annotated[
    datetime,
    Meta(tz=True, description="When it happened: RFC 3339 with an offset, from 1970 to 24 hours ahead."),
    Checked(rules.past),
]
Time = Annotated[
    datetime, Meta(tz=True, description="RFC 3339 with offset, from 1970 to 24 hours ahead."), Checked(rules.instant),
]  # fmt: skip
AnyTime = Annotated[
    datetime, Meta(tz=True, description="RFC 3339 with an offset, from 1970; may lie ahead."), Checked(rules.any_time),
]  # fmt: skip
QueryTime = Annotated[
    str, _described("RFC 3339 with an offset, or a date, which is its midnight in UTC."), Checked(rules.time_or_date),
]  # fmt: skip
"""After checking, the value is a datetime."""

Number = Annotated[float, _described("A finite number."), Checked(rules.number)]
Integer = Annotated[int, _described("An integer that every JSON reader keeps exactly."), Checked(rules.integer())]
Count = Annotated[
    int, _described("A count.", minimum=0, maximum=rules.MAX_INTEGER), Checked(rules.integer(0)),
]  # fmt: skip
Score = Annotated[
    int, _described("A score on the survey's scale.", minimum=0, maximum=10), Checked(rules.integer(0, 10))
]
Limit = Annotated[int, _described("Page size; over 200 reads as 200.", minimum=1), Checked(rules.page_size)]
Cursor = Annotated[str, _described("The `next_cursor` of the page before."), Checked(lambda value: value)]
"""Whatever is no cursor of ours is refused as such when it is opened."""

_OBJECT = "Your own JSON object: at most 16 KiB, 64 keys, 4 levels, strings of 1,000 characters."
JsonObject = Annotated[dict[str, Any], _described(_OBJECT), Checked(rules.json_object())]
"""Once checked, a `msgspec.Raw` in canonical form; null and absent are alike."""
JsonObjectPatch = Annotated[dict[str, Any], _described(_OBJECT), Checked(rules.json_object(keep_nulls=True))]
"""The same, with nulls kept: they clear."""


def list_of(rule: rules.Rule, limit: int) -> Checked:
    """Give a list its rule: at most `limit` values that follow `rule` each."""
    return Checked(rules.list_of(rule, limit))


class Body(Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What every request body derives from: strict, unknown fields refused.

    A field that may be absent has the default `None`; where absent and null differ (merge patch) it is `msgspec.UNSET`.
    """


class Money(Body):
    """An exact amount of one currency."""

    amount_minor: Annotated[
        int, _described("Minor units (cents for EUR, whole yen for JPY).", minimum=0), Checked(rules.integer(0)),
    ]  # fmt: skip
    currency: CurrencyCode


Absent = msgspec.UnsetType
UNSET = msgspec.UNSET
