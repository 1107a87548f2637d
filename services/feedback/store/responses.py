"""SQL of the answers: how ingest writes them, and how they are read back."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.ingest import Stream
from plaudit.feedback.v1 import feedback_service_pb2 as pb
from plaudit.feedback.v1.feedback_events_pb2 import ResponseRecorded
from plaudit.feedback.v1.feedback_pb2 import Response

from .. import domain
from ..tables import responses
from .pages import Page
from .words import KIND, METRIC

RESPONSES = Stream(
    kind="response",
    table="responses",
    columns={
        "customer_id": "text",
        "survey": "text",
        "metric": "text",
        "kind": "text",
        "scale": "text",
        "score": "smallint",
        "verbatim": "text",
        "moment": "text",
        "channel": "text",
        "solicited": "boolean",
        "invitation_id": "text",
        "activity_id": "text",
        "staff_id": "text",
        "contact_ok": "boolean",
    },
    subject=ResponseRecorded.DESCRIPTOR.full_name,
)
_PLAIN = tuple(name for name in RESPONSES.columns if name not in ("metric", "kind"))


def values_of(given: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the values of an answer in the order of the stream's columns.

    Args:
        given: the fields that are set, defaults filled in, by name.
    """
    values = dict(given)
    values["metric"] = METRIC.word(given["metric"])
    values["kind"] = KIND.word(given["kind"])
    return tuple(map(values.get, RESPONSES.columns))


def event_of(given: Mapping[str, Any], received_at: datetime, *, history: bool) -> ResponseRecorded:
    """Return what the others are told of an answer: never its words.

    Args:
        given: the fields that are set, defaults filled in, by name.
        received_at: UTC; of history when it occurred.
        history: loaded from the past.
    """
    return ResponseRecorded(
        received_at=domain.stamp_of(received_at),
        history=history,
        has_verbatim="verbatim" in given,
        **{name: given[name] for name in _SHARED if name in given},
    )


_SHARED = (
    "response_id",
    "customer_id",
    "survey",
    "metric",
    "kind",
    "scale",
    "score",
    "moment",
    "channel",
    "occurred_at",
    "solicited",
    "invitation_id",
    "activity_id",
    "staff_id",
)


async def get_fingerprints(conn: asyncpg.Connection, ids: Sequence[str]) -> dict[str, tuple[bytes, datetime]]:
    """Return fingerprint and time of receipt of those answers that were stored, by id."""
    rows = await conn.fetch(
        "select id, fingerprint, received_at from seen where kind = $1 and id = any($2)", RESPONSES.kind, ids
    )
    return {row["id"]: (row["fingerprint"], row["received_at"]) for row in rows}


async def get_response(conn: AsyncConnection, response_id: str) -> pb.ResponseRecord | None:
    """Return one answer as it is kept, or None."""
    row = (await conn.execute(sa.select(responses).where(responses.c.response_id == response_id))).mappings().first()
    return _record_of(row) if row else None


async def list_responses(conn: AsyncConnection, request: pb.ListResponsesRequest) -> pb.ListResponsesResponse:
    """Return one page of answers, newest first by `occurred_at`."""
    page = Page(request, [responses.c.occurred_at, responses.c.response_id], descending=True)
    query = sa.select(responses)
    if request.HasField("customer_id"):
        query = query.where(responses.c.customer_id == request.customer_id)
    if request.HasField("from"):
        query = query.where(responses.c.occurred_at >= getattr(request, "from").ToDatetime(UTC))
    if request.HasField("to"):
        query = query.where(responses.c.occurred_at < request.to.ToDatetime(UTC))
    if request.HasField("updated_after"):
        query = query.where(responses.c.recorded_at > request.updated_after.ToDatetime(UTC))
    found = (await conn.execute(page.apply(query))).mappings().all()
    rows, token = page.cut(found, lambda row: [row["occurred_at"], row["response_id"]])
    return pb.ListResponsesResponse(records=map(_record_of, rows), next_page_token=token)


def _record_of(row: sa.RowMapping) -> pb.ResponseRecord:
    response = Response(
        response_id=row["response_id"],
        metric=METRIC.number(row["metric"]),
        kind=KIND.number(row["kind"]),
        occurred_at=domain.stamp_of(row["occurred_at"]),
        **{name: row[name] for name in _PLAIN},
    )
    return pb.ResponseRecord(response=response, received_at=domain.stamp_of(row["received_at"]))
