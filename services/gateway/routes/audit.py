"""Who did what, over HTTP: the audit rows of all services and of this process, in one list."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp
from starlette.requests import Request
from starlette.responses import Response

from libs.common import audit, tenancy
from plaudit.common.v1 import audit_service_pb2 as pb
from plaudit.common.v1.audit_service_pb2_grpc import AuditServiceStub

from .. import edge, problems

router = edge.Router()

_PLACE = re.compile(r"(\d{1,18}) ([0-9a-z_]{1,64})\Z").match
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class AuditQuery(edge.ListQuery):
    """Which changes: `from` inclusive, `to` exclusive, by whom (a key's id), of what."""

    from_: edge.QueryTime | None = msgspec.field(default=None, name="from")
    to: edge.QueryTime | None = None
    actor: edge.Label | None = None
    subject_kind: edge.Label | None = None
    subject_id: edge.Label | None = None


class AuditSubject(msgspec.Struct, kw_only=True):
    """What was changed."""

    kind: str
    id: str


class AuditOut(msgspec.Struct, kw_only=True):
    """One change. What it said is not kept here."""

    audit_id: str
    at: datetime
    actor: str
    request_id: str
    action: str
    subject: AuditSubject


@router.operation("GET /v1/audit", scope="platform:read", query=AuditQuery, answer=AuditOut, listed=True)
async def list_audit(request: Request) -> Response:
    """List who changed what, newest first. `actor` is an API key's id, or an internal team's name."""
    asked = edge.query(request, AuditQuery)
    if asked.from_ is not None and asked.to is not None and asked.to <= asked.from_:
        raise problems.refused("?to", "PERIOD_INVALID", "the period ends after it starts")
    message = edge.to_message(asked, pb.ListAuditRequest, without=("limit", "cursor"), page_size=asked.limit + 1)
    if token := edge.page_token(request, asked):
        message.after.CopyFrom(_place(token))
    replies = await asyncio.gather(_own(request, message), *_others(request, message))
    found = sorted((entry for reply in replies for entry in reply.entries), key=_order, reverse=True)
    page = found[: asked.limit]
    following = "{} {}".format(*_order(page[-1])) if len(found) > asked.limit else ""
    return edge.page(request, asked, page, following, _out)


def _others(request: Request, message: pb.ListAuditRequest) -> list[Any]:
    gateway = edge.gateway(request)
    stubs = [gateway.peers.stub(AuditServiceStub, name) for name in gateway.peers.names]
    return [edge.call(request, stub.ListAudit, message) for stub in stubs]


async def _own(request: Request, message: pb.ListAuditRequest) -> pb.ListAuditResponse:
    caller = edge.exchange(request).caller
    assert caller is not None
    return await audit.AuditServicer(edge.gateway(request).db).ListAudit(message, tenancy.Call(caller.tenant_id))


def _order(entry: pb.AuditEntry) -> tuple[int, str]:
    """Return the entry's place in the list, the same in every service: microseconds, then the id."""
    return entry.at.ToMicroseconds(), entry.audit_id


def _place(token: str) -> pb.AuditEntry:
    found = _PLACE(token)
    assert found is not None
    at = Timestamp()
    at.FromMicroseconds(int(found[1]))
    return pb.AuditEntry(audit_id=found[2], at=at)


def _out(entry: pb.AuditEntry) -> AuditOut:
    return AuditOut(
        audit_id=entry.audit_id,
        at=_EPOCH + timedelta(microseconds=entry.at.ToMicroseconds()),
        actor=entry.actor,
        request_id=entry.request_id,
        action=entry.action,
        subject=AuditSubject(kind=entry.subject_kind, id=entry.subject_id),
    )
