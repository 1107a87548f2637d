"""ActivityService over gRPC: the hot path of activities, their reading, and taking them back."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import asyncpg

from libs.common import audit, clock, db, idempotency, ingest, tenancy
from libs.common.db import Database
from libs.common.errors import InvalidArgument, NotFound
from libs.common.events import emit
from libs.common.tenancy import Call, Context
from plaudit.common.v1.ingest_pb2 import ItemContext, ItemResult
from plaudit.profile.v1 import profile_service_pb2 as pb
from plaudit.profile.v1 import profile_service_pb2_grpc as rpc
from plaudit.profile.v1.profile_events_pb2 import ActivityRecorded, ActivityVoided
from plaudit.profile.v1.profile_pb2 import Activity, ActivityRecord

from .. import domain, store
from .pages import MOST_ITEMS, position_after, problem_with_filters, refuse


class ActivityServicer(rpc.ActivityServiceServicer):
    def __init__(self, database: Database, fingerprint_key: bytes) -> None:
        self._db = database
        self._key = fingerprint_key
        self._known = store.Known()

    async def RecordActivities(
        self, request: pb.RecordActivitiesRequest, context: Context
    ) -> pb.RecordActivitiesResponse:
        call = tenancy.call_of(context)
        if not 1 <= len(request.items) <= MOST_ITEMS:
            raise InvalidArgument("BATCH_TOO_LARGE", f"a call has 1 to {MOST_ITEMS} items", pointer="/items")
        now = clock.now()
        answers: dict[int, ItemResult] = {}
        items: list[ingest.Item] = []
        shared = _Came(request.context, now)
        for index, item in enumerate(request.items):
            activity = item.activity
            said = domain.said_in(activity)
            if problem := domain.problem_with_activity(activity, now, said):
                answers[index] = ingest.rejected(*problem)
            else:
                came = _Came(item.context, now) if item.HasField("context") else shared
                items.append(self._item(index, activity, came, said, now))
        known = self._known.of(call.tenant_id)
        answers |= await ingest.record(self._db, call.tenant_id, store.ACTIVITIES, items, known=known)
        at = ingest.all_stored_at(answers, len(request.items))
        if at is not None:
            # Only where all were stored are all the customers there.
            self._known.add(call.tenant_id, (item.row for item in items if item.row))
        if at is not None and request.brief:
            return pb.RecordActivitiesResponse(all_stored_at=at)
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

    def _item(
        self, index: int, activity: Activity, came: "_Came", said: Mapping[str, Any], now: datetime
    ) -> ingest.Item:
        stamp = said["occurred_at"]
        occurred_at = domain.utc(stamp)
        # What this service does not know it does not keep, and does not tell either.
        activity.DiscardUnknownFields()
        content = activity.SerializeToString(deterministic=True)
        tail = _tail(occurred_at, history=True) if came.history else came.tail
        return ingest.Item(
            index,
            said["activity_id"],
            ingest.fingerprint_of(self._key, content),
            came.token,
            occurred_at,
            occurred_at if came.history else now,
            came.history,
            store.values_of(said),
            (_recorded(activity) if "act" in said or "properties" in said else content) + tail,
            came.traceparent,
            stamp,
            said.get("customer_id"),
        )


class _Came:
    """How items came, read once for all that came alike."""

    __slots__ = ("history", "tail", "token", "traceparent")

    def __init__(self, context: ItemContext, now: datetime) -> None:
        self.token = context.request_token
        self.history = context.history
        self.traceparent = context.traceparent
        self.tail = b"" if self.history else _tail(now, history=False)


@lru_cache(maxsize=64)
def _tail(received_at: datetime, *, history: bool) -> bytes:
    """Return the part of an event that the activity does not say."""
    return ActivityRecorded(received_at=clock.stamp(received_at), history=history).SerializeToString()


def _recorded(activity: Activity) -> bytes:
    """Return what an event takes over from an activity: properties, incentive and link stay here."""
    plain = Activity()
    plain.CopyFrom(activity)
    plain.ClearField("act")
    plain.ClearField("properties")
    act = activity.act
    more = ActivityRecorded(has_incentive=bool(act.incentive), ask_id=domain.value_of(act, "ask_id"))
    return plain.SerializeToString() + more.SerializeToString()


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
