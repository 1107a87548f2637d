"""Whether a service answers: gRPC health for the four, `/readyz` for the gateway."""

import asyncio
import os
from http import HTTPStatus

# The supervisor starts processes while channels are open; gRPC's own handlers for that are of no use to an exec.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

_TIMEOUT_SECONDS = 2.0


async def grpc_serves(address: str) -> bool:
    """Tell whether a gRPC server says SERVING for itself as a whole."""
    if not await _listens(address):
        return False
    # A tenth of a second, spent while the services start, not before.
    from grpc import aio  # noqa: PLC0415
    from grpc_health.v1 import health_pb2  # noqa: PLC0415

    async with aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        try:
            check = channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                response_deserializer=health_pb2.HealthCheckResponse.FromString,
            )
            answer = await check(health_pb2.HealthCheckRequest(), timeout=_TIMEOUT_SECONDS)
        except aio.AioRpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def http_ready(address: str, path: str = "/readyz") -> bool:
    """Tell whether an HTTP server answers 200 on a path."""
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
                status_line = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
    words = status_line.split()
    return len(words) > 1 and words[1] == str(HTTPStatus.OK.value).encode()


async def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            _, writer = await asyncio.open_connection(host, int(port))
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
