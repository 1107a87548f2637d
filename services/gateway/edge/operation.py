"""How a route is declared and what it uses: scope, body, query and answer, each said once, for OpenAPI too."""

import re
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, TypeVar, cast

import grpc
import msgspec
from fastapi import APIRouter
from fastapi.routing import APIRoute
from google.protobuf.message import Message
from msgspec import Struct
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from .. import problems
from . import openapi
from .access import SCOPES
from .decode import decode as decode_body
from .decode import query as decode_query
from .exchange import Exchange
from .fields import Body, Cursor, Limit
from .gateway import Gateway, problem_of
from .messages import to_json, to_message
from .rules import Refused, identifier

S = TypeVar("S", bound=Struct)
M = TypeVar("M", bound=Message)
Req = TypeVar("Req")
Rep = TypeVar("Rep")
StubType = TypeVar("StubType")
Endpoint = TypeVar("Endpoint", bound=Callable[..., Coroutine[Any, Any, Response]])

PUBLIC = "public"
"""The scope of what needs no key."""


class ListQuery(Body):
    """The query of a list; further fields are its filters."""

    limit: Limit = 50
    cursor: Cursor | None = None


class NoQuery(Body):
    """The query of an operation that takes none."""


class Operation(APIRoute):
    """Checks key, scope, path and query before its function runs, and turns what that raises into a problem."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        extra = options.get("openapi_extra") or {}
        if extra.get("x-scope") not in {*SCOPES, PUBLIC}:
            message = f"{path} declares no scope: use Router.operation"
            raise TypeError(message)
        self.scope_needed: str = extra["x-scope"]
        self.also_produces: str = extra.pop("x-also-produces", "")
        self.query_shape: type[Struct] = extra.pop("x-query", NoQuery)
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap what FastAPI would run."""
        run = super().get_route_handler()

        async def handle(request: Request) -> Response:
            asked = exchange(request)
            try:
                if self.scope_needed != PUBLIC:
                    asked.check_accept(self.also_produces)
                    asked.caller = await gateway(request).keyring.caller(asked.authorization())
                    asked.caller.need(self.scope_needed)
                    _check_path(request.path_params)
                    decode_query(request.query_params, self.query_shape)
                return await run(request)
            except Exception as error:  # noqa: BLE001 - the one place where a cold route's failure becomes an answer
                return refusal(asked, self._placed(problem_of(error, asked.request_id)))

        return handle

    def _placed(self, problem: problems.Problem) -> problems.Problem:
        """Let pointers say `?name` where a service named a field that came in the query."""
        names = {field.encode_name for field in msgspec.structs.fields(self.query_shape)}
        problem.faults = tuple(
            replace(fault, pointer="?" + fault.pointer[1:]) if fault.pointer[1:] in names else fault
            for fault in problem.faults
        )
        return problem


def _check_path(params: Mapping[str, Any]) -> None:
    for name, value in params.items():
        try:
            identifier(value)
        except Refused as refused:
            raise problems.invalid([fault.under(f"/{name}") for fault in refused.faults]) from None


class Router(APIRouter):
    """Collects the operations of one module."""

    def __init__(self) -> None:
        super().__init__(route_class=Operation, redirect_slashes=False)

    def operation(
        self,
        call: str,
        *,
        scope: str,
        body: type[Struct] | Mapping[str, Any] | None = None,
        query: type[Struct] | None = None,
        answer: type[Message] | type[Struct] | Mapping[str, Any] | None = None,
        status: int | Iterable[int] = 200,
        listed: bool = False,
        also: str = "",
    ) -> Callable[[Endpoint], Endpoint]:
        """Declare an operation.

        Args:
            call: method and path, such as `PUT /v1/customers/{customer_id}`.
            scope: what the key must be allowed, or PUBLIC.
            body: the struct that the function reads with `read`, or JSON schemas by content type.
            query: the struct that the function reads with `query`; unknown parameters are refused.
            answer: the message, struct or JSON schema of a 2xx; None for 204.
            status: the 2xx statuses it answers.
            listed: true where it answers a page of `answer`.
            also: a content type other than JSON that it answers to those who ask for it.
        """
        method, _, path = call.partition(" ")
        statuses = (status,) if isinstance(status, int) else tuple(status)
        described = openapi.describe(body=body, query=query, answer=answer, statuses=statuses, listed=listed)
        if method == "POST" and isinstance(body, type):
            described["requestBody"]["required"] = not _all_optional(body)
        described |= {"x-scope": scope, "x-query": query or NoQuery, "x-also-produces": also}

        return self._declared(method, path, statuses[0], described)

    def _declared(
        self, method: str, path: str, status: int, described: dict[str, Any]
    ) -> Callable[[Endpoint], Endpoint]:
        scope = str(described["x-scope"])

        def declare(endpoint: Endpoint) -> Endpoint:
            self.add_api_route(
                path,
                endpoint,
                methods=[method],
                status_code=status,
                response_model=None,
                openapi_extra=described,
                operation_id=re.sub(r"_([a-z])", lambda found: found[1].upper(), endpoint.__name__),
                tags=[scope.partition(":")[0] if scope != PUBLIC else "platform"],
            )
            return endpoint

        return declare

    def page(self, path: str) -> Callable[[Endpoint], Endpoint]:
        """Declare a page for people: no key, not part of the API's document."""

        def declare(endpoint: Endpoint) -> Endpoint:
            extra = {"x-scope": PUBLIC}
            self.add_api_route(path, endpoint, methods=["GET"], include_in_schema=False, openapi_extra=extra)
            return endpoint

        return declare


