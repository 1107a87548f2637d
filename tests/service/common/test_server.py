"""The one bootstrap: who is let in, what is said of errors, health, reflection, and what ends a process."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from libs.common.errors import InvalidArgument, ServiceError, Unauthenticated, Unavailable, from_rpc
from libs.common.server import CallInterceptor, Deps, Service, running
from plaudit.referral.v1 import referral_service_pb2 as pb
from plaudit.referral.v1 import referral_service_pb2_grpc as rpc
from services.referral import service as referral
from services.referral.settings import Settings

SERVING = health_pb2.HealthCheckResponse.SERVING
CANARY = "canary-7c1d"


class Broken(rpc.ProgramServiceServicer):
    """Fails in ways that nobody foresaw."""

    async def GetProgram(self, request: pb.GetProgramRequest, context: Any) -> pb.GetProgramResponse:  # noqa: N802
        raise RuntimeError(CANARY)

    async def ListPrograms(self, request: pb.ListProgramsRequest, context: Any) -> pb.ListProgramsResponse:  # noqa: N802
        return pb.ListProgramsResponse(next_page_token=7)  # type: ignore[arg-type]


def build_broken(settings: Settings, deps: Deps) -> Service:
    return Service("referral", register=lambda server: rpc.add_ProgramServiceServicer_to_server(Broken(), server))


def build_dying(settings: Settings, deps: Deps) -> Service:
    async def die() -> None:
        raise ZeroDivisionError

    return Service("referral", loops=[die])


@pytest.fixture
def settings(world: Any) -> Any:
    """Settings of the referral service on a free port, with changes."""

    def make(**changed: Any) -> Settings:
        credentials = world.stack.secrets["credentials"]
        values = {
            "database_url": world.dsn("referral"),
            "pump_database_url": world.dsn("referral", "pump"),
            "nats_url": world.stack.addresses.nats_url,
            "service_credentials": ",".join(f"{name}={token}" for name, token in credentials.items()),
            "fingerprint_key": "0123456789abcdef",
            "grpc_address": "127.0.0.1:0",
            "clock_file": world.stack.folder.clock,
            **changed,
        }
        return Settings(**values)

    return make


@pytest.fixture
async def start() -> AsyncIterator[Any]:
    """Run a service for the length of a test; give a channel to it."""
    async with AsyncExitStack() as exits:

        async def run(build: Any, of: Settings) -> grpc.aio.Channel:
            up = await exits.enter_async_context(running(build, of))
            await up.deps.broker.client()
            return await exits.enter_async_context(grpc.aio.insecure_channel(up.address))

        yield run


async def refusal_of(call: Any) -> ServiceError:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return from_rpc(failed.value)


@pytest.fixture
async def get(channel: Any) -> Any:
    """Ask the running referral service for a program, with any metadata."""
    stub = rpc.ProgramServiceStub(await channel("referral"))

    def send(metadata: Any, timeout: float | None = 20) -> Any:
        return stub.GetProgram(pb.GetProgramRequest(key="k"), metadata=metadata, timeout=timeout)

    return send


# Who is let in.


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic {token}", "{token}", "bearer {token}", "Bearer {token}x"],
)
async def test_without_a_good_credential_nobody_is_let_in(
    world: Any, get: Any, tenant: uuid.UUID, authorization: str | None
) -> None:
    token = world.stack.secrets["credentials"]["internal"]
    given = () if authorization is None else (("authorization", authorization.format(token=token)),)
    refusal = await refusal_of(get((*given, ("x-plaudit-tenant", str(tenant)))))
    assert (type(refusal), refusal.reason) == (Unauthenticated, "CREDENTIAL_INVALID")


async def test_every_credential_opens(world: Any, get: Any, tenant: uuid.UUID) -> None:
    tokens = world.stack.secrets["credentials"].values()
    of = ("x-plaudit-tenant", str(tenant))
    refusals = [await refusal_of(get((("authorization", f"Bearer {token}"), of))) for token in tokens]
    assert {refusal.reason for refusal in refusals} == {"PROGRAM_NOT_FOUND"}


@pytest.mark.parametrize("credentials", ["", "internal=", ",", "internal", "=,="])
def test_an_empty_token_opens_nothing(credentials: str) -> None:
    interceptor = CallInterceptor(credentials)
    assert [interceptor._name_of(given) for given in ("", "Bearer", "Bearer ")] == [None, None, None]


async def test_a_call_needs_a_deadline(get: Any, metadata: Any, tenant: uuid.UUID) -> None:
    refusal = await refusal_of(get(metadata(tenant), timeout=None))
    assert (type(refusal), refusal.reason) == (InvalidArgument, "DEADLINE_MISSING")


@pytest.mark.parametrize("tenant_id", [None, "", "1", "'; drop table programs", "0" * 33])
async def test_a_call_names_its_tenant(world: Any, get: Any, tenant_id: str | None) -> None:
    token = world.stack.secrets["credentials"]["internal"]
    of = () if tenant_id is None else (("x-plaudit-tenant", tenant_id),)
    refusal = await refusal_of(get((("authorization", f"Bearer {token}"), *of)))
    assert (type(refusal), refusal.reason) == (InvalidArgument, "TENANT_MISSING")


# What is said of errors.


async def test_what_nobody_foresaw_says_nothing(settings: Any, start: Any, metadata: Any, tenant: uuid.UUID) -> None:
    stub = rpc.ProgramServiceStub(await start(build_broken, settings()))
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await stub.GetProgram(pb.GetProgramRequest(key="k"), metadata=metadata(tenant), timeout=20)
    assert (failed.value.code(), failed.value.details()) == (grpc.StatusCode.INTERNAL, "internal error")


async def test_what_nobody_foresaw_leaks_nowhere(settings: Any, start: Any, metadata: Any, tenant: uuid.UUID) -> None:
    stub = rpc.ProgramServiceStub(await start(build_broken, settings()))
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await stub.GetProgram(pb.GetProgramRequest(key="k"), metadata=metadata(tenant), timeout=20)
    told = repr((failed.value.debug_error_string(), failed.value.initial_metadata(), failed.value.trailing_metadata()))
    assert CANARY not in told


async def test_what_nobody_foresaw_is_logged_once(
    settings: Any, start: Any, metadata: Any, tenant: uuid.UUID, caplog: pytest.LogCaptureFixture
) -> None:
    stub = rpc.ProgramServiceStub(await start(build_broken, settings()))
    await refusal_of(stub.GetProgram(pb.GetProgramRequest(key="k"), metadata=metadata(tenant), timeout=20))
    logged = [(record.message, vars(record)["method"]) for record in caplog.records if record.exc_info]
    assert logged == [("unforeseen", "/plaudit.referral.v1.ProgramService/GetProgram")]


async def test_a_mistake_in_an_answer_says_nothing(settings: Any, start: Any, metadata: Any, tenant: uuid.UUID) -> None:
    stub = rpc.ProgramServiceStub(await start(build_broken, settings()))
    refusal = await refusal_of(stub.ListPrograms(pb.ListProgramsRequest(), metadata=metadata(tenant), timeout=20))
    assert refusal.message == "internal error"


async def test_a_database_that_is_away_is_unavailable(
    settings: Any, start: Any, metadata: Any, tenant: uuid.UUID
) -> None:
    away = "postgresql://nobody:none@127.0.0.1:1/none"
    stub = rpc.ProgramServiceStub(await start(referral.build, settings(database_url=away, pump_database_url=away)))
    refusal = await refusal_of(stub.GetProgram(pb.GetProgramRequest(key="k"), metadata=metadata(tenant), timeout=20))
    assert (type(refusal), refusal.reason) == (Unavailable, "DEPENDENCY_UNAVAILABLE")


# Health and reflection.


@pytest.mark.parametrize("name", ["", "plaudit.referral.v1.ProgramService"])
async def test_health_is_told_to_anyone(channel: Any, name: str) -> None:
    stub = health_pb2_grpc.HealthStub(await channel("referral"))
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
    assert answer.status == SERVING


async def test_health_of_a_stranger_is_not_known(channel: Any) -> None:
    stub = health_pb2_grpc.HealthStub(await channel("referral"))
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await stub.Check(health_pb2.HealthCheckRequest(service="nobody"))
    assert failed.value.code() is grpc.StatusCode.NOT_FOUND


async def test_health_turns_before_calls_are_refused(settings: Any) -> None:
    service = AsyncExitStack()
    up = await service.enter_async_context(running(referral.build, settings()))
    await up.deps.broker.client()
    async with grpc.aio.insecure_channel(up.address) as opened:
        watch = health_pb2_grpc.HealthStub(opened).Watch(health_pb2.HealthCheckRequest())
        seen = [(await watch.read()).status]
        closing = asyncio.create_task(service.aclose())
        seen.append((await asyncio.wait_for(watch.read(), 10)).status)
        watch.cancel()
        await closing
    assert seen == [SERVING, health_pb2.HealthCheckResponse.NOT_SERVING]


async def services_by_reflection(channel: grpc.aio.Channel) -> set[str]:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    asked = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=20)
    return {service.name async for answer in asked for service in answer.list_services_response.service}


@pytest.mark.parametrize(
    ("service", "names"),
    [
        ("profile", {"CustomerService", "ActivityService"}),
        ("feedback", {"ResponseService", "MentionService", "SurveyService", "CaseService", "MetricService"}),
        ("referral", {"ProgramService"}),
        ("scoring", {"ScoreService"}),
    ],
)
async def test_reflection_lists_every_service_in_dev(channel: Any, service: str, names: set[str]) -> None:
    found = await services_by_reflection(await channel(service))
    wanted = {"plaudit.common.v1.AuditService", *(f"plaudit.{service}.v1.{name}" for name in names)}
    assert {name for name in found if name.startswith("plaudit.")} == wanted


async def test_reflection_is_off_in_production(settings: Any, start: Any) -> None:
    opened = await start(referral.build, settings(environment="prod"))
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await services_by_reflection(opened)
    assert failed.value.code() is grpc.StatusCode.UNIMPLEMENTED


# What ends a process.


async def test_a_second_process_cannot_take_the_port(world: Any, settings: Any) -> None:
    taken = (await world.service("referral")).address
    with pytest.raises(RuntimeError, match="Failed to bind"):
        async with running(referral.build, settings(grpc_address=taken, nats_url="nats://127.0.0.1:1")):
            pass


async def test_a_loop_that_dies_is_noticed(settings: Any) -> None:
    async with running(build_dying, settings()) as up:
        await up.deps.broker.client()
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(asyncio.shield(up.failed), 5)


async def test_a_service_that_went_down_leaves_no_connection(world: Any, settings: Any, eventually: Any) -> None:
    name = f"gone-{uuid.uuid4().hex[:8]}"
    dsn = f"{world.dsn('referral')}?application_name={name}"
    async with running(referral.build, settings(database_url=dsn)) as up:
        await up.deps.broker.client()
    conn = await world.connect("referral", role="owner")
    try:

        async def nobody() -> bool:
            return await conn.fetchval("select count(*) from pg_stat_activity where application_name = $1", name) == 0

        assert await eventually(nobody)
    finally:
        await conn.close()
