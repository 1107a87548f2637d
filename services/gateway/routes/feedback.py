"""Surveys, answers, mentions and KPIs over HTTP. How answers and mentions come in is `ingest`; cases are `cases`."""

from typing import Annotated, Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from plaudit.feedback.v1 import feedback_pb2 as nouns
from plaudit.feedback.v1 import feedback_service_pb2 as pb
from plaudit.feedback.v1 import feedback_service_pb2_grpc as rpc

from .. import edge, problems
from ..edge import openapi
from ..edge.rules import locale

router = edge.Router()

_MOST_LOCALES = 64
_TIME = {"type": "string", "format": "date-time"}
_ANALYSIS = {
    "type": ["object", "null"],
    "description": "What was understood of the verbatim; null until it is analysed.",
}


def _kept(kind: type[Any], more: dict[str, Any]) -> dict[str, Any]:
    return {"allOf": [openapi.schema_of(kind), {"type": "object", "properties": more, "required": list(more)}]}


# Surveys.


class SurveyIn(edge.Body):
    """A question that is asked, and what answers to it inherit."""

    metric: Literal["nps", "csat", "ces"]
    kind: Literal["relationship", "transactional"] | None = None
    scale: edge.Label | None = None
    question: edge.Line | None = None
    follow_up: edge.Line | None = None
    locales: Annotated[list[str], edge.list_of(locale, _MOST_LOCALES)] | None = None
    moment: edge.Label | None = None


class SurveyQuery(edge.ListQuery):
    """Which surveys."""

    archived: bool = False
    updated_after: edge.QueryTime | None = None


@router.operation(
    "PUT /v1/surveys/{key}", scope="feedback:write", body=SurveyIn, answer=nouns.Survey, status=(200, 201)
)
async def save_survey(request: Request, key: str) -> Response:
    """Make or replace a survey; one that was archived lives again."""
    survey = edge.to_message(await edge.read(request, SurveyIn), nouns.Survey, key=key)
    message = pb.SaveSurveyRequest(survey=survey)
    reply = await edge.call(request, edge.stub(request, rpc.SurveyServiceStub).SaveSurvey, message)
    return edge.answer(reply.survey, status=201 if reply.created else 200)


@router.operation("GET /v1/surveys/{key}", scope="feedback:read", answer=nouns.Survey)
async def get_survey(request: Request, key: str) -> Response:
    """Give one survey, archived or not."""
    message = pb.GetSurveyRequest(key=key)
    reply = await edge.call(request, edge.stub(request, rpc.SurveyServiceStub).GetSurvey, message)
    return edge.answer(reply.survey)


@router.operation("GET /v1/surveys", scope="feedback:read", query=SurveyQuery, answer=nouns.Survey, listed=True)
async def list_surveys(request: Request) -> Response:
    """List surveys by key; the archived ones with `archived=true`."""
    asked = edge.query(request, SurveyQuery)
    message = edge.listing(request, asked, pb.ListSurveysRequest)
    reply = await edge.call(request, edge.stub(request, rpc.SurveyServiceStub).ListSurveys, message)
    return edge.page(request, asked, reply.surveys, reply.next_page_token)


@router.operation("DELETE /v1/surveys/{key}", scope="feedback:write", status=204)
async def archive_survey(request: Request, key: str) -> Response:
    """Take a survey out of lists; answers to it are still taken, and a PUT revives it."""
    message = pb.ArchiveSurveyRequest(key=key)
    await edge.call(request, edge.stub(request, rpc.SurveyServiceStub).ArchiveSurvey, message)
    return edge.no_content()


# Answers.


class ResponseQuery(edge.ListQuery):
    """Which answers; the period is over `occurred_at`."""

    customer_id: edge.Id | None = None
    from_: edge.QueryTime | None = msgspec.field(default=None, name="from")
    to: edge.QueryTime | None = None
    updated_after: edge.QueryTime | None = None


_RESPONSE = _kept(nouns.Response, {"received_at": _TIME, "analysis": _ANALYSIS})


@router.operation("GET /v1/responses/{response_id}", scope="feedback:read", answer=_RESPONSE)
async def get_response(request: Request, response_id: str) -> Response:
    """Give one answer as it was stored, its words included."""
    message = pb.GetResponseRequest(response_id=response_id)
    reply = await edge.call(request, edge.stub(request, rpc.ResponseServiceStub).GetResponse, message)
    return edge.answer(_response(reply.record))


