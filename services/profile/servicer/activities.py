"""ActivityService over gRPC: the hot path of activities, their reading, and taking them back."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg

from libs.common import audit, clock, db, idempotency, ingest, tenancy
from libs.common.db import Database
from libs.common.errors import InvalidArgument, NotFound
from libs.common.events import emit
from libs.common.tenancy import Call, Context
from plaudit.common.v1.ingest_pb2 import ItemResult
from plaudit.profile.v1 import profile_service_pb2 as pb
from plaudit.profile.v1 import profile_service_pb2_grpc as rpc
from plaudit.profile.v1.profile_events_pb2 import ActivityRecorded, ActivityVoided
from plaudit.profile.v1.profile_pb2 import ActivityRecord

from .. import domain, store
from .pages import MOST_ITEMS, position_after, problem_with_filters, refuse

_TOLD = (
    "activity_id",
    "type",
    "occurred_at",
    "amount",
    "customer_id",
    "device_id",
    "account_id",
    "channel",
    "source",
    "staff_id",
    "team",
    "site",
    "moment",
    "value",
    "solicited",
    "incentivised",
    "verified",
)
"""What an event says of an activity word for word: keys, numbers and flags."""


class ActivityServicer(rpc.ActivityServiceServicer):
    def __init__(self, database: Database, fingerprint_key: bytes) -> None:
        self._db = database
        self._key = fingerprint_key

    async def RecordActivities(
        self, request: pb.RecordActivitiesRequest, context: Context
    ) -> pb.RecordActivitiesResponse:
        call = tenancy.call_of(context)
        if not 1 <= len(request.items) <= MOST_ITEMS:
            raise InvalidArgument("BATCH_TOO_LARGE", f"a call has 1 to {MOST_ITEMS} items", pointer="/items")
        now = clock.now()
        answers: dict[int, ItemResult] = {}
        items: list[ingest.Item] = []
        for index, item in enumerate(request.items):
            if problem := domain.problem_with_activity(item.activity, now):
                answers[index] = ingest.rejected(*problem)
            else:
                items.append(self._item(index, item, now))
        answers |= await ingest.record(self._db, call.tenant_id, store.ACTIVITIES, items)
        return pb.RecordActivitiesResponse(results=[answers[index] for index in range(len(request.items))])

    async def GetActivity(self, request: pb.GetActivityRequest, context: Context) -> pb.GetActivityResponse:
        refuse(domain.problem_with_id(request.activity_id, "/activity_id"))
        async with tenancy.transaction(self._db, context) as conn:
            record = await store.get_activity(conn, request.activity_id)
        if record is None:
            raise NotFound("ACTIVITY_NOT_FOUND", "there is no activity with this id")
        return pb.GetActivityResponse(record=record)

    async def ListActivities(self, request: pb.ListActivitiesRequest, context: Context) -> pb.ListActivitiesResponse:
        refuse(problem_with_filters(request))
        size = domain.size_of(request.page_size)
        before = position_after(request.page_token)
        async with tenancy.transaction(self._db, context) as conn:
            found = await store.list_activities(conn, request, before=before, limit=size + 1)
        page, token = found[:size], ""
        if len(found) > size:
            last = page[-1].activity
            token = domain.token_of(domain.utc(last.occurred_at).isoformat(), last.activity_id)
        return pb.ListActivitiesResponse(records=page, next_page_token=token)

    async def VoidActivity(self, request: pb.VoidActivityRequest, context: Context) -> pb.VoidActivityResponse:
        call = tenancy.call_of(context)
        refuse(
            domain.problem_with_id(request.activity_id, "/activity_id"),
            domain.problem_with_free_text(request.reason, "/reason"),
        )
        async with tenancy.transaction(self._db, call) as conn:

            async def effect() -> pb.VoidActivityResponse:
                before = await store.get_activity(conn, request.activity_id)
                if before is None:
                    raise NotFound("ACTIVITY_NOT_FOUND", "there is no activity with this id")
                after = await _void(await db.raw(conn), call, before, request.reason)
                # None: it was taken back before, or by somebody who was a moment quicker and is done by now.
                record = after or await store.get_activity(conn, request.activity_id)
                return pb.VoidActivityResponse(record=record)

            return await idempotency.once(conn, context, call, request, pb.VoidActivityResponse, effect)

    def _item(self, index: int, item: pb.ActivityItem, now: datetime) -> ingest.Item:
        activity, context = item.activity, item.context
        occurred_at = domain.utc(activity.occurred_at)
        received_at = occurred_at if context.history else now
        said = domain.said_in(activity)
        return ingest.Item(
            index=index,
            id=activity.activity_id,
            fingerprint=ingest.fingerprint(self._key, activity),
            request_token=context.request_token,
            occurred_at=occurred_at,
            received_at=received_at,
            history=context.history,
            values=store.values_of(said),
            event=_recorded(said, received_at, history=context.history),
            traceparent=context.traceparent,
        )


def _recorded(said: Mapping[str, Any], received_at: datetime, *, history: bool) -> ActivityRecorded:
    """Return the event of an activity: properties, incentive and link stay here."""
    act = said.get("act")
    return ActivityRecorded(
        received_at=clock.stamp(received_at),
        history=history,
        has_incentive=bool(act and act.incentive),
        ask_id=domain.value_of(act, "ask_id") if act else None,
        **{field: said[field] for field in _TOLD if field in said},
    )


async def _void(conn: asyncpg.Connection, call: Call, before: ActivityRecord, reason: str) -> ActivityRecord | None:
    """Take one activity back, with audit row and event. None where that was done before."""
    now = clock.now()
    activity = before.activity
    if not await store.insert_void(conn, call.tenant_id, activity.activity_id, reason, now):
        return None
    after = ActivityRecord()
    after.CopyFrom(before)
    after.voided_at.FromDatetime(now)
    after.void_reason = reason
    event = ActivityVoided(activity_id=activity.activity_id, voided_at=after.voided_at)
    if activity.HasField("customer_id"):
        event.customer_id = activity.customer_id
    await audit.record(conn, call, "VoidActivity", ("activity", activity.activity_id), before, after)
    await emit(conn, call.tenant_id, [event])
    return after
