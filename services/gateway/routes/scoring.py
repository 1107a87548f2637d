"""Scores over HTTP: points with at most six decimals, exact as decimal numbers."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from plaudit.scoring.v1 import scoring_pb2 as nouns
from plaudit.scoring.v1 import scoring_service_pb2 as pb
from plaudit.scoring.v1 import scoring_service_pb2_grpc as rpc

from .. import edge

router = edge.Router()

_MICROS = "_micros"
_POINT = 1_000_000

Points = Annotated[float, Meta(description="Points; at most six decimals, exact when read as a decimal number.")]


class ScoreDimensions(Struct, kw_only=True, omit_defaults=True):
    """What each dimension adds to the base of 50, decayed; empty where there is no signal."""

    satisfaction: Points | None = None
    loyalty: Points | None = None
    advocacy: Points | None = None
    influence: Points | None = None


class EvidenceSource(Struct, kw_only=True):
    """The fact that a signal came from."""

    kind: str
    id: str


class ScoreEvidence(Struct, kw_only=True):
    """One reason of a score. `source`, `dimension` and `occurred_at` are null for the signals `base` and `clamp`."""

    signal: str
    source: EvidenceSource | None
    dimension: Literal["satisfaction", "loyalty", "advocacy", "influence"] | None
    occurred_at: str | None
    contribution: Points


class ScoreOut(Struct, kw_only=True):
    """A customer's score; the contributions of its evidence sum to its value."""

    customer_id: str
    value: Points | None
    dimensions: ScoreDimensions
    rung: Literal["prospect", "customer", "trusting", "loyal", "advocate"] | None
    overlays: list[str]
    evidence: list[ScoreEvidence]
    model_version: str
    as_of: str


class ScorePointOut(Struct, kw_only=True):
    """A score at one moment, computed from the ledger as it is today."""

    at: str
    value: Points | None
    dimensions: ScoreDimensions


class ScoreQuery(edge.Body):
    """The moment of a score."""

    as_of: edge.QueryTime | None = None


class ScoreHistoryQuery(edge.ListQuery):
    """The period of a history, and how far its points are apart; all boundaries are midnights in UTC."""

    from_: edge.QueryTime | None = msgspec.field(default=None, name="from")
    to: edge.QueryTime | None = None
    interval: Literal["day", "week", "month"] | None = None


@router.operation("GET /v1/customers/{customer_id}/score", scope="scoring:read", query=ScoreQuery, answer=ScoreOut)
async def get_score(request: Request, customer_id: str) -> Response:
    """Compute a customer's score, now or as of a time, with everything it is made of.

    A customer of whom no signal is known has the value null, no dimensions and no evidence. What happened after `as_of`
    is left out; what is dated ahead counts from when it was received. An id that nothing has spoken of is 404.
    """
    message = edge.to_message(edge.query(request, ScoreQuery), pb.GetScoreRequest, customer_id=customer_id)
    reply = await edge.call(request, edge.stub(request, rpc.ScoreServiceStub).GetScore, message)
    return edge.answer(_to_points(reply.score))


@router.operation(
    "GET /v1/customers/{customer_id}/score/history",
    scope="scoring:read",
    query=ScoreHistoryQuery,
    answer=ScorePointOut,
    listed=True,
)
async def list_score_points(request: Request, customer_id: str) -> Response:
    """List a customer's score at the end of each day, week (Monday) or month of a period, and at the period's end.

    Oldest first; without `from` the last 90 days, without `to` until now. Each point is computed from the ledger as it
    is today: a fact that came late counts at its own time.
    """
    asked = edge.query(request, ScoreHistoryQuery)
    message = edge.listing(request, asked, pb.ListScorePointsRequest, customer_id=customer_id)
    reply = await edge.call(request, edge.stub(request, rpc.ScoreServiceStub).ListScorePoints, message)
    return edge.page(request, asked, reply.points, reply.next_page_token, _to_points)


def _to_points(message: nouns.Score | nouns.ScorePoint) -> dict[str, Any]:
    found: dict[str, Any] = _renamed(edge.to_json(message))
    found["dimensions"] = found["dimensions"] or {}
    return found


def _renamed(value: Any) -> Any:
    """Turn every `<name>_micros` into `<name>` in points: a double prints that many digits as they are."""
    if isinstance(value, list):
        return [_renamed(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name.removesuffix(_MICROS): item / _POINT if name.endswith(_MICROS) and item is not None else _renamed(item)
        for name, item in value.items()
    }