@router.operation("GET /v1/responses", scope="feedback:read", query=ResponseQuery, answer=_RESPONSE, listed=True)
async def list_responses(request: Request) -> Response:
    """List answers, newest first by `occurred_at`; `from` inclusive, `to` exclusive."""
    asked = edge.query(request, ResponseQuery)
    message = edge.listing(request, asked, pb.ListResponsesRequest)
    reply = await edge.call(request, edge.stub(request, rpc.ResponseServiceStub).ListResponses, message)
    return edge.page(request, asked, reply.records, reply.next_page_token, _response)


def _response(record: pb.ResponseRecord) -> dict[str, Any]:
    found = edge.to_json(record)
    return {**found["response"], "received_at": found["received_at"], "analysis": None}


# Mentions.


class MentionQuery(edge.ListQuery):
    """Which mentions; the period is over `occurred_at`."""

    customer_id: edge.Id | None = None
    campaign: edge.Label | None = None
    from_: edge.QueryTime | None = msgspec.field(default=None, name="from")
    to: edge.QueryTime | None = None
    updated_after: edge.QueryTime | None = None


class MentionCountQuery(edge.Body):
    """What to count mentions by, and in which period."""

    by: Literal["campaign", "site"] | None = None
    from_: edge.QueryTime | None = msgspec.field(default=None, name="from")
    to: edge.QueryTime | None = None


_MENTION = _kept(nouns.Mention, {"received_at": _TIME})


@router.operation("GET /v1/mentions/{mention_id}", scope="feedback:read", answer=_MENTION)
async def get_mention(request: Request, mention_id: str) -> Response:
    """Give one mention as it was stored, its words included."""
    message = pb.GetMentionRequest(mention_id=mention_id)
    reply = await edge.call(request, edge.stub(request, rpc.MentionServiceStub).GetMention, message)
    return edge.answer(_mention(reply.record))


@router.operation("GET /v1/mentions", scope="feedback:read", query=MentionQuery, answer=_MENTION, listed=True)
async def list_mentions(request: Request) -> Response:
    """List mentions, newest first by `occurred_at`; `from` inclusive, `to` exclusive."""
    asked = edge.query(request, MentionQuery)
    message = edge.listing(request, asked, pb.ListMentionsRequest)
    reply = await edge.call(request, edge.stub(request, rpc.MentionServiceStub).ListMentions, message)
    return edge.page(request, asked, reply.records, reply.next_page_token, _mention)


@router.operation(
    "GET /v1/mention_counts", scope="feedback:read", query=MentionCountQuery, answer=pb.CountMentionsResponse
)
async def count_mentions(request: Request) -> Response:
    """Count mentions and the people they reached, in all and by campaign or site (null: those without it)."""
    message = edge.to_message(edge.query(request, MentionCountQuery), pb.CountMentionsRequest)
    reply = await edge.call(request, edge.stub(request, rpc.MentionServiceStub).CountMentions, message)
    return edge.answer(reply)


def _mention(record: pb.MentionRecord) -> dict[str, Any]:
    found = edge.to_json(record)
    return {**found["mention"], "received_at": found["received_at"]}


# KPIs.


class KpiQuery(edge.Body):
    """The period, and how to cut it."""

    from_: edge.QueryTime | None = msgspec.field(default=None, name="from")
    to: edge.QueryTime | None = None
    interval: Literal["day", "week", "month"] | None = None
    by: edge.Label | None = None
    kind: Literal["relationship", "transactional"] | None = None


METRICS = dict.fromkeys(("nps", "csat", "ces"), rpc.MetricServiceStub)
"""Who answers which KPI: its metric to the stub that is asked. What is not here yet is 404 METRIC_UNKNOWN."""


@router.operation("GET /v1/kpis/{metric}", scope="scoring:read", query=KpiQuery, answer=pb.Kpi)
async def get_kpi(request: Request, metric: str) -> Response:
    """Measure nps, csat or ces over a period, with an interval, groups (`by`) and a series (`interval`).

    `from` is inclusive, `to` exclusive, over `occurred_at`; neither means everything. Without `kind` every answer
    counts, and `mixed` says what that mixes; `kind=relationship` counts each customer's latest answer of that kind in
    the period, an anonymous answer as a customer of its own. `significant_change` compares the last two points of a
    series, or without `interval` the period with the equally long one before it, and groups likewise; it is null under
    10 answers a side, and all tests of one answer share a false discovery rate of 5 %.
    """
    if metric not in METRICS:
        raise problems.Problem(404, "METRIC_UNKNOWN", "there is no such metric here")
    message = edge.to_message(edge.query(request, KpiQuery), pb.GetMetricRequest, metric=metric)
    reply = await edge.call(request, edge.stub(request, METRICS[metric]).GetMetric, message)
    return edge.answer(reply.kpi)
