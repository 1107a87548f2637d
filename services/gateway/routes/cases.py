"""Cases and suppressions over HTTP: the inner loop."""

from datetime import datetime, timedelta
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from libs.common import clock
from plaudit.feedback.v1 import feedback_pb2 as nouns
from plaudit.feedback.v1 import feedback_service_pb2 as pb
from plaudit.feedback.v1 import feedback_service_pb2_grpc as rpc

from .. import edge

router = edge.Router()

State = Literal[
    "open", "acknowledged", "in_progress", "action_taken", "closed", "waiting_customer", "reopened", "suppressed"
]
_LEEWAY = timedelta(seconds=60)
"""What a caller's clock may go behind before a step counts as loaded from the past."""


class CaseQuery(edge.ListQuery):
    """Which cases. `overdue`: open, a running clock past due; `trigger_id`: an answer that opened or joined it."""

    state: State | None = None
    team: edge.Label | None = None
    owner: edge.Label | None = None
    overdue: bool | None = None
    customer_id: edge.Id | None = None
    trigger_id: edge.Id | None = None
    external_ref: edge.Label | None = None
    updated_after: edge.QueryTime | None = None


class CasePatch(edge.Body):
    """What partners change of a case; null clears, absent leaves."""

    owner: edge.Label | edge.Absent | None = edge.UNSET
    external_ref: edge.Label | edge.Absent | None = edge.UNSET
    external_url: edge.Url | edge.Absent | None = edge.UNSET


class AcknowledgementIn(edge.Body):
    """Who saw it. `at` in the past needs the scope `history:write`."""

    by: edge.Label | None = None
    note: edge.FreeText | None = None
    at: edge.Time | None = None


class CaseContactIn(edge.Body):
    """An attempt to speak with the customer. `at` in the past needs the scope `history:write`."""

    by: edge.Label
    channel: edge.Label
    outcome: Literal["reached", "left_message", "failed"]
    at: edge.Time | None = None


class TransitionIn(edge.Body):
    """One step. `action_taken` needs `root_cause`, `suppressed` a `note`; `confirmation` belongs to `closed`."""

    to: State
    note: edge.FreeText | None = None
    root_cause: edge.FreeText | None = None
    confirmation: Literal["confirmed", "no_answer", "declined", "not_asked"] | None = None
    by: edge.Label | None = None
    at: edge.Time | None = None


class SuppressionQuery(edge.ListQuery):
    """Which suppressions; the period is over the trigger's `at`."""

    reason: edge.Label | None = None
    from_: edge.QueryTime | None = msgspec.field(default=None, name="from")
    to: edge.QueryTime | None = None


@router.operation("GET /v1/cases", scope="feedback:read", query=CaseQuery, answer=nouns.Case, listed=True)
async def list_cases(request: Request) -> Response:
    """List cases, newest first."""
    asked = edge.query(request, CaseQuery)
    message = edge.listing(request, asked, pb.ListCasesRequest)
    reply = await edge.call(request, edge.stub(request, rpc.CaseServiceStub).ListCases, message)
    return edge.page(request, asked, reply.cases, reply.next_page_token)


@router.operation("GET /v1/cases/{case_id}", scope="feedback:read", answer=nouns.Case)
async def get_case(request: Request, case_id: str) -> Response:
    """Give one case with its triggers, clocks, contacts and history."""
    message = pb.GetCaseRequest(case_id=case_id)
    reply = await edge.call(request, edge.stub(request, rpc.CaseServiceStub).GetCase, message)
    return edge.answer(reply.case)


@router.operation("PATCH /v1/cases/{case_id}", scope="feedback:write", body=CasePatch, answer=nouns.Case)
async def update_case(request: Request, case_id: str) -> Response:
    """Assign a case, or link it to a ticket elsewhere."""
    body = await edge.read(request, CasePatch)
    message = edge.to_message(body, pb.UpdateCaseRequest, case_id=case_id)
    message.update_mask.paths.extend(edge.given(body))
    reply = await edge.call(request, edge.stub(request, rpc.CaseServiceStub).UpdateCase, message)
    return edge.answer(reply.case)


@router.operation(
    "POST /v1/cases/{case_id}/acknowledgement", scope="feedback:write", body=AcknowledgementIn, answer=nouns.Case
)
async def acknowledge_case(request: Request, case_id: str) -> Response:
    """Acknowledge an open case: the same as a transition to `acknowledged`. It stops no clock."""
    body = await edge.read(request, AcknowledgementIn)
    _check_past(request, body.at)
    message = edge.to_message(body, pb.AcknowledgeCaseRequest, case_id=case_id)
    reply = await edge.call(request, edge.stub(request, rpc.CaseServiceStub).AcknowledgeCase, message)
    return edge.answer(reply.case)


@router.operation(
    "POST /v1/cases/{case_id}/contacts", scope="feedback:write", body=CaseContactIn, answer=nouns.Case, status=201
)
async def add_contact(request: Request, case_id: str) -> Response:
    """Note an attempt to speak with the customer: it meets the first-response clock and starts the next one."""
    body = await edge.read(request, CaseContactIn)
    _check_past(request, body.at)
    message = edge.to_message(body, pb.AddContactRequest, case_id=case_id)
    reply = await edge.call(request, edge.stub(request, rpc.CaseServiceStub).AddContact, message)
    return edge.answer(reply.case, status=201)


@router.operation("POST /v1/cases/{case_id}/transition", scope="feedback:write", body=TransitionIn, answer=nouns.Case)
async def transition_case(request: Request, case_id: str) -> Response:
    """Move a case one step.

    The way is open, acknowledged, in_progress, action_taken, closed. `waiting_customer` lies beside the three in the
    middle and leads back to where it was entered; a closed case may be `reopened` and is then `in_progress`; an open
    one may be `suppressed`.
    """
    body = await edge.read(request, TransitionIn)
    _check_past(request, body.at)
    message = edge.to_message(body, pb.TransitionCaseRequest, case_id=case_id)
    reply = await edge.call(request, edge.stub(request, rpc.CaseServiceStub).TransitionCase, message)
    return edge.answer(reply.case)


@router.operation(
    "GET /v1/suppressions", scope="feedback:read", query=SuppressionQuery, answer=nouns.Suppression, listed=True
)
async def list_suppressions(request: Request) -> Response:
    """List the unhappy answers that deliberately opened no case, newest first, each with its reason."""
    asked = edge.query(request, SuppressionQuery)
    message = edge.listing(request, asked, pb.ListSuppressionsRequest)
    reply = await edge.call(request, edge.stub(request, rpc.CaseServiceStub).ListSuppressions, message)
    return edge.page(request, asked, reply.suppressions, reply.next_page_token)


def _check_past(request: Request, at: datetime | None) -> None:
    """Let only those who may load history say that something happened before now. 403 SCOPE_MISSING."""
    caller = edge.exchange(request).caller
    assert caller is not None
    if at is not None and at < clock.now() - _LEEWAY:
        caller.need("history:write")
