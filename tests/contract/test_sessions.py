"""No session state is ever set on a pooled connection: pools hand connections on as they come back."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import asyncpg
import grpc
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common import clock, db
from libs.common.server import Deps
from plaudit.feedback.v1 import feedback_service_pb2 as feedback_pb
from plaudit.feedback.v1 import feedback_service_pb2_grpc as feedback_rpc
from plaudit.feedback.v1.feedback_pb2 import METRIC_NPS, Response, Survey
from plaudit.profile.v1 import profile_service_pb2 as profile_pb
from plaudit.profile.v1 import profile_service_pb2_grpc as profile_rpc
from plaudit.profile.v1.profile_pb2 import Activity
from plaudit.scoring.v1 import scoring_service_pb2 as scoring_pb
from plaudit.scoring.v1 import scoring_service_pb2_grpc as scoring_rpc

# The driver sets `jit` to what it was when it has looked up a type: that value is the connection's own.
_LEFT_BEHIND = """select 'setting ' || name from pg_settings where source = 'session' and setting <> reset_val
union all select 'tenant' where coalesce(current_setting('app.tenant', true), '') <> ''
union all select 'channel ' || c from pg_listening_channels() c
union all select 'lock' from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()
union all select 'cursor ' || name from pg_cursors where is_holdable
union all select 'table ' || relname from pg_class where relpersistence = 't' and pg_table_is_visible(oid)
union all select 'role ' || current_user where current_user <> session_user"""


async def left_behind(conn: asyncpg.Connection | AsyncConnection) -> list[str]:
    raw = await db.raw(conn)
    return [row[0] for row in await raw.fetch(_LEFT_BEHIND)]


async def of_pool(pool: asyncpg.Pool) -> list[str]:
    """Look at every connection that lies in the pool, each once."""
    held = [await pool.acquire(timeout=5) for _ in range(pool.get_idle_size())]
    try:
        return [name for conn in held for name in await left_behind(conn)]
    finally:
        for conn in held:
            await pool.release(conn)


async def of_core(deps: Deps) -> list[str]:
    held = [await deps.db.core.connect() for _ in range(deps.db.core.pool.checkedin())]
    try:
        return [name for conn in held for name in await left_behind(conn)]
    finally:
        for conn in held:
            await conn.close()


@pytest.fixture
async def used(
    world: Any, channel: Callable[..., Any], metadata: Callable[..., Any], tenant: uuid.UUID
) -> Callable[[str], Any]:
    """Send writes, reads, refusals and failures of every kind through the services, side by side; give their pools."""
    profile, feedback, scoring = await channel("profile"), await channel("feedback"), await channel("scoring")
    cases, answers = feedback_rpc.CaseServiceStub(feedback), feedback_rpc.ResponseServiceStub(feedback)
    surveys = feedback_rpc.SurveyServiceStub(feedback)
    activities = profile_rpc.ActivityServiceStub(profile)
    scores = scoring_rpc.ScoreServiceStub(scoring)
    now = clock.stamp(clock.now())
    unhappy = Response(
        response_id="r-1", customer_id="c-1", metric=METRIC_NPS, score=0, verbatim="canary", occurred_at=now
    )
    visit = Activity(activity_id="a-1", customer_id="c-1", type="service_visit.completed", occurred_at=now)
    with_key = metadata(tenant, x_idempotency_key="k-1")
    plain = metadata(tenant)
    calls = [
        (answers.RecordResponses, feedback_pb.RecordResponsesRequest(items=[{"response": unhappy}]), plain),
        (activities.RecordActivities, profile_pb.RecordActivitiesRequest(items=[{"activity": visit}]), plain),
        (activities.VoidActivity, profile_pb.VoidActivityRequest(activity_id="a-1", reason="x"), with_key),
        (surveys.SaveSurvey, feedback_pb.SaveSurveyRequest(survey=Survey(key="k", metric=METRIC_NPS)), plain),
        (cases.ListCases, feedback_pb.ListCasesRequest(), plain),
        (cases.GetCase, feedback_pb.GetCaseRequest(case_id="nobody"), plain),
        (cases.AcknowledgeCase, feedback_pb.AcknowledgeCaseRequest(case_id="nobody"), with_key),
        (scores.GetScore, scoring_pb.GetScoreRequest(customer_id="c-1"), plain),
    ]

    async def run(call: Any, request: Any, of: Any) -> Any:
        try:
            return await call(request, metadata=of, timeout=20)
        except grpc.aio.AioRpcError as error:
            return error

    await asyncio.gather(*(run(*call) for call in calls * 5))

    async def deps(service: str) -> Deps:
        made: Deps = (await world.service(service)).deps
        return made

    return deps


@pytest.mark.parametrize("service", ["profile", "feedback", "scoring"])
async def test_hot_connections_come_back_as_they_left(used: Any, service: str) -> None:
    assert await of_pool((await used(service)).db.hot) == []


@pytest.mark.parametrize("service", ["profile", "feedback", "scoring"])
async def test_core_connections_come_back_as_they_left(used: Any, service: str) -> None:
    assert await of_core(await used(service)) == []


@pytest.mark.parametrize("service", ["profile", "feedback", "scoring"])
async def test_pump_connections_come_back_as_they_left(used: Any, service: str) -> None:
    assert await of_pool((await used(service)).db.pump) == []


async def test_session_state_would_be_found(world: Any) -> None:
    conn = await world.connect("feedback")
    try:
        await conn.execute("set work_mem = '5MB'")
        await conn.execute("set app.tenant = '00000000-0000-0000-0000-000000000001'")
        await conn.execute("select pg_advisory_lock(7)")
        assert await left_behind(conn) == ["setting work_mem", "tenant", "lock"]
    finally:
        await conn.close()
