"""Mentions: stored once, read back, counted; their words stay here."""

import uuid
from datetime import datetime
from typing import Any

import pytest

from libs.common.errors import InvalidArgument, NotFound
from plaudit.common.v1.ingest_pb2 import ITEM_STATUS_DUPLICATE, ITEM_STATUS_STORED
from plaudit.event.v1.event_batch_pb2 import EventBatch
from plaudit.feedback.v1 import feedback_service_pb2 as pb
from plaudit.feedback.v1.feedback_events_pb2 import MentionRecorded
from plaudit.feedback.v1.feedback_pb2 import Mention
from tests.conftest import World

from .conftest import Feedback, ago, stamp


def mention(*, at: datetime | None = None, **fields: Any) -> Mention:
    """Make a mention with an id of its own."""
    given = {"mention_id": f"m-{uuid.uuid4()}", "occurred_at": stamp(at or ago(hours=1)), **fields}
    return Mention(**given)


async def test_a_mention_is_stored_once_and_read_back(feedback: Feedback) -> None:
    said = mention(site="forum", author="simulated 1", text="I love it", reach=12, campaign="spring")
    first = await feedback.mention(said)
    second = await feedback.mention(said)
    answer = await feedback.call("GetMention", pb.GetMentionRequest(mention_id=said.mention_id))
    assert [first[0].status, second[0].status] == [ITEM_STATUS_STORED, ITEM_STATUS_DUPLICATE]
    assert answer.record.mention == said


async def test_an_unknown_mention_is_not_found(feedback: Feedback) -> None:
    with pytest.raises(NotFound, match="MENTION_NOT_FOUND"):
        await feedback.call("GetMention", pb.GetMentionRequest(mention_id="nobody"))


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"reach": -1}, "REACH_OUT_OF_RANGE"),
        ({"text": "x" * 4_001}, "ITEM_TOO_LARGE"),
        ({"author": "a\0"}, "TEXT_INVALID"),
        ({"mention_id": ""}, "ID_INVALID"),
    ],
)
async def test_a_bad_mention_is_refused_alone(feedback: Feedback, fields: dict[str, Any], code: str) -> None:
    results = await feedback.mention(mention(**fields), mention())
    assert (results[0].code, results[1].status) == (code, ITEM_STATUS_STORED)


async def test_the_event_names_neither_words_nor_author(feedback: Feedback, world: World) -> None:
    await feedback.mention(mention(text="hidden words", author="hidden author", site="forum", reach=5))
    conn = await world.connect("feedback", feedback.tenant_id)
    try:
        payload = await conn.fetchval(
            "select payload from outbox where subject = $1", MentionRecorded.DESCRIPTOR.full_name
        )
    finally:
        await conn.close()
    event = MentionRecorded.FromString(EventBatch.FromString(payload).events[0].payload)
    assert (event.site, event.reach) == ("forum", 5)
    assert b"hidden" not in payload


async def test_mentions_are_counted_by_campaign(feedback: Feedback) -> None:
    await feedback.mention(
        mention(campaign="spring", reach=10),
        mention(campaign="spring", reach=5),
        mention(campaign="autumn"),
        mention(reach=2**53),
    )
    answer = await feedback.call("CountMentions", pb.CountMentionsRequest(by="campaign"))
    groups = [(group.key if group.HasField("key") else None, group.n, group.reach) for group in answer.groups]
    assert groups == [("autumn", 1, 0), ("spring", 2, 15), (None, 1, 2**53)]
    assert (answer.total.n, answer.total.reach) == (4, 2**53 + 15)


async def test_mentions_are_counted_in_a_period(feedback: Feedback) -> None:
    await feedback.mention(mention(at=ago(days=3)), mention(at=ago(days=1)))
    request = pb.CountMentionsRequest(**{"from": stamp(ago(days=2))})  # type: ignore[arg-type]
    assert (await feedback.call("CountMentions", request)).total.n == 1


async def test_nothing_else_is_counted_by(feedback: Feedback) -> None:
    with pytest.raises(InvalidArgument, match="MENTION_BY_UNSUPPORTED"):
        await feedback.call("CountMentions", pb.CountMentionsRequest(by="author"))


async def test_mentions_are_listed_by_campaign_and_page(feedback: Feedback) -> None:
    said = [mention(campaign="spring", at=ago(hours=hours)) for hours in (1, 2, 3)]
    await feedback.mention(*said, mention(campaign="autumn"))
    first = await feedback.call("ListMentions", pb.ListMentionsRequest(campaign="spring", page_size=2))
    rest = await feedback.call(
        "ListMentions", pb.ListMentionsRequest(campaign="spring", page_size=2, page_token=first.next_page_token)
    )
    assert [record.mention for record in (*first.records, *rest.records)] == said
