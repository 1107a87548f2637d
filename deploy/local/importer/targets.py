"""What an import may fill: the fields of customers, activities, responses and mentions, in the public API's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Target:
    """One kind of item that an import makes.

    Attributes:
        name: as in the route, `/v1/<name>/batch`.
        id_field: the item's own id.
        required: fields that a map must give.
        one_of: groups of fields; of each group a map must give at least one.
        fields: every field that the API takes.
        is_fact: facts never change, so that the same row twice is a repeat; things merge.
        types: the type of each field that is not text.
    """

    name: str
    id_field: str
    required: frozenset[str]
    one_of: tuple[tuple[str, ...], ...]
    fields: frozenset[str]
    is_fact: bool = True
    types: Mapping[str, str] = field(default_factory=dict)


CUSTOMERS = Target(
    name="customers",
    id_field="customer_id",
    required=frozenset({"customer_id"}),
    one_of=(),
    fields=frozenset(
        {
            "customer_id",
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
        }
    ),
    is_fact=False,
    types={"acquired_at": "datetime", "source_updated_at": "datetime", "goals": "list"},
)
ACTIVITIES = Target(
    name="activities",
    id_field="activity_id",
    required=frozenset({"activity_id", "type", "occurred_at"}),
    one_of=(("customer_id", "device_id", "account_id"),),
    fields=frozenset(
        {
            "activity_id",
            "customer_id",
            "device_id",
            "account_id",
            "type",
            "occurred_at",
            "channel",
            "source",
            "staff_id",
            "team",
            "site",
            "moment",
            "value",
            "amount",
            "solicited",
            "incentivised",
            "verified",
            "act",
            "properties",
        }
    ),
    types={
        "occurred_at": "datetime",
        "value": "number",
        "amount": "money",
        "solicited": "bool",
        "incentivised": "bool",
        "verified": "bool",
    },
)
RESPONSES = Target(
    name="responses",
    id_field="response_id",
    required=frozenset({"response_id", "occurred_at"}),
    one_of=(("metric", "survey"), ("score", "verbatim")),
    fields=frozenset(
        {
            "response_id",
            "customer_id",
            "survey",
            "metric",
            "kind",
            "scale",
            "score",
            "verbatim",
            "moment",
            "channel",
            "occurred_at",
            "solicited",
            "invitation_id",
            "activity_id",
            "staff_id",
            "contact_ok",
        }
    ),
    types={"occurred_at": "datetime", "score": "int", "solicited": "bool", "contact_ok": "bool"},
)
MENTIONS = Target(
    name="mentions",
    id_field="mention_id",
    required=frozenset({"mention_id", "occurred_at"}),
    one_of=(),
    fields=frozenset(
        {
            "mention_id",
            "customer_id",
            "site",
            "author",
            "text",
            "reach",
            "occurred_at",
            "campaign",
        }
    ),
    types={"occurred_at": "datetime", "reach": "int"},
)
TARGETS = {target.name: target for target in (CUSTOMERS, ACTIVITIES, RESPONSES, MENTIONS)}
