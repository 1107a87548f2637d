"""The one bootstrap: what comes up, in which order, and how it goes down again."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hmac
import logging
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import grpc
import uvicorn
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from plaudit.common.v1.audit_service_pb2_grpc import add_AuditServiceServicer_to_server
from plaudit.event.v1.event_batch_pb2 import ReplayRequested

from . import audit, clock, db, errors, events, faults, telemetry, tenancy, timers
from .db import Database
from .events import Batch, Broker, Handler
from .events.relay import replay
from .settings import ServiceSettings

S = TypeVar("S", bound=ServiceSettings)
_HEALTH, _AUDIT = "/grpc.health.v1.Health/", "plaudit.common.v1.AuditService"
_log = logging.getLogger(__name__)

OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    ("grpc.server.max_pending_requests", 20_000),
    ("grpc.server.max_pending_requests_hard_limit", 60_000),
    ("grpc.max_connection_age_ms", 300_000),
    ("grpc.max_connection_age_grace_ms", 30_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 20_000),
)
"""Clients find new replicas when their connection ages; a second process on the same port fails at once."""


@dataclass(frozen=True)
class Deps:
    """What a service is built from."""

    db: Database
    broker: Broker


@dataclass(frozen=True)
class Service:
    """What a service consists of; `build` returns it."""

    name: str
    register: Callable[[grpc.aio.Server], None] | None = None
    """Adds the servicers."""
    rpc_services: Sequence[str] = ()
    """Full names, for reflection."""
    handlers: Sequence[Handler[Any]] = ()
    bunch_seconds: float = 0.1
    """Under load, how long events gather for one transaction: what is saved in work is added to what readers wait."""
    timers: Sequence[timers.Timer] = ()
    loops: Sequence[Callable[[], Awaitable[None]]] = ()
    """Further work that runs as long as the process; one that ends or fails ends the process."""
    app: Any = None
    """The ASGI application, for a process that speaks HTTP."""
    http_address: str = ""
    closing: Callable[[], None] | None = None
    """Hears that the process is about to go, before calls in flight are waited for: endless streams end themselves."""
    close: Callable[[], Awaitable[None]] | None = None


@dataclass
class Running:
    """A service that is up."""

    service: Service
    address: str
    """host:port of gRPC, or of HTTP where there is an app."""
    deps: Deps
    failed: asyncio.Future[None]
    """Gets the exception of a loop that died."""
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Refuses callers without a credential and calls without a deadline, and guards what RPCs raise."""

    def __init__(self, credentials: str) -> None:
        pairs = (part.partition("=") for part in credentials.split(",") if part)
        self._tokens = {f"Bearer {token}".encode(): name for name, _, token in pairs if token}

    async def intercept_service(self, continuation: Any, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Wrap every unary method but health's; streams (health watch, reflection) pass as they are."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or handler.unary_unary is None or method.startswith(_HEALTH):
            return handler
        metadata = dict(handler_call_details.invocation_metadata or ())
        caller = self._name_of(str(metadata.get("authorization", "")))

        async def checked(request: Any, context: Any) -> Any:
            if caller is None:
                raise errors.Unauthenticated("CREDENTIAL_INVALID", "no valid service credential")
            if context.time_remaining() is None:
                raise errors.InvalidArgument("DEADLINE_MISSING", "every call needs a deadline")
            tenancy.caller_name.set(caller)
            return await handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(
            errors.guarded(method, checked),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _name_of(self, authorization: str) -> str | None:
        given = authorization.encode()
        return next((name for token, name in self._tokens.items() if hmac.compare_digest(token, given)), None)


class _Uvicorn(uvicorn.Server):
    """Leaves signals to `serve`."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def running(build: Callable[[S, Deps], Service], settings: S) -> AsyncIterator[Running]:
    """Bring a service up and take it down again: telemetry is the caller's, all else is the same for tests and `serve`.

    Up: database, broker, build, listen, SERVING, loops. Down: NOT_SERVING, refuse, drain, loops, broker, database.
    """
    clock.use_file(settings.clock_file)
    faults.arm(settings.fault)
    name = build.__module__.split(".")[1]
    database = await db.connect(settings, name)
    broker = Broker(settings.nats_url, name, settings.nats_user, settings.nats_password.get_secret_value())
    broker.start()
    deps = Deps(database, broker)
    service = build(settings, deps)
    up = Running(service, "", deps, asyncio.get_running_loop().create_future())
    listen = _http if service.app is not None else _rpc
    try:
        async with listen(service, settings, up):
            for work in _loops(service, database, broker, settings):
                up.tasks.append(asyncio.create_task(_watched(work, up.failed)))
            yield up
    finally:
        for task in up.tasks:
            task.cancel()
        await asyncio.gather(*up.tasks, return_exceptions=True)
        if service.close:
            await service.close()
        await broker.close()
        await database.close()
        up.failed.cancel()


def _loops(service: Service, database: Database, broker: Broker, settings: ServiceSettings) -> list[Awaitable[None]]:
    async def on_replay_requested(conn: Any, batch: Batch[ReplayRequested]) -> None:
        await replay(database, min(clock.instant(event.payload.since) for event in batch.events), conn)

    handlers = [*service.handlers, Handler(ReplayRequested, on_replay_requested)]
    work: list[Awaitable[None]] = [events.relay(database, broker), _maintain(database, settings)]
    for durable in events.broker.durables(service.name, handlers):
        wanted = [handler for handler in handlers if handler.stream == durable.endswith("-streams")]
        if wanted:
            work.append(events.consume(database, broker, durable, wanted, service.bunch_seconds))
    if service.timers:
        work.append(timers.run(database, service.timers))
    return work + [loop() for loop in service.loops]


async def _watched(work: Awaitable[None], failed: asyncio.Future[None]) -> None:
    try:
        await work
        error: Exception = RuntimeError("a loop ended")
    except Exception as raised:
        _log.exception("a loop died")
        error = raised
    if not failed.done():
        failed.set_exception(error)


async def _maintain(database: Database, settings: ServiceSettings) -> None:
    """Make partitions ahead of time and drop what is past its time, hourly."""
    while True:
        try:
            await upkeep(database, timedelta(days=settings.outbox_retention_days))
            wait = 3600.0
        except Exception as error:
            if not errors.is_transient(error):
                raise
            wait = 5.0
        await asyncio.sleep(wait)


async def upkeep(database: Database, retention: timedelta) -> None:
    """Do it once, each step in a transaction of its own: locks on two tables would lie across the order of writers."""
    now = clock.now()
    async with tenancy.pumping(database) as conn:
        oldest = await conn.fetchval("select min(created_at) from outbox where published_at is null")
    for sql, at in (
        ("select ensure_partitions('outbox', 'day', $1)", now),
        ("select ensure_partitions(parent, 'month', $1) from recorded_partitions()", now),
        # What is not published yet stays, however long the broker was away and wherever the clock was moved.
        ("select drop_partitions('outbox', $1)", min(now - retention, oldest or now)),
        ("delete from inbox where handled_at < $1", now - 2 * retention),
    ):
        async with tenancy.pumping(database) as conn:
            await conn.execute(sql, at)


@asynccontextmanager
async def _rpc(service: Service, settings: ServiceSettings, up: Running) -> AsyncIterator[None]:
    interceptor = CallInterceptor(settings.service_credentials.get_secret_value())
    server = grpc.aio.server(interceptors=[interceptor], options=OPTIONS)
    if service.register:
        service.register(server)
    add_AuditServiceServicer_to_server(audit.AuditServicer(up.deps.db), server)
    state = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(state, server)
    if settings.environment == "dev":
        reflection.enable_server_reflection([*service.rpc_services, _AUDIT, reflection.SERVICE_NAME], server)
    port = server.add_insecure_port(settings.grpc_address)
    up.address = f"{settings.grpc_address.rpartition(':')[0]}:{port}"
    await server.start()
    names = ("", _AUDIT, *service.rpc_services)
    for name in names:
        await state.set(name, health_pb2.HealthCheckResponse.SERVING)
    try:
        yield
    finally:
        for name in names:
            await state.set(name, health_pb2.HealthCheckResponse.NOT_SERVING)
        await asyncio.sleep(settings.endpoint_removal_seconds)
        await server.stop(settings.drain_seconds)


@asynccontextmanager
async def _http(service: Service, settings: ServiceSettings, up: Running) -> AsyncIterator[None]:
    host, _, port = service.http_address.rpartition(":")
    config = uvicorn.Config(
        service.app,
        host=host,
        port=int(port),
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=int(settings.drain_seconds),
    )
    server = _Uvicorn(config)
    socket = config.bind_socket()
    up.address = "{}:{}".format(*socket.getsockname()[:2])
    serving = asyncio.create_task(server.serve(sockets=[socket]))
    while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.005)
    try:
        yield
    finally:
        await asyncio.sleep(settings.endpoint_removal_seconds)
        if service.closing:
            service.closing()
        server.should_exit = True
        await serving
        socket.close()


def serve(build: Callable[[S, Deps], Service], settings: S) -> None:
    """Run one service until SIGTERM or SIGINT (exit 0), or until one of its loops dies (exit 1: start me again)."""
    telemetry.set_up(build.__module__.split(".")[1], settings.log_level)

    async def main() -> int:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with running(build, settings) as up:
            _log.info("up", extra={"address": up.address})
            gc.collect()
            gc.freeze()
            gc.set_threshold(20_000, 20, 50)
            stopping = asyncio.create_task(stop.wait())
            given_up = asyncio.create_task(up.deps.broker.closed.wait())
            ends: set[asyncio.Future[Any]] = {stopping, given_up, up.failed}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            code = 0 if stop.is_set() else 1
            stopping.cancel()
            given_up.cancel()
        return code

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(main()))
