"""Facts as their owners would tell of them: real messages through the real broker into the real consumers."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from plaudit.feedback.v1.feedback_events_pb2 import ResponseRecorded
from plaudit.feedback.v1.feedback_pb2 import METRIC_NPS
from plaudit.profile.v1.profile_events_pb2 import ActivityRecorded
from plaudit.scoring.v1 import scoring_service_pb2 as pb
from plaudit.scoring.v1 import scoring_service_pb2_grpc as rpc
from plaudit.scoring.v1.scoring_pb2 import Score

from ..messages import message

LONG_AGO = datetime(2026, 1, 15, 12, tzinfo=UTC)
Tell = Callable[..., Awaitable[None]]


def response(response_id: str, customer_id: str | None, score: int | None, **more: Any) -> ResponseRecorded:
    """An NPS answer of long ago, unless said otherwise."""
    at = more.pop("at", LONG_AGO)
    fields: dict[str, Any] = {"metric": METRIC_NPS, "occurred_at": at, "received_at": at, **more}
    return ResponseRecorded(response_id=response_id, customer_id=customer_id, score=score, **fields)


def activity(activity_id: str, customer_id: str | None, kind: str, **more: Any) -> ActivityRecorded:
    """An activity of long ago, unless said otherwise."""
    at = more.pop("at", LONG_AGO)
    fields: dict[str, Any] = {"type": kind, "occurred_at": at, "received_at": at, **more}
    return ActivityRecorded(activity_id=activity_id, customer_id=customer_id, **fields)


@pytest.fixture
async def tell(publish: Tell, world: Any, tenant: uuid.UUID) -> Tell:
    """Publish payloads of one type as one message of the test's tenant."""
    await world.service("scoring")

    async def send(*payloads: Any) -> None:
        await publish(message(tenant, payloads))

    return send


@pytest.fixture
async def scores(channel: Any) -> rpc.ScoreServiceStub:
    """The scoring service's stub."""
    return rpc.ScoreServiceStub(await channel("scoring"))


GetScore = Callable[..., Awaitable[Score | None]]


@pytest.fixture
def get_score(scores: rpc.ScoreServiceStub, tenant: uuid.UUID, metadata: Any) -> GetScore:
    """Read one score of the test's tenant, or another's."""

    async def get(customer_id: str, as_of: datetime | None = None, tenant_id: uuid.UUID | None = None) -> Score:
        request = pb.GetScoreRequest(customer_id=customer_id, as_of=as_of)
        answer = await scores.GetScore(request, metadata=metadata(tenant_id or tenant), timeout=5)
        return answer.score

    return get


@pytest.fixture
async def ledger_of(world: Any) -> AsyncIterator[Callable[[uuid.UUID], Awaitable[int]]]:
    """Count a tenant's rows in the ledger."""
    conn = await world.connect("scoring")

    async def count(tenant_id: uuid.UUID) -> int:
        await conn.execute("select set_config('app.tenant', $1, false)", str(tenant_id))
        return int(await conn.fetchval("select count(*) from signals where tenant_id = $1", tenant_id))

    yield count
    await conn.close()
