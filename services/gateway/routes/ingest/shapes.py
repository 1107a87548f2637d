"""What partners send of each kind of fact. What follows from several fields together is the services' to judge."""

import re
from typing import Annotated, Literal

import msgspec

from ... import edge
from ...edge import rules

_TYPE = re.compile(r"[a-z]+(?:[._][a-z]+)*\Z|x\.[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z").match


def _activity_type(value: str) -> str:
    if not _TYPE(value):
        raise rules.refuse("ACTIVITY_TYPE_UNKNOWN", "one of the listed types, or x. and your own word")
    return value


ActivityType = Annotated[
    str,
    msgspec.Meta(description="One of the listed types, or `x.` and your own word, such as `purchase.completed`."),
    edge.Checked(_activity_type),
]


class ActIn(edge.Body):
    """What an act of advocacy was answering to."""

    ask_id: edge.Id | None = None
    incentive: edge.Label | None = None
    evidence_url: edge.Url | None = None


class ActivityIn(edge.Body):
    """Something that a customer, a device or an account did or underwent; it names at least one of them."""

    activity_id: edge.Id
    type: ActivityType
    occurred_at: edge.OccurredAt
    customer_id: edge.Id | None = None
    device_id: edge.Id | None = None
    account_id: edge.Id | None = None
    channel: edge.Label | None = None
    source: edge.Label | None = None
    staff_id: edge.Label | None = None
    team: edge.Label | None = None
    site: edge.Label | None = None
    moment: edge.Label | None = None
    value: edge.Number | None = None
    amount: edge.Money | None = None
    solicited: bool | None = None
    incentivised: bool | None = None
    verified: bool | None = None
    act: ActIn | None = None
    properties: edge.JsonObject | None = None


class ResponseIn(edge.Body):
    """One answer: a score, a verbatim or both, to a survey or at least a metric."""

    response_id: edge.Id
    occurred_at: edge.OccurredAt
    customer_id: edge.Id | None = None
    survey: edge.Id | None = None
    metric: Literal["nps", "csat", "ces"] | None = None
    kind: Literal["relationship", "transactional"] | None = None
    scale: edge.Label | None = None
    score: edge.Score | None = None
    verbatim: edge.FreeText | None = None
    moment: edge.Label | None = None
    channel: edge.Label | None = None
    solicited: bool | None = None
    invitation_id: edge.Id | None = None
    activity_id: edge.Id | None = None
    staff_id: edge.Label | None = None
    contact_ok: bool | None = None


class MentionIn(edge.Body):
    """What someone said in public."""

    mention_id: edge.Id
    occurred_at: edge.OccurredAt
    site: edge.Label | None = None
    author: edge.Label | None = None
    text: edge.FreeText | None = None
    reach: edge.Count | None = None
    campaign: edge.Label | None = None
    customer_id: edge.Id | None = None
