"""The outermost layer of the application: request ids, limits, the fast routes, and no exception past this point."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ..problems import Problem
from .exchange import Disconnected, Exchange, Receive, Scope, Send
from .gateway import problem_of

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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        exchange = scope["exchange"] = Exchange(scope)
        await guarded(self._serve, exchange, receive, send)

    async def _serve(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        self._check_target(exchange.scope)
        handler = self._fast.get((exchange.method, exchange.path))
        if handler is not None:
            await handler(exchange, receive, send)
        else:
            await self._app(exchange.scope, receive, _completing(exchange, send))

    @staticmethod
    def _check_target(scope: Scope) -> None:
        query = scope["query_string"]
        if len(scope["raw_path"]) + len(query) > _MAX_TARGET:
            raise Problem(414, "TARGET_TOO_LONG", "a request's target has at most 8 KiB")
        if query and any(mark in query for mark in _KEY_MARKS):
            raise Problem(
                400, "KEY_IN_QUERY", "a key in a URL ends in logs: send it as Authorization, and rotate this one"
            )


async def guarded(handler: FastRoute, exchange: Exchange, receive: Receive, send: Send) -> None:
    """Run a handler, and answer what it raises; nothing gets past this, but for what cancels the task."""
    try:
        await handler(exchange, receive, send)
    except Disconnected:
        return
    except Exception as error:  # noqa: BLE001 - the last place where a failure can become an answer
        problem = problem_of(error, exchange.request_id)
        # Once an answer has begun it is too late for another: the caller sees the connection end.
        if not exchange.started:
            await exchange.refuse(send, problem)


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
