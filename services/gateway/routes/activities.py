"""Activities over HTTP: reading, and taking back. Taking them in is `ingest`."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from plaudit.profile.v1 import profile_service_pb2 as pb
from plaudit.profile.v1 import profile_service_pb2_grpc as rpc
from plaudit.profile.v1.profile_pb2 import Activity, ActivityRecord

from .. import edge
from ..edge import openapi

router = edge.Router()

_TIME = {"type": "string", "format": "date-time"}
_KEPT = {
    "received_at": _TIME,
    "voided_at": {**_TIME, "type": ["string", "null"], "description": "When it was taken back."},
    "void_reason": {"type": ["string", "null"]},
}
_ACTIVITY = {
    "allOf": [openapi.schema_of(Activity), {"type": "object", "properties": _KEPT, "required": list(_KEPT)}],
}


class ActivityQuery(edge.ListQuery):
    """Which activities."""

    customer_id: edge.Id | None = None
    from_: edge.QueryTime | None = msgspec.field(default=None, name="from")
    to: edge.QueryTime | None = None
    updated_after: edge.QueryTime | None = None


class VoidIn(edge.Body):
    """Why an activity is taken back."""

    reason: edge.Line


@router.operation("GET /v1/activities/{activity_id}", scope="profile:read", answer=_ACTIVITY)
async def get_activity(request: Request, activity_id: str) -> Response:
    """Give one activity as it was stored, taken back or not."""
    message = pb.GetActivityRequest(activity_id=activity_id)
    reply = await edge.call(request, edge.stub(request, rpc.ActivityServiceStub).GetActivity, message)
    return edge.answer(shown(reply.record))


@router.operation("GET /v1/activities", scope="profile:read", query=ActivityQuery, answer=_ACTIVITY, listed=True)
async def list_activities(request: Request) -> Response:
    """List activities, newest first by `occurred_at`; `from` is inclusive, `to` exclusive."""
    asked = edge.query(request, ActivityQuery)
    message = edge.listing(request, asked, pb.ListActivitiesRequest)
    reply = await edge.call(request, edge.stub(request, rpc.ActivityServiceStub).ListActivities, message)
    return edge.page(request, asked, reply.records, reply.next_page_token, shown)


@router.operation("POST /v1/activities/{activity_id}/void", scope="profile:write", body=VoidIn, answer=_ACTIVITY)
async def void_activity(request: Request, activity_id: str) -> Response:
    """Take an activity back: it counts for nothing any more, and stays where it is. A second time changes nothing."""
    body = await edge.read(request, VoidIn)
    message = edge.to_message(body, pb.VoidActivityRequest, activity_id=activity_id)
    reply = await edge.call(request, edge.stub(request, rpc.ActivityServiceStub).VoidActivity, message)
    return edge.answer(shown(reply.record))


def shown(record: ActivityRecord) -> dict[str, Any]:
    """Return a kept activity as it is answered: its fields and what became of it side by side."""
    found = edge.to_json(record)
    activity: dict[str, Any] = found.pop("activity")
    return activity | found
