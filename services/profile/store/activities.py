"""Activities: how they are stored, read and taken back."""

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common import db
from libs.common.ingest import Stream
from plaudit.profile.v1.profile_events_pb2 import ActivityRecorded
from plaudit.profile.v1.profile_pb2 import Activity, ActivityRecord
from plaudit.profile.v1.profile_service_pb2 import ListActivitiesRequest

from .. import domain, tables

_WORDS = ("customer_id", "device_id", "account_id", "channel", "source", "staff_id", "team", "site", "moment")
_FLAGS = ("solicited", "incentivised", "verified")
_ACT = ("ask_id", "incentive", "evidence_url")
_NO_ACT = (None, None, None)

ACTIVITIES = Stream(
    kind="activity",
    table="activities",
    columns={
        **dict.fromkeys(_WORDS, "text"),
        "type": "text",
        "value": "double precision",
        "amount_minor": "bigint",
        "currency": "text",
        **dict.fromkeys(_FLAGS, "boolean"),
        **dict.fromkeys(_ACT, "text"),
        "has_act": "boolean",
        "properties": "jsonb",
    },
    subject=ActivityRecorded.DESCRIPTOR.full_name,
    also_needs="customer_id",
    # A fact about an unseen customer makes a stub of it, in the same statement.
    also=""", stubs as (
    insert into customers (tenant_id, customer_id, created_at, updated_at)
    select t.tenant::uuid, u.customer_id, $3, $3
    from t, (select distinct unknown as customer_id from fresh where unknown is not null order by 1) u
    on conflict do nothing)""",
)

_VOID = """insert into voids (tenant_id, activity_id, reason, voided_at) values ($1, $2, $3, $4)
on conflict do nothing returning activity_id"""
_STEPS = """select a.customer_id, a.type, min(a.occurred_at) as first_at, max(a.occurred_at) as last_at,
    (array_agg(a.activity_id order by a.occurred_at desc, a.activity_id desc))[1] as latest_id
from activities a
where a.customer_id = any($1::text[]) and a.type = any($2::text[])
    and not exists (select from voids v where v.tenant_id = a.tenant_id and v.activity_id = a.activity_id)
group by a.customer_id, a.type"""


def values_of(said: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return an activity's own columns, in the order of the stream's, from what it says."""
    amount, act = said.get("amount"), said.get("act")
    return (
        *map(said.get, _WORDS),
        said["type"],
        said.get("value"),
        amount.amount_minor if amount else None,
        amount.currency if amount else None,
        *map(said.get, _FLAGS),
        *((domain.value_of(act, field) for field in _ACT) if act is not None else _NO_ACT),
        act is not None,
        said["properties"].decode() if "properties" in said else None,
    )


async def get_activity(conn: AsyncConnection, activity_id: str) -> ActivityRecord | None:
    """Return one activity, taken back or not, or None."""
    row = (await conn.execute(_select().where(tables.activities.c.activity_id == activity_id))).mappings().one_or_none()
    return _to_proto(row) if row else None


async def list_activities(
    conn: AsyncConnection,
    request: ListActivitiesRequest,
    *,
    before: tuple[datetime | None, str] | None,
    limit: int,
) -> list[ActivityRecord]:
    """Return the activities asked for, newest first by `occurred_at`, then id.

    Args:
        conn: under the tenant.
        request: its filters; paging is in `before` and `limit`. What was taken back counts as updated then.
        before: the last item shown, (occurred_at, id).
        limit: at most so many.
    """
    table = tables.activities.c
    query = _select()
    if request.HasField("customer_id"):
        query = query.where(table.customer_id == request.customer_id)
    if request.HasField("from"):
        query = query.where(table.occurred_at >= domain.utc(getattr(request, "from")))
    if request.HasField("to"):
        query = query.where(table.occurred_at < domain.utc(request.to))
    if request.HasField("updated_after"):
        since = domain.utc(request.updated_after)
        query = query.where(sa.or_(table.recorded_at > since, tables.voids.c.voided_at > since))
    if before is not None:
        at, activity_id = before
        # The first condition is implied by the second, and the one that an index understands.
        query = query.where(
            table.occurred_at <= at, sa.tuple_(table.occurred_at, table.activity_id) < (at, activity_id)
        )
    query = query.order_by(table.occurred_at.desc(), table.activity_id.desc()).limit(limit)
    return [_to_proto(row) for row in (await conn.execute(query)).mappings()]


async def insert_void(
    conn: asyncpg.Connection, tenant_id: uuid.UUID, activity_id: str, reason: str, now: datetime
) -> bool:
    """Note that an activity was taken back; False when it was already."""
    return await conn.fetchval(_VOID, tenant_id, activity_id, reason, now) is not None


async def list_steps(conn: AsyncConnection, customer_ids: list[str]) -> list[domain.Step]:
    """Return what counts of some customers' activities for the lifecycle: the first and the latest of each type."""
    rows = await (await db.raw(conn)).fetch(_STEPS, customer_ids, domain.LIFECYCLE_TYPES)
    first = [domain.Step(row["customer_id"], "", row["type"], row["first_at"]) for row in rows]
    return first + [domain.Step(row["customer_id"], row["latest_id"], row["type"], row["last_at"]) for row in rows]


def _select() -> sa.Select[Any]:
    table, voids = tables.activities, tables.voids
    joined = table.outerjoin(
        voids, sa.and_(voids.c.tenant_id == table.c.tenant_id, voids.c.activity_id == table.c.activity_id)
    )
    own = [column for column in table.c if column.name not in ("tenant_id", "recorded_at", "history", "properties")]
    # JSON comes as text: it is handed on, not read.
    properties = sa.cast(table.c.properties, sa.Text).label("properties")
    return sa.select(*own, properties, voids.c.voided_at, voids.c.reason).select_from(joined)


def _to_proto(row: Mapping[str, Any]) -> ActivityRecord:
    activity = Activity(
        activity_id=row["activity_id"],
        type=row["type"],
        value=row["value"],
        **{field: row[field] for field in (*_WORDS, *_FLAGS)},
    )
    activity.occurred_at.FromDatetime(row["occurred_at"])
    if row["currency"] is not None:
        activity.amount.amount_minor = row["amount_minor"]
        activity.amount.currency = row["currency"]
    if row["has_act"]:
        activity.act.SetInParent()
        for field in _ACT:
            if row[field] is not None:
                setattr(activity.act, field, row[field])
    if row["properties"] is not None:
        activity.properties = domain.json_bytes(json.loads(row["properties"]))
    record = ActivityRecord(activity=activity, void_reason=row["reason"])
    record.received_at.FromDatetime(row["received_at"])
    if row["voided_at"] is not None:
        record.voided_at.FromDatetime(row["voided_at"])
    return record
