"""SQL of the surveys."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from plaudit.feedback.v1 import feedback_service_pb2 as pb
from plaudit.feedback.v1.feedback_pb2 import Survey

from .. import domain
from ..tables import surveys
from .pages import Page
from .words import KIND, METRIC


async def save_survey(conn: AsyncConnection, tenant_id: UUID, survey: Survey, now: datetime) -> tuple[Survey, bool]:
    """Replace a survey, or make or revive it.

    Returns:
        The survey as it is now, and whether there was none before, archived or not.
    """
    values = {
        "metric": METRIC.word(survey.metric),
        "kind": KIND.word(survey.kind),
        "scale": survey.scale if survey.HasField("scale") else None,
        "question": survey.question if survey.HasField("question") else None,
        "follow_up": survey.follow_up if survey.HasField("follow_up") else None,
        "locales": list(survey.locales),
        "moment": survey.moment if survey.HasField("moment") else None,
        "updated_at": now,
        "archived_at": None,
    }
    statement = insert(surveys).values(tenant_id=tenant_id, key=survey.key, created_at=now, **values)
    statement = statement.on_conflict_do_update(index_elements=["tenant_id", "key"], set_=values)
    row = (await conn.execute(statement.returning(surveys, sa.text("xmax = 0 as is_new")))).mappings().one()
    return _survey_of(row), bool(row["is_new"])


async def get_survey(conn: AsyncConnection, key: str) -> Survey | None:
    """Return one survey, archived or not, or None."""
    row = (await conn.execute(sa.select(surveys).where(surveys.c.key == key))).mappings().one_or_none()
    return _survey_of(row) if row else None


async def list_surveys(conn: AsyncConnection, request: pb.ListSurveysRequest) -> pb.ListSurveysResponse:
    """Return one page of surveys by key."""
    page = Page(request, [surveys.c.key], descending=False)
    query = sa.select(surveys)
    query = query.where(surveys.c.archived_at.is_not(None) if request.archived else surveys.c.archived_at.is_(None))
    if request.HasField("updated_after"):
        query = query.where(surveys.c.updated_at > request.updated_after.ToDatetime(UTC))
    rows, token = page.cut((await conn.execute(page.apply(query))).mappings().all(), lambda row: [row["key"]])
    return pb.ListSurveysResponse(surveys=map(_survey_of, rows), next_page_token=token)


async def archive_survey(conn: AsyncConnection, key: str, now: datetime) -> Survey | None:
    """Archive a survey and return it, or None where there is none; a second time changes nothing."""
    statement = (
        sa.update(surveys)
        .where(surveys.c.key == key, surveys.c.archived_at.is_(None))
        .values(archived_at=now, updated_at=now)
    )
    await conn.execute(statement)
    return await get_survey(conn, key)


async def get_surveys(conn: asyncpg.Connection, keys: Iterable[str]) -> dict[str, Survey]:
    """Return the surveys there are of those named, archived or not, by key; on the hot path."""
    rows = await conn.fetch("select * from surveys where key = any($1)", sorted(keys))
    return {row["key"]: _survey_of(row) for row in rows}


def _survey_of(row: Any) -> Survey:
    """Make the message of one row, whichever driver it came from."""
    return Survey(
        metric=METRIC.number(row["metric"]),
        kind=KIND.number(row["kind"]),
        locales=row["locales"],
        created_at=domain.stamp_of(row["created_at"]),
        updated_at=domain.stamp_of(row["updated_at"]),
        archived_at=domain.stamp_of(row["archived_at"]),
        **{name: row[name] for name in ("key", "scale", "question", "follow_up", "moment")},
    )
