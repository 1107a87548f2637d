"""ResponseService over gRPC: the hot path of answers, and their reading."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import asyncpg

from libs.common import clock, events, ingest, tenancy
from libs.common.db import Database
from libs.common.errors import InvalidArgument, NotFound
from libs.common.tenancy import Call, Context
from plaudit.common.v1.ingest_pb2 import ITEM_STATUS_DUPLICATE, ITEM_STATUS_REJECTED, ItemContext, ItemResult
from plaudit.feedback.v1 import feedback_service_pb2 as pb
from plaudit.feedback.v1 import feedback_service_pb2_grpc as rpc
from plaudit.feedback.v1.feedback_pb2 import Response, Survey, Trigger

from .. import domain, store
from .calls import checked

MOST_ITEMS = 256


class ResponseServicer(rpc.ResponseServiceServicer):
    def __init__(self, db: Database, fingerprint_key: bytes) -> None:
        self._db = db
        self._key = fingerprint_key

    async def RecordResponses(self, request: pb.RecordResponsesRequest, context: Context) -> pb.RecordResponsesResponse:
        call = tenancy.call_of(context)
        if not 1 <= len(request.items) <= MOST_ITEMS:
            raise InvalidArgument("BATCH_TOO_LARGE", f"a call has 1 to {MOST_ITEMS} items", pointer="/items")
        surveys = await self._surveys_of(call, request)
        now = clock.now()
        answers: dict[int, ItemResult] = {}
        items: list[ingest.Item] = []
        shared = request.context
        for index, item in enumerate(request.items):
            response = item.response
            survey = surveys.get(response.survey)
            if problem := _problem_with(response, survey, now):
                answers[index] = ingest.rejected(*problem)
            else:
                came = item.context if item.HasField("context") else shared
                items.append(self._item(index, response, came, survey, now))
        if any(request.items[index].response.survey for index in answers):
            answers |= await self._repeats(call, request, answers)
        # Only a batch with an unhappy answer needs more than the one statement.
        then = _Following(call) if any(item.row for item in items) else None
        answers |= await ingest.record(self._db, call.tenant_id, store.RESPONSES, items, then=then)
        if request.brief and (at := ingest.all_stored_at(answers, len(request.items))):
            return pb.RecordResponsesResponse(all_stored_at=at)
        results = [answers[index] for index in range(len(request.items))]
        return pb.RecordResponsesResponse(results=results, defaults=map(_defaults, request.items, results))

    async def GetResponse(self, request: pb.GetResponseRequest, context: Context) -> pb.GetResponseResponse:
        async with tenancy.transaction(self._db, checked(request, context)) as conn:
            record = await store.get_response(conn, request.response_id)
        if record is None:
            raise NotFound("RESPONSE_NOT_FOUND", "there is no response with this id")
        return pb.GetResponseResponse(record=record)

    async def ListResponses(self, request: pb.ListResponsesRequest, context: Context) -> pb.ListResponsesResponse:
        async with tenancy.transaction(self._db, checked(request, context)) as conn:
            return await store.list_responses(conn, request)

    async def _surveys_of(self, call: Call, request: pb.RecordResponsesRequest) -> Mapping[str, Survey]:
        named = {item.response.survey for item in request.items if item.response.survey}
        # What no key can be is refused with its item; to ask for it would cost the others.
        keys = {key for key in named if not domain.problem_with_id(key, "/survey")}
        if not keys:
            return {}
        async with tenancy.hot(self._db, call) as conn:
            return await store.get_surveys(conn, keys)

    async def _repeats(
        self, call: Call, request: pb.RecordResponsesRequest, refused: Iterable[int]
    ) -> dict[int, ItemResult]:
        """Find repeats among what is refused: an answer that was good once stays so, whatever became of its survey."""
        asked = [(index, request.items[index].response) for index in refused]
        asked = [(index, found) for index, found in asked if not domain.problem_with_form(found, "response_id")]
        async with tenancy.hot(self._db, call) as conn:
            known = await store.get_fingerprints(conn, [response.response_id for _, response in asked])
        return {
            index: ItemResult(status=ITEM_STATUS_DUPLICATE, received_at=domain.stamp_of(known[response.response_id][1]))
            for index, response in asked
            if response.response_id in known
            and known[response.response_id][0] == ingest.fingerprint(self._key, response)
        }

    def _item(
        self, index: int, response: Response, context: ItemContext, survey: Survey | None, now: datetime
    ) -> ingest.Item:
        """Fill in the defaults, once the fingerprint of what was sent is taken, and decide what follows."""
        fingerprint = ingest.fingerprint(self._key, response)
        response.metric, response.kind, response.scale = domain.question_of(response, survey)
        given = {field.name: value for field, value in response.ListFields()}
        occurred_at = response.occurred_at.ToDatetime(UTC)
        received_at = occurred_at if context.history else now
        score = response.score if response.HasField("score") else None
        verdict = domain.case_verdict(response.metric, score, response.customer_id, occurred_at, received_at)
        return ingest.Item(
            index=index,
            id=response.response_id,
            fingerprint=fingerprint,
            request_token=context.request_token,
            occurred_at=occurred_at,
            received_at=received_at,
            history=context.history,
            values=store.response_values(given),
            event=store.response_event(given, received_at, history=context.history),
            traceparent=context.traceparent,
            row=(verdict, response) if verdict else None,
        )


def _problem_with(response: Response, survey: Survey | None, now: datetime) -> domain.Problem | None:
    return domain.problem_with_form(response, "response_id") or domain.problem_with_response(response, survey, now)


class _Following:
    """What unhappy answers cause, in the transaction that stores them."""

    def __init__(self, call: Call) -> None:
        self._tenant_id = call.tenant_id

    async def __call__(self, conn: asyncpg.Connection, fresh: list[ingest.Item]) -> None:
        unhappy: list[store.Unhappy] = []
        reasons: list[tuple[Trigger, str]] = []
        for item in fresh:
            if item.row is None:
                continue
            verdict, response = item.row
            trigger = Trigger(kind="response", id=response.response_id, at=response.occurred_at)
            if verdict == domain.OPENS_CASE:
                unhappy.append(_unhappy(trigger, response, item))
            else:
                reasons.append((trigger, verdict))
        if reasons:
            await store.suppress(conn, self._tenant_id, reasons)
        if unhappy:
            changed = await store.open_cases(conn, self._tenant_id, unhappy)
            times = [event.changed_at.ToDatetime(UTC) for event in changed]
            await events.emit(conn, self._tenant_id, changed, times)


def _unhappy(trigger: Trigger, response: Response, item: ingest.Item) -> store.Unhappy:
    is_off = response.HasField("contact_ok") and not response.contact_ok
    return store.Unhappy(trigger, response.customer_id, item.received_at, is_off, item.history)


def _defaults(item: pb.ResponseItem, result: ItemResult) -> pb.ResponseDefaults:
    if result.status == ITEM_STATUS_REJECTED:
        return pb.ResponseDefaults()
    response = item.response
    return pb.ResponseDefaults(metric=response.metric, kind=response.kind, scale=response.scale)
