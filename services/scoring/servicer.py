"""ScoreService over gRPC: one method per RPC, one transaction per method."""

import base64
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from libs.common import audit, clock, idempotency, tenancy, timers
from libs.common.db import Database
from libs.common.errors import InvalidArgument, NotFound
from libs.common.tenancy import Context
from plaudit.scoring.v1 import scoring_pb2 as nouns
from plaudit.scoring.v1 import scoring_service_pb2 as pb
from plaudit.scoring.v1 import scoring_service_pb2_grpc as rpc

from . import domain, store

DEFAULT_PAGE, MAX_PAGE = 50, 200
HISTORY_DAYS = 90
"""How far a history goes back where the caller does not say."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ScoreServicer(rpc.ScoreServiceServicer):
    def __init__(self, db: Database) -> None:
        self._db = db

    async def GetScore(self, request: pb.GetScoreRequest, context: Context) -> pb.GetScoreResponse:
        now = clock.now()
        as_of = _instant(request.as_of, "as_of", "AS_OF_INVALID", now) if request.HasField("as_of") else now
        rows = await self._rows(context, request.customer_id, as_of)
        score = domain.score_of((row.entry for row in rows), as_of)
        return pb.GetScoreResponse(score=_to_proto(request.customer_id, score, as_of))

    async def ListScorePoints(self, request: pb.ListScorePointsRequest, context: Context) -> pb.ListScorePointsResponse:
        start, end = _period(request, clock.now())
        size = _page_size(request.page_size)
        ends = domain.boundaries(_start_after(request.page_token, start, end), end, request.interval, size + 1)
        page = ends[:size]
        rows = await self._rows(context, request.customer_id, page[-1])
        points = [_to_point(score, at) for at, score in domain.points_of(rows, page)]
        token = base64.urlsafe_b64encode(page[-1].isoformat().encode()).decode() if len(ends) > size else ""
        return pb.ListScorePointsResponse(points=points, next_page_token=token)

    async def ReplayScores(self, request: pb.ReplayScoresRequest, context: Context) -> pb.ReplayScoresResponse:
        call = tenancy.call_of(context)
        async with tenancy.hot(self._db, call) as conn:

            async def start() -> pb.ReplayScoresResponse:
                job_id = await timers.start_job(conn, call.tenant_id, domain.REPLAY, {})
                await audit.record(conn, call, "ReplayScores", ("job", job_id))
                return pb.ReplayScoresResponse(job_id=job_id)

            return await idempotency.once(conn, context, call, request, pb.ReplayScoresResponse, start)

    async def GetJob(self, request: pb.GetJobRequest, context: Context) -> pb.GetJobResponse:
        _check_text(request.job_id, "job_id")
        tenant_id = tenancy.call_of(context).tenant_id
        async with tenancy.hot(self._db, tenant_id) as conn:
            return pb.GetJobResponse(job=await timers.find_job(conn, tenant_id, request.job_id))

    async def _rows(self, context: Context, customer_id: str, as_of: datetime) -> list[domain.Row]:
        _check_text(customer_id, "customer_id")
        tenant_id = tenancy.call_of(context).tenant_id
        async with tenancy.hot(self._db, tenant_id) as conn:
            rows = await store.list_rows(conn, tenant_id, customer_id, as_of)
            if not rows and not await store.is_seen(conn, tenant_id, customer_id):
                raise NotFound("CUSTOMER_NOT_FOUND", "nothing is known of a customer with this id")
        return rows


def _check_text(value: str, field: str) -> None:
    if "\0" in value:
        raise InvalidArgument("TEXT_INVALID", "the character NUL is not allowed", pointer=f"/{field}")


def _period(request: pb.ListScorePointsRequest, now: datetime) -> tuple[datetime, datetime]:
    end = _instant(request.to, "to", "PERIOD_INVALID", now) if request.HasField("to") else now
    start = max(end - timedelta(days=HISTORY_DAYS), _EPOCH)
    if request.HasField("from"):
        start = _instant(getattr(request, "from"), "from", "PERIOD_INVALID", now)
    if start >= end:
        raise InvalidArgument("PERIOD_INVALID", "the period ends after it starts", pointer="?to")
    return start, end


def _instant(at: Timestamp, field: str, reason: str, now: datetime) -> datetime:
    latest = now + timedelta(hours=24)
    if not 0 <= at.seconds <= latest.timestamp() or not 0 <= at.nanos < 1_000_000_000:
        raise InvalidArgument(reason, f"{field} lies between 1970 and 24 hours ahead", pointer=f"?{field}")
    return at.ToDatetime(UTC)


def _page_size(wanted: int) -> int:
    return min(wanted, MAX_PAGE) if wanted > 0 else DEFAULT_PAGE


def _start_after(token: str, start: datetime, end: datetime) -> datetime:
    if not token:
        return start
    try:
        after = datetime.fromisoformat(base64.b64decode(token, altchars=b"-_", validate=True).decode())
        if after.tzinfo is UTC and start < after < end:
            return after
    except ValueError:
        pass
    raise InvalidArgument("CURSOR_INVALID", "the cursor is not of this list", pointer="?cursor")


def _to_proto(customer_id: str, score: domain.Score, as_of: datetime) -> nouns.Score:
    found = nouns.Score(
        customer_id=customer_id,
        value_micros=score.value,
        dimensions=_dimensions(score),
        evidence=[_evidence(item) for item in score.evidence],
        model_version=domain.MODEL_VERSION,
    )
    found.as_of.FromDatetime(as_of)
    return found


def _to_point(score: domain.Score, at: datetime) -> nouns.ScorePoint:
    point = nouns.ScorePoint(value_micros=score.value, dimensions=_dimensions(score))
    point.at.FromDatetime(at)
    return point


def _dimensions(score: domain.Score) -> nouns.Dimensions | None:
    if score.value is None:
        return None
    return nouns.Dimensions(**{f"{dimension}_micros": micros for dimension, micros in score.dimensions.items()})


def _evidence(item: domain.Evidence) -> nouns.Evidence:
    evidence = nouns.Evidence(signal=item.signal, contribution_micros=item.contribution)
    if item.occurred_at is not None:
        evidence.occurred_at.FromDatetime(item.occurred_at)
    if item.dimension is not None:
        evidence.dimension = nouns.Dimension.Value(f"DIMENSION_{item.dimension.upper()}")
    if item.kind is not None:
        evidence.source.kind = item.kind
        evidence.source.id = item.id or ""
    return evidence
