"""The problem, and the one map from gRPC status and reason to HTTP."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import grpc
import msgspec

from libs.common import errors

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 1
"""What a 503 asks callers to wait. The documented retry rule adds jitter."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request."""

    pointer: str
    """RFC 6901 into the body, or `?name` for a query parameter; empty for the whole."""
    code: str
    detail: str
    """A sentence that never repeats the input."""

    def under(self, parent: str) -> "Fault":
        """Return the same fault seen from the enclosing value."""
        return Fault(parent + self.pointer, self.code, self.detail)


class Problem(Exception):
    """A request that is answered with an error.

    Args:
        status: HTTP status.
        code: stable UPPER_SNAKE reason.
        detail: one sentence that never repeats the input.
        faults: what is wrong with which field.
        headers: further response headers, such as Retry-After.
        extra: further members of the problem, such as `scope` or `earliest_at`.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail
        self.faults = tuple(faults)
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


MAX_FAULTS = 50
"""So many are listed; a body has no use for more, and an answer stays small."""


def invalid(faults: Sequence[Fault]) -> Problem:
    """Return the 422 that lists what is wrong; its code is the first fault's."""
    first = faults[0]
    return Problem(422, first.code, first.detail, faults=faults[:MAX_FAULTS])


def refused(pointer: str, code: str, detail: str) -> Problem:
    """Return a 422 with one fault."""
    return invalid([Fault(pointer, code, detail)])


def malformed(detail: str) -> Problem:
    """Return the 400 for a body that is not JSON."""
    return Problem(400, "JSON_INVALID", detail, faults=[Fault("", "JSON_INVALID", detail)])


def unavailable(code: str = "SERVICE_UNAVAILABLE", detail: str = "a part of the system is away, try again") -> Problem:
    """Return the 503 that callers are to retry."""
    return Problem(503, code, detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def unforeseen() -> Problem:
    """Return the 500 that says nothing of its cause."""
    return Problem(500, "INTERNAL", "something went wrong on our side; the request id finds it in our logs")


STATUS_OF_KIND: dict[type[errors.ServiceError], int] = {
    errors.InvalidArgument: 422,
    errors.NotFound: 404,
    errors.AlreadyExists: 409,
    errors.FailedPrecondition: 409,
    errors.Aborted: 409,
    errors.PermissionDenied: 403,
    # A service refused the gateway's own credential: nothing a caller could mend.
    errors.Unauthenticated: 500,
    errors.ResourceExhausted: 503,
    errors.Unavailable: 503,
}

STATUS_OF_REASON = {
    "CURSOR_INVALID": 400,
    "PAGE_TOKEN_INVALID": 400,
    "IDEMPOTENCY_KEY_INVALID": 400,
    "IDEMPOTENCY_KEY_REUSED": 422,
    "IDEMPOTENCY_KEY_IN_FLIGHT": 409,
    "ID_REUSED": 409,
    "VERSION_MISMATCH": 412,
    "METRIC_UNKNOWN": 404,
    "ROOT_CAUSE_MISSING": 422,
    "TENANT_MISSING": 500,
}
"""Reasons whose HTTP status is not their kind's."""

_SHOWN = frozenset({"rule", "rules", "earliest_at", "waits_for", "scope", "from", "to", "allowed", "limit", "path"})
"""Metadata of a refusal that become members of the problem. The rest, such as ids, would repeat the request."""


def of_service(error: errors.ServiceError) -> Problem:
    """Return the HTTP problem of a refusal by a service; metadata that say more become its members."""
    status = STATUS_OF_REASON.get(error.reason) or STATUS_OF_KIND.get(type(error), 500)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return unforeseen()
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return unavailable(error.reason, error.message)
    pointer = error.metadata.get("pointer")
    faults = [Fault(pointer, error.reason, error.message)] if pointer is not None else []
    extra = {name: value for name, value in error.metadata.items() if name in _SHOWN}
    return Problem(status, error.reason, error.message, faults=faults, extra=extra)


def of_rpc(error: grpc.aio.AioRpcError) -> Problem:
    """Return the HTTP problem of a failed call."""
    return of_service(errors.from_rpc(error))


def of_rejection(code: str, pointer: str, detail: str) -> Problem:
    """Return the problem of one fact that a service rejected."""
    status = STATUS_OF_REASON.get(code, 422)
    return Problem(status, code, detail, faults=[Fault(pointer, code, detail)])


def body_of(problem: Problem, request_id: str) -> bytes:
    """Return the problem as JSON."""
    return msgspec.json.encode(
        {
            "type": f"/docs/errors#{problem.code.lower()}",
            "title": HTTPStatus(problem.status).phrase,
            "status": problem.status,
            "detail": problem.detail,
            "code": problem.code,
            "request_id": request_id,
            "errors": [{"pointer": f.pointer, "code": f.code, "detail": f.detail} for f in problem.faults],
            **problem.extra,
        }
    )
