"""One HTTP exchange: who asks, under which request id, what the body is, and how an answer is sent."""

import asyncio
import contextlib
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import lru_cache
from typing import Any

from ..problems import CONTENT_TYPE, Problem, body_of
from .access import Caller

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

MAX_BODY_BYTES = 1024 * 1024
_MAX_DISCARDED = 64 * 1024 * 1024
_DISCARD_SECONDS = 5.0
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{8,64}\Z").match
_IDEMPOTENCY_KEY = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?\Z").match
_TRACEPARENT = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})\Z").match
_JSON_TYPE = re.compile(
    rb"application/(?:[a-z0-9.+-]+\+)?json\s*(?:;\s*charset=\"?utf-8\"?\s*)?\Z", re.IGNORECASE
).match
_COMMON = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)


class Disconnected(Exception):
    """The caller hung up; there is nobody to answer."""


class Exchange:
    """What is known of one request before and beside its body."""

    __slots__ = ("caller", "headers", "method", "path", "replayed", "request_id", "scope", "started", "token")

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        given = self.headers.get(b"x-request-id", b"")
        self.token = secrets.token_bytes(16)
        """Names this request among its own retries."""
        self.request_id = given.decode() if given and _REQUEST_ID(given) else "req_" + self.token[:12].hex()
        self.caller: Caller | None = None
        self.replayed = False
        """True when a service gave the stored answer of an earlier request."""
        self.started = False

    def authorization(self) -> bytes | None:
        """Return the one Authorization header; None where there is none, or more than one."""
        headers = self.scope["headers"]
        if len(headers) != len(self.headers) and sum(name == b"authorization" for name, _ in headers) > 1:
            return None
        return self.headers.get(b"authorization")

    def idempotency_key(self) -> str:
        """Return the caller's Idempotency-Key, or one of our own, so that our retries take effect once.

        Raises:
            Problem: 400 IDEMPOTENCY_KEY_INVALID.
        """
        given = self.headers.get(b"idempotency-key")
        if given is None:
            return "gw-" + self.token.hex()
        if not _IDEMPOTENCY_KEY(given):
            raise Problem(400, "IDEMPOTENCY_KEY_INVALID", "an Idempotency-Key has 1 to 255 printable ASCII characters")
        return given.decode()

    def traceparent(self) -> str:
        """Return the caller's W3C trace context where it is well-formed and sampled; empty otherwise."""
        found = _TRACEPARENT(self.headers.get(b"traceparent", b""))
        return found[0].decode() if found and int(found[1], 16) & 1 else ""

    def check_accept(self, also: str = "") -> None:
        """Refuse a caller that takes neither JSON nor what there is beside it. 406 NOT_ACCEPTABLE."""
        accept = self.headers.get(b"accept", b"*/*")
        if not _accepts_json(accept) and not (also and also.encode() in accept.lower()):
            raise Problem(406, "NOT_ACCEPTABLE", "answers are application/json")

    def check_content(self, types: Callable[[bytes], Any] = _JSON_TYPE) -> None:
        """Refuse a body of another type or encoding. 415."""
        if self.headers.get(b"content-encoding", b"identity").lower() not in {b"identity", b""}:
            raise Problem(415, "CONTENT_ENCODING_UNSUPPORTED", "bodies are taken without Content-Encoding")
        kind = self.headers.get(b"content-type", b"")
        if kind != b"application/json" and not types(kind):
            raise Problem(415, "CONTENT_TYPE_UNSUPPORTED", "the body's Content-Type must be application/json")

    def has_body(self) -> bool:
        """Say whether the caller announced a body, by its type, its length or its coding."""
        headers = self.headers
        announced = b"content-type" in headers or b"content-encoding" in headers or b"transfer-encoding" in headers
        return announced or headers.get(b"content-length", b"0") != b"0"

    async def body(self, receive: Receive, seconds: float) -> bytes:
        """Read a JSON body: at most 1 MiB, within `seconds`.

        Raises:
            Problem: 408, 413, 415.
            Disconnected: the caller hung up half-way.
        """
        self.check_content()
        length = self.headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length[:20]) > MAX_BODY_BYTES:
            await _discard(rest(receive))
            raise _too_large()
        message = await first(receive, seconds)
        if not message.get("more_body"):
            return _checked(message.get("body", b""))
        chunks = [message.get("body", b"")]
        size = len(chunks[0])
        following = rest(receive)
        try:
            async with asyncio.timeout(seconds):
                async for chunk in following:
                    chunks.append(chunk)
                    size += len(chunk)
                    if size > MAX_BODY_BYTES:
                        break
        except TimeoutError:
            raise timed_out() from None
        if size > MAX_BODY_BYTES:
            await _discard(following)
            raise _too_large()
        return b"".join(chunks)

    def common(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that every answer has."""
        headers = [(b"request-id", self.request_id.encode()), *_COMMON]
        if self.replayed:
            headers.append((b"idempotent-replayed", b"true"))
        return headers

    def start(
        self, status: int, size: int, content_type: bytes, more: Iterable[tuple[bytes, bytes]] = ()
    ) -> dict[str, Any]:
        """Return the ASGI message that starts an answer."""
        self.started = True
        headers = [(b"content-type", content_type), (b"content-length", b"%d" % size), *self.common(), *more]
        return {"type": "http.response.start", "status": status, "headers": headers}

    async def respond(self, send: Send, status: int, body: bytes, more: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Send a JSON answer."""
        await send(self.start(status, len(body), b"application/json", more))
        await send({"type": "http.response.body", "body": body})

    async def refuse(self, send: Send, problem: Problem) -> None:
        """Send a problem."""
        body = body_of(problem, self.request_id)
        more = [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
        if problem.status in {408, 413}:
            more.append((b"connection", b"close"))
        await send(self.start(problem.status, len(body), CONTENT_TYPE.encode(), more))
        await send({"type": "http.response.body", "body": body if self.method != "HEAD" else b""})


class _Patience:
    """Ends a wait after some seconds with a 408. Does what `asyncio.timeout` does at a third of its price."""

    __slots__ = ("_expired", "_handle", "_seconds", "_task")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        self._expired = False
        self._task = asyncio.current_task()
        self._handle = asyncio.get_running_loop().call_later(self._seconds, self._expire)

    def _expire(self) -> None:
        self._expired = True
        if self._task is not None:
            self._task.cancel()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._handle.cancel()
        if self._expired and self._task is not None and self._task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise timed_out() from None


async def first(receive: Receive, seconds: float) -> dict[str, Any]:
    """Receive the first part of a body."""
    with _Patience(seconds):
        message = await receive()
    if message["type"] != "http.request":
        raise Disconnected
    return message


async def rest(receive: Receive) -> AsyncIterator[bytes]:
    """Receive what follows the first part of a body."""
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise Disconnected
        more = message.get("more_body", False)
        yield message.get("body", b"")


async def _discard(chunks: AsyncIterator[bytes]) -> None:
    """Read on for a while: a caller that is still sending when the connection is closed never sees the answer."""
    left = _MAX_DISCARDED
    with contextlib.suppress(TimeoutError, Disconnected):
        async with asyncio.timeout(_DISCARD_SECONDS):
            async for chunk in chunks:
                left -= len(chunk)
                if left < 0:
                    return


def timed_out() -> Problem:
    """Return the 408 of a body that does not come."""
    return Problem(408, "BODY_TIMEOUT", "the body did not come in time")


def _too_large() -> Problem:
    return Problem(413, "BODY_TOO_LARGE", "a body has at most 1 MiB; send more lines as application/x-ndjson")


def _checked(body: bytes) -> bytes:
    if len(body) > MAX_BODY_BYTES:
        raise _too_large()
    return body


@lru_cache(maxsize=256)
def _accepts_json(accept: bytes) -> bool:
    for part in accept.decode("latin-1").lower().split(","):
        kind, *parameters = (text.strip() for text in part.split(";"))
        if (
            kind in {"*/*", "application/*", "application/json", "application/problem+json", ""}
            and "q=0" not in parameters
        ):
            return True
    return False
