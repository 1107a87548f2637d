"""Calls to the four services: channels made once, a credential, a deadline and the tenant on every call."""

import asyncio
import random
import time
from collections.abc import Mapping
from typing import Any, TypeVar, cast

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc

from libs.common import errors, tenancy

from .exchange import Exchange

Request = TypeVar("Request")
Reply = TypeVar("Reply")
StubType = TypeVar("StubType")
ReplyType = TypeVar("ReplyType", bound=Message)

_OPTIONS = (
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.enable_retries", 0),
)
_PAUSES = (0.05, 0.2, 0.5)
"""Before the second, third and fourth try of a call that found nobody. Seconds, ± half."""

Metadata = tuple[tuple[str, str], ...]


class Peers:
    """The services behind the gateway.

    Args:
        addresses: service name to host:port.
        credential: the gateway's own token.
        seconds: deadline of one call, its retries included.
    """

    def __init__(self, addresses: Mapping[str, str], credential: str, seconds: float) -> None:
        self._channels = {
            name: grpc.aio.insecure_channel(address, options=_OPTIONS) for name, address in addresses.items()
        }
        self._authorization = ("authorization", f"Bearer {credential}")
        self._stubs: dict[Any, Any] = {}
        self.names = tuple(addresses)
        self.seconds = seconds

    def stub(self, kind: type[StubType], name: str = "") -> StubType:
        """Return the stub of one gRPC service, on the channel of `name`, or of the service whose package it is in."""
        found = self._stubs.get((kind, name))
        if found is None:
            channel = self._channels[name or kind.__module__.split(".")[1]]
            found = self._stubs[kind, name] = cast("Any", kind)(channel)
        return cast("StubType", found)

    def framed(self, path: str, reply: type[ReplyType]) -> grpc.aio.UnaryUnaryMultiCallable[bytes, ReplyType]:
        """Return a call that takes its request as bytes.

        Args:
            path: `/<gRPC service's full name>/<method>`.
            reply: what it answers.
        """
        channel = self._channels[path.split(".")[1]]
        return cast(
            "grpc.aio.UnaryUnaryMultiCallable[bytes, ReplyType]",
            channel.unary_unary(path, response_deserializer=reply.FromString),
        )

    def metadata(self, tenant_id: object, request_id: str, actor: str = "", idempotency_key: str = "") -> Metadata:
        """Return what every call carries."""
        found = [self._authorization, (tenancy.TENANT_KEY, str(tenant_id)), (tenancy.REQUEST_KEY, request_id)]
        if actor:
            found.append((tenancy.ACTOR_KEY, actor))
        if idempotency_key:
            found.append((tenancy.IDEMPOTENCY_KEY, idempotency_key))
        return tuple(found)

    async def call(
        self,
        exchange: Exchange,
        method: grpc.aio.UnaryUnaryMultiCallable[Request, Reply],
        request: Request,
    ) -> Reply:
        """Call a service for an exchange; one that is away is tried again within the deadline.

        Every write is idempotent, by its nature or by the key that a POST carries, so that a retry has no effect of its
        own.

        Raises:
            ServiceError: what the service refused, or that it is away.
        """
        caller = exchange.caller
        assert caller is not None
        key = exchange.idempotency_key() if exchange.method == "POST" else ""
        metadata = self.metadata(caller.tenant_id, exchange.request_id, caller.key_id, key)
        until = time.monotonic() + self.seconds
        for pause in (*_PAUSES, None):
            running = method(request, timeout=max(0.05, until - time.monotonic()), metadata=metadata)
            try:
                reply = await running
            except grpc.aio.AioRpcError as error:
                if pause is None or error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise errors.from_rpc(error) from None
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311
                continue
            if key:
                trailing = dict(await running.trailing_metadata() or ())
                exchange.replayed = tenancy.REPLAYED_KEY in trailing
            return reply
        raise AssertionError

    async def send(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Request, Reply],
        request: Request,
        metadata: Metadata,
    ) -> Reply:
        """Call a service once. Who calls this does the retrying."""
        try:
            return await method(request, timeout=self.seconds, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            raise errors.from_rpc(error) from None

    async def health(self) -> dict[str, bool]:
        """Say of each service whether it serves."""
        names = list(self._channels)
        return dict(zip(names, await asyncio.gather(*map(self._serves, names)), strict=True))

    async def _serves(self, name: str) -> bool:
        stub = health_pb2_grpc.HealthStub(self._channels[name])
        try:
            reply = await stub.Check(health_pb2.HealthCheckRequest(), timeout=1.0)
        except grpc.aio.AioRpcError:
            return False
        return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)

    async def close(self) -> None:
        """Close the channels."""
        await asyncio.gather(*(channel.close(grace=1) for channel in self._channels.values()))