# What a function uses.


def exchange(request: Request) -> Exchange:
    """Return the exchange of a request."""
    return cast("Exchange", request.scope["exchange"])


def gateway(request: Request) -> Gateway:
    """Return this process's wiring."""
    return cast("Gateway", request.app.state.gateway)


async def read(request: Request, shape: type[S]) -> S:
    """Return the request's body as a checked struct; a POST may leave out one that needs no field.

    Raises:
        Problem: 400, 408, 413, 415, 422.
    """
    asked = exchange(request)
    if request.method == "POST" and not asked.has_body() and _all_optional(shape):
        return decode_body(b"{}", shape)
    body = await asked.body(request.receive, gateway(request).settings.body_seconds)  # type: ignore[arg-type]
    return decode_body(body, shape)


@cache
def _all_optional(shape: type[Struct]) -> bool:
    return not any(field.required for field in msgspec.structs.fields(shape))


def query(request: Request, shape: type[S]) -> S:
    """Return the request's query as a checked struct; pointers are `?name`. 422."""
    return decode_query(request.query_params, shape)


def stub(request: Request, kind: type[StubType]) -> StubType:
    """Return the stub of a gRPC service."""
    return gateway(request).peers.stub(kind)


async def call(request: Request, method: grpc.aio.UnaryUnaryMultiCallable[Req, Rep], message: Req) -> Rep:
    """Call a service for this request: tenant, deadline, idempotency key and retries are seen to."""
    return await gateway(request).peers.call(exchange(request), method, message)


def answer(
    content: Message | Any,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Answer with JSON: a message with all its fields, or whatever msgspec encodes."""
    plain = to_json(content) if isinstance(content, Message) else content
    body = msgspec.json.encode(plain)
    return Response(body, status_code=status, headers=dict(headers or {}), media_type="application/json")


def no_content() -> Response:
    """Answer 204."""
    return Response(status_code=204)


def refusal(asked: Exchange, problem: problems.Problem) -> Response:
    """Answer with a problem."""
    body = problems.body_of(problem, asked.request_id)
    headers = dict(problem.headers)
    if problem.status in {408, 413}:
        headers["Connection"] = "close"
    return Response(body, status_code=problem.status, headers=headers, media_type=problems.CONTENT_TYPE)


def params(asked: Exchange) -> Mapping[str, str]:
    """Return the query's parameters by name; of several of one name the last."""
    return QueryParams(asked.scope["query_string"])


def page_token(request: Request, asked: ListQuery) -> str:
    """Return the page token in a list's cursor; empty for the first page. 400 CURSOR_INVALID."""
    caller = exchange(request).caller
    assert caller is not None
    return gateway(request).cursors.open(caller.tenant_id, _what(request), _filters(asked), asked.cursor)


def listing(request: Request, asked: ListQuery, kind: type[M], **more: Any) -> M:
    """Return the message of a list's query: filters by name, `page_size`, and the `page_token` out of the cursor."""
    token = page_token(request, asked)
    return to_message(asked, kind, without=_PAGING, page_size=asked.limit, page_token=token, **more)


def page(
    request: Request,
    asked: ListQuery,
    items: Iterable[Any],
    next_page_token: str,
    convert: Callable[[Any], Any] = to_json,
) -> Response:
    """Answer a page: `{"data": […], "next_cursor": … or null}`."""
    caller = exchange(request).caller
    assert caller is not None
    following = gateway(request).cursors.seal(caller.tenant_id, _what(request), _filters(asked), next_page_token)
    return answer({"data": [convert(item) for item in items], "next_cursor": following})


def _what(request: Request) -> str:
    return request.url.path


_PAGING = ("limit", "cursor")


def _filters(asked: Struct) -> dict[str, Any]:
    return {name: value for name, value in msgspec.to_builtins(asked).items() if name not in _PAGING}
