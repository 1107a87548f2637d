"""One error for every service, and the guard that turns it into a gRPC status with google.rpc.ErrorInfo."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, cast

import asyncpg
import grpc
import sqlalchemy.exc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

DOMAIN = "plaudit"
Behaviour = Callable[[Any, Any], Awaitable[Any]]
_log = logging.getLogger(__name__)


class ServiceError(Exception):
    """A refusal that a caller can act on.

    Args:
        reason: UPPER_SNAKE, unique and stable.
        message: one sentence that never repeats the input.
        metadata: strings for machines; `pointer` names the offending field (RFC 6901).
    """

    code: ClassVar[int] = code_pb2.UNKNOWN

    def __init__(self, reason: str, message: str, **metadata: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
        self.metadata = metadata


class InvalidArgument(ServiceError):
    """The request can never succeed as it is."""

    code = code_pb2.INVALID_ARGUMENT


class NotFound(ServiceError):
    """There is no such thing in this tenant."""

    code = code_pb2.NOT_FOUND


class AlreadyExists(ServiceError):
    """The id is taken by other content."""

    code = code_pb2.ALREADY_EXISTS


class FailedPrecondition(ServiceError):
    """The request is right but the state forbids it."""

    code = code_pb2.FAILED_PRECONDITION


class Aborted(ServiceError):
    """Somebody else was quicker; read again and retry."""

    code = code_pb2.ABORTED


class PermissionDenied(ServiceError):
    """The caller is known and may not."""

    code = code_pb2.PERMISSION_DENIED


class Unauthenticated(ServiceError):
    """The caller is not known."""

    code = code_pb2.UNAUTHENTICATED


class ResourceExhausted(ServiceError):
    """A limit was reached."""

    code = code_pb2.RESOURCE_EXHAUSTED


class Unavailable(ServiceError):
    """A dependency is away; the same request may be sent again."""

    code = code_pb2.UNAVAILABLE


_KINDS = {kind.code: kind for kind in ServiceError.__subclasses__()}

TRANSIENT = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.InternalClientError,
    sqlalchemy.exc.TimeoutError,
    OSError,
)
"""Cancelled statements, deadlocks, time-outs and refused connections are among them."""


def is_transient(error: BaseException | None) -> bool:
    """Say whether the database, the broker or the network is to blame, so that the same work may succeed later."""
    while error is not None:
        if isinstance(error, TRANSIENT):
            return True
        if isinstance(error, sqlalchemy.exc.DBAPIError) and error.connection_invalidated:
            return True
        following = getattr(error, "orig", None) or error.__cause__
        error = following if following is not error else None
    return False


def status_of(error: ServiceError) -> grpc.Status:
    """Return the gRPC status that carries an error's reason, sentence and metadata."""
    details = [_packed(error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata))]
    if pointer := error.metadata.get("pointer"):
        violation = error_details_pb2.BadRequest.FieldViolation(field=pointer, description=error.message)
        details.append(_packed(error_details_pb2.BadRequest(field_violations=[violation])))
    status = status_pb2.Status(code=error.code, message=error.message, details=details)
    return rpc_status.to_status(status)


def _packed(message: Any) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed


def from_rpc(error: grpc.aio.AioRpcError) -> ServiceError:
    """Read a ServiceError back from a failed call; a status without ErrorInfo keeps its kind and says no more."""
    kind = _KINDS.get(error.code().value[0], ServiceError)
    status = rpc_status.from_call(cast("grpc.Call", error))
    for detail in status.details if status else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Is(info.DESCRIPTOR) and detail.Unpack(info):
            return kind(info.reason, status.message, **dict(info.metadata))
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
        return Unavailable("SERVICE_UNAVAILABLE", "a service behind this call is not available")
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Unavailable("DEADLINE_EXCEEDED", "a service behind this call did not answer in time")
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return Unavailable("SERVICE_BUSY", "a service behind this call has too much to do")
    return kind("INTERNAL", "internal error")


def guarded(method: str, behaviour: Behaviour) -> Behaviour:
    """Wrap an RPC: what it raises becomes a status; what nobody foresaw is logged and becomes a bare INTERNAL.

    Left alone, grpc.aio sends the exception's text to the caller.
    """

    async def answer(request: Any, context: Any) -> Any:
        try:
            return await behaviour(request, context)
        except ServiceError as error:
            await context.abort_with_status(status_of(error))
        except (asyncio.CancelledError, grpc.aio.AbortError):
            raise
        except Exception as error:
            if is_transient(error):
                _log.warning("dependency away", extra={"method": method, "error": type(error).__name__})
                away = Unavailable("DEPENDENCY_UNAVAILABLE", "a store behind this service is not available")
                await context.abort_with_status(status_of(away))
            _log.exception("unforeseen", extra={"method": method})
            await context.abort(grpc.StatusCode.INTERNAL, "internal error")

    return answer
