"""SQL of the mentions: how ingest writes them, how they are read back and counted."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.ingest import Stream
from plaudit.feedback.v1 import feedback_service_pb2 as pb
from plaudit.feedback.v1.feedback_events_pb2 import MentionRecorded
from plaudit.feedback.v1.feedback_pb2 import Mention

from .. import domain
from ..tables import mentions
from .pages import Page

MENTIONS = Stream(
    kind="mention",
    table="mentions",
    columns={
        "customer_id": "text",
        "site": "text",
        "author": "text",
        "text": "text",
        "reach": "bigint",
        "campaign": "text",
    },
    subject=MentionRecorded.DESCRIPTOR.full_name,
)


def values_of(mention: Mention) -> tuple[Any, ...]:
    """Return the values of a mention in the order of the stream's columns."""
    given = {field.name: value for field, value in mention.ListFields()}
    return tuple(map(given.get, MENTIONS.columns))


def event_of(mention: Mention, received_at: datetime, *, history: bool) -> MentionRecorded:
    """Return what the others are told of a mention: neither its words nor its author."""
    event = MentionRecorded(
        mention_id=mention.mention_id,
        occurred_at=mention.occurred_at,
        received_at=domain.stamp_of(received_at),
        history=history,
    )
    for field, value in mention.ListFields():
        if field.name in {"customer_id", "site", "reach", "campaign"}:
            setattr(event, field.name, value)
    return event


async def get_mention(conn: AsyncConnection, mention_id: str) -> pb.MentionRecord | None:
    """Return one mention as it is kept, or None."""
    row = (await conn.execute(sa.select(mentions).where(mentions.c.mention_id == mention_id))).mappings().first()
    return _record_of(row) if row else None


async def list_mentions(conn: AsyncConnection, request: pb.ListMentionsRequest) -> pb.ListMentionsResponse:
    """Return one page of mentions, newest first by `occurred_at`."""
    page = Page(request, [mentions.c.occurred_at, mentions.c.mention_id], descending=True)
    query = _within(sa.select(mentions), request)
    if request.HasField("customer_id"):
        query = query.where(mentions.c.customer_id == request.customer_id)
    if request.HasField("campaign"):
        query = query.where(mentions.c.campaign == request.campaign)
    if request.HasField("updated_after"):
        query = query.where(mentions.c.recorded_at > request.updated_after.ToDatetime(UTC))
    found = (await conn.execute(page.apply(query))).mappings().all()
    rows, token = page.cut(found, lambda row: [row["occurred_at"], row["mention_id"]])
    return pb.ListMentionsResponse(records=map(_record_of, rows), next_page_token=token)


async def count_mentions(conn: AsyncConnection, request: pb.CountMentionsRequest) -> list[pb.MentionCount]:
    """Count mentions and whom they reached by the field that the request names, in no order."""
    key = mentions.c[request.by] if request.by else sa.null()
    query = sa.select(
        key.label("key"), sa.func.count().label("n"), sa.func.coalesce(sa.func.sum(mentions.c.reach), 0).label("reach")
    )
    query = _within(query, request)
    if request.by:
        query = query.group_by(key)
    rows = (await conn.execute(query)).all()
    return [pb.MentionCount(key=row.key, n=row.n, reach=min(int(row.reach), 2**63 - 1)) for row in rows]


def _within(query: sa.Select[Any], request: pb.ListMentionsRequest | pb.CountMentionsRequest) -> sa.Select[Any]:
    if request.HasField("from"):
        query = query.where(mentions.c.occurred_at >= getattr(request, "from").ToDatetime(UTC))
    if request.HasField("to"):
        query = query.where(mentions.c.occurred_at < request.to.ToDatetime(UTC))
    return query


def _record_of(row: sa.RowMapping) -> pb.MentionRecord:
    mention = Mention(
        mention_id=row["mention_id"],
        occurred_at=domain.stamp_of(row["occurred_at"]),
        **{name: row[name] for name in MENTIONS.columns},
    )
    return pb.MentionRecord(mention=mention, received_at=domain.stamp_of(row["received_at"]))
