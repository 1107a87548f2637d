"""CaseService over gRPC: one method per RPC, one transaction per method."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common import audit, clock, idempotency, tenancy
from libs.common.db import Database
from libs.common.errors import FailedPrecondition, InvalidArgument, NotFound
from libs.common.events import emit
from libs.common.tenancy import Call, Context
from plaudit.feedback.v1 import feedback_service_pb2 as pb
from plaudit.feedback.v1 import feedback_service_pb2_grpc as rpc
from plaudit.feedback.v1.feedback_events_pb2 import CASE_CHANGE_ASSIGNED, CASE_CHANGE_CONTACTED, CaseChange
from plaudit.feedback.v1.feedback_pb2 import (
    CASE_STATE_ACKNOWLEDGED,
    CASE_STATE_REOPENED,
    CONTACT_OUTCOME_UNSPECIFIED,
    Case,
    CaseStep,
    Contact,
    ContactOutcome,
)

from .. import domain, store
from .calls import checked, refused

Request = pb.AcknowledgeCaseRequest | pb.AddContactRequest | pb.TransitionCaseRequest
Answer = TypeVar("Answer", pb.AcknowledgeCaseResponse, pb.AddContactResponse, pb.TransitionCaseResponse)


class CaseServicer(rpc.CaseServiceServicer):
    def __init__(self, db: Database) -> None:
        self._db = db

    async def GetCase(self, request: pb.GetCaseRequest, context: Context) -> pb.GetCaseResponse:
        async with tenancy.transaction(self._db, checked(request, context)) as conn:
            case = await store.get_case(conn, request.case_id, clock.now())
        if case is None:
            raise _unknown()
        return pb.GetCaseResponse(case=case)

    async def ListCases(self, request: pb.ListCasesRequest, context: Context) -> pb.ListCasesResponse:
        async with tenancy.transaction(self._db, checked(request, context)) as conn:
            return await store.list_cases(conn, request, clock.now())

    async def ListSuppressions(
        self, request: pb.ListSuppressionsRequest, context: Context
    ) -> pb.ListSuppressionsResponse:
        async with tenancy.transaction(self._db, checked(request, context)) as conn:
            return await store.list_suppressions(conn, request)

    async def UpdateCase(self, request: pb.UpdateCaseRequest, context: Context) -> pb.UpdateCaseResponse:
        call = checked(request, context)
        names = [name for name in domain.UPDATABLE if name in request.update_mask.paths]
        if problem := domain.problem_with_update(request):
            raise refused(problem)
        async with tenancy.transaction(self._db, call) as conn:
            case = await self._locked(conn, request.case_id)
            now = clock.now()
            values = [(name, getattr(request, name) if request.HasField(name) else None) for name in names]
            after = domain.updated(case, values, now)
            if after is case:
                return pb.UpdateCaseResponse(case=case)
            change = CASE_CHANGE_ASSIGNED if after.owner != case.owner else None
            return pb.UpdateCaseResponse(case=await self._save(conn, call, "UpdateCase", case, after, change, now))

    async def AcknowledgeCase(self, request: pb.AcknowledgeCaseRequest, context: Context) -> pb.AcknowledgeCaseResponse:
        step = pb.TransitionCaseRequest(
            case_id=request.case_id,
            to=CASE_STATE_ACKNOWLEDGED,
            note=request.note if request.HasField("note") else None,
            by=request.by if request.HasField("by") else None,
            at=request.at if request.HasField("at") else None,
        )

        async def effect(conn: AsyncConnection, call: Call) -> pb.AcknowledgeCaseResponse:
            return pb.AcknowledgeCaseResponse(case=await self._move(conn, call, "AcknowledgeCase", step))

        return await self._once(request, context, pb.AcknowledgeCaseResponse, effect)

    async def AddContact(self, request: pb.AddContactRequest, context: Context) -> pb.AddContactResponse:
        async def effect(conn: AsyncConnection, call: Call) -> pb.AddContactResponse:
            return pb.AddContactResponse(case=await self._contact(conn, call, request))

        return await self._once(request, context, pb.AddContactResponse, effect)

    async def TransitionCase(self, request: pb.TransitionCaseRequest, context: Context) -> pb.TransitionCaseResponse:
        async def effect(conn: AsyncConnection, call: Call) -> pb.TransitionCaseResponse:
            return pb.TransitionCaseResponse(case=await self._move(conn, call, "TransitionCase", request))

        return await self._once(request, context, pb.TransitionCaseResponse, effect)

    async def _once(
        self,
        request: Request,
        context: Context,
        answer_type: type[Answer],
        effect: Callable[[AsyncConnection, Call], Awaitable[Answer]],
    ) -> Answer:
        """Run an effect in one transaction, once per idempotency key."""
        call = checked(request, context)
        if problem := domain.problem_with_step_texts(request):
            raise refused(problem)
        async with tenancy.transaction(self._db, call) as conn:
            return await idempotency.once(conn, context, call, request, answer_type, lambda: effect(conn, call))

    async def _locked(self, conn: AsyncConnection, case_id: str) -> Case:
        case = await store.get_case(conn, case_id, clock.now(), for_update=True)
        if case is None:
            raise _unknown()
        return case

    async def _move(self, conn: AsyncConnection, call: Call, action: str, request: pb.TransitionCaseRequest) -> Case:
        case = await self._locked(conn, request.case_id)
        now = clock.now()
        problem = domain.problem_with_transition(
            case, request.to, note=request.note, root_cause=request.root_cause, confirmation=request.confirmation
        )
        if problem:
            raise _refusal(problem)
        at = _at_of(request.at if request.HasField("at") else None, case, now)
        if request.to == CASE_STATE_REOPENED and await store.has_other_open_case(conn, case):
            raise _already_open()
        step = CaseStep(
            to=request.to,
            at=domain.stamp_of(at),
            by=request.by if request.HasField("by") else None,
            note=request.note if request.HasField("note") else None,
            **{"from": case.state},
        )
        after = domain.moved(case, step, now=now, root_cause=request.root_cause, confirmation=request.confirmation)
        try:
            return await self._save(conn, call, action, case, after, domain.change_of(request.to), at)
        except IntegrityError:
            # An answer that came since the look above has opened one: a customer has one open case, says the index.
            raise _already_open() from None

    async def _contact(self, conn: AsyncConnection, call: Call, request: pb.AddContactRequest) -> Case:
        case = await self._locked(conn, request.case_id)
        now = clock.now()
        contact = Contact(by=request.by, channel=request.channel, outcome=request.outcome)
        if problem := domain.problem_with_contact(contact):
            raise refused(problem)
        at = _at_of(request.at if request.HasField("at") else None, case, now)
        contact.at.FromDatetime(at)
        after = domain.contacted(case, contact, now)
        return await self._save(conn, call, "AddContact", case, after, CASE_CHANGE_CONTACTED, at, request.outcome)

    async def _save(
        self,
        conn: AsyncConnection,
        call: Call,
        action: str,
        before: Case,
        after: Case,
        change: CaseChange.ValueType | None,
        at: datetime,
        outcome: ContactOutcome.ValueType = CONTACT_OUTCOME_UNSPECIFIED,
    ) -> Case:
        """Write a case that changed, with its clocks, its audit row and its event."""
        now = clock.now()
        after.clocks.CopyFrom(domain.default_clocks_of(after, now))
        due_at = domain.overdue_from(after, after.clocks, now)
        await store.save_case(conn, call.tenant_id, before, after, due_at)
        await audit.record(conn, call, action, ("case", after.case_id), before, after)
        if change is not None:
            event = domain.case_event(after, change, at, due_at=due_at, history=domain.is_past(at, now))
            if outcome:
                event.outcome = outcome
            await emit(conn, call.tenant_id, [event], at)
        return after


def _at_of(given: Timestamp | None, case: Case, now: datetime) -> datetime:
    at = domain.settled_at(given.ToDatetime(UTC) if given else None, now)
    if problem := domain.problem_with_at(case, at, now):
        raise refused(problem)
    return at


def _already_open() -> FailedPrecondition:
    return FailedPrecondition("CASE_ALREADY_OPEN", "this customer has another case that is open", pointer="/to")


def _unknown() -> NotFound:
    return NotFound("CASE_NOT_FOUND", "there is no case with this id")


def _refusal(problem: domain.Problem) -> FailedPrecondition | InvalidArgument:
    code, pointer, detail = problem
    kind = FailedPrecondition if code == "TRANSITION_NOT_ALLOWED" else InvalidArgument
    return kind(code, detail, pointer=pointer)
