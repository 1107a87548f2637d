"""The outermost layer of the application: request ids, limits, the fast routes, and no exception past this point."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.exceptions import HTTPException

from ..problems import Problem
from .exchange import Disconnected, Exchange, Receive, Scope, Send
from .gateway import problem_of

_log = logging.getLogger(__name__)

FastRoute = Callable[[Exchange, Receive, Send], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

_MAX_TARGET = 8 * 1024
_KEY_MARKS = (b"pl_live_", b"pl_test_")


class Edge:
    """Wraps an ASGI application.

    Args:
        app: serves what is not fast.
        fast: (method, path) to a handler without a framework in between.
    """

    def __init__(self, app: App, fast: Mapping[tuple[str, str], FastRoute]) -> None:
        self._app = app
        self._fast = dict(fast)
        self._methods: dict[str, set[str]] = {}
        for method, path in fast:
            self._methods.setdefault(path, set()).add(method)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        exchange = Exchange(scope)
        try:
            self._check_target(scope)
            handler = self._fast.get((exchange.method, exchange.path))
            if handler is not None:
                await handler(exchange, receive, send)
                return
            scope["exchange"] = exchange
            await self._app(scope, receive, _completing(exchange, send))
        except Disconnected:
            return
        except Exception as error:  # noqa: BLE001 - the last place where a failure can become an answer
            await self._fail(exchange, error, send)

    @staticmethod
    def _check_target(scope: Scope) -> None:
        query = scope["query_string"]
        if len(scope["raw_path"]) + len(query) > _MAX_TARGET:
            raise Problem(414, "TARGET_TOO_LONG", "a request's target has at most 8 KiB")
        if query and any(mark in query for mark in _KEY_MARKS):
            raise Problem(
                400, "KEY_IN_QUERY", "a key in a URL ends in logs: send it as Authorization, and rotate this one"
            )

    async def _fail(self, exchange: Exchange, error: Exception, send: Send) -> None:
        problem = problem_of(error, exchange.request_id)
        if exchange.started:
            # Too late for another answer: the caller sees the connection end.
            return
        await exchange.refuse(send, problem)

    def refuse_route(self, exchange: Exchange, error: HTTPException) -> Problem:
        """Return the problem of a path or method that there is not; Allow names the fast routes' methods too."""
        if error.status_code == 405 or exchange.path in self._methods:
            allowed = {part.strip() for part in (error.headers or {}).get("Allow", "").split(",")} - {""}
            allow = ", ".join(sorted(allowed | self._methods.get(exchange.path, set())))
            return Problem(405, "METHOD_NOT_ALLOWED", "this path does not take that method", headers={"Allow": allow})
        return Problem(404, "ROUTE_NOT_FOUND", "there is no such path")


def _completing(exchange: Exchange, send: Send) -> Send:
    """Add to every answer what every answer has."""

    async def completed(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            exchange.started = True
            given = {name for name, _ in message["headers"]}
            message["headers"] = [
                *message["headers"],
                *(pair for pair in exchange.common() if pair[0] not in given),
            ]
        await send(message)

    return completed
