"""Batches to the public API by its documented retry rule: same body and ids again, so that nothing counts twice."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Self

import httpx

from .problems import CannotRunError
from .targets import Target

RETRIED = frozenset({429, 502, 503, 504})
FIRST_WAIT_SECONDS = 0.1
MAX_WAIT_SECONDS = 5.0
GIVE_UP_SECONDS = 60.0
MAX_ITEMS = 1000
# The API takes 1 MiB a body; the rest is for the envelope.
MAX_BYTES = 1024 * 1024 - 1024


@dataclass(frozen=True)
class Refusal:
    """An item that the API refused.

    Attributes:
        index: in the batch that was sent.
        code: the API's code.
        pointer: RFC 6901 into the item, or "".
        detail: the API's sentence.
    """

    index: int
    code: str
    pointer: str
    detail: str


@dataclass(frozen=True)
class Answer:
    """What the API did with a batch."""

    stored: int
    duplicates: int
    unchanged: int
    refused: tuple[Refusal, ...]


@dataclass(frozen=True)
class Waiting:
    """How the sender waits and tells the time; tests put their own."""

    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.monotonic
    draw: Callable[[float, float], float] = random.uniform


class Sender:
    """One connection to one tenant."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        target: Target,
        *,
        history: bool = False,
        waiting: Waiting | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Prepare a connection.

        Args:
            base_url: of the API, without `/v1`.
            api_key: the tenant's key.
            target: what the items are.
            history: whether the items load the past (facts only).
            waiting: clock, sleep and chance.
            transport: what carries the requests, if not the network.
        """
        self._path = f"/v1/{target.name}/batch"
        self._tail = b'],"history":true}' if history and target.is_fact else b"]}"
        self._waiting = waiting or Waiting()
        self.on_retry: Callable[[str], None] = lambda _: None
        """Told a sentence before each wait."""
        try:
            self._client = httpx.Client(
                base_url=base_url,
                headers={"authorization": f"Bearer {api_key}", "content-type": "application/json"},
                transport=transport,
                timeout=httpx.Timeout(30.0, connect=5.0),
            )
        except (httpx.InvalidURL, ValueError) as error:
            message = f"the base URL or the key cannot be used: {error}"
            raise CannotRunError(message) from None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._client.close()

    def send(self, items: Sequence[bytes]) -> Answer:
        """Send a batch and return what became of it.

        Args:
            items: JSON texts, at most MAX_ITEMS and MAX_BYTES in all.

        Returns:
            Counts and refusals. A batch that the API refuses whole is halved until the item is alone.

        Raises:
            CannotRunError: the key is not accepted, or the API stays away for GIVE_UP_SECONDS.
        """
        response = self._post(b'{"items":[' + b",".join(items) + self._tail)
        if response.status_code == 200:
            return _answer(response)
        problem = _problem(response)
        if response.status_code not in {400, 413, 422}:
            raise CannotRunError(_explained(response.status_code, problem))
        if len(items) == 1:
            return Answer(0, 0, 0, (_refusal_of(problem),))
        middle = len(items) // 2
        return _joined(self.send(items[:middle]), self.send(items[middle:]), middle)

    def _post(self, body: bytes) -> httpx.Response:
        began, tries = self._waiting.now(), 0
        while True:
            response, trouble = self._try(body)
            if response is not None and response.status_code not in RETRIED:
                return response
            tries += 1
            left = GIVE_UP_SECONDS - (self._waiting.now() - began)
            wait = self._wait_seconds(response, tries)
            if wait >= left:
                message = (
                    f"{self._client.base_url} gave no answer within {GIVE_UP_SECONDS:.0f} s ({trouble})."
                    " Nothing is lost: run the same command again and it goes on where it stopped."
                )
                raise CannotRunError(message)
            self.on_retry(f"{trouble}; trying again in {wait:.1f} s")
            self._waiting.sleep(wait)

    def _try(self, body: bytes) -> tuple[httpx.Response | None, str]:
        try:
            response = self._client.post(self._path, content=body)
        except httpx.UnsupportedProtocol:
            message = f"{self._client.base_url} is no base URL: it begins with http:// or https://"
            raise CannotRunError(message) from None
        except httpx.TransportError as error:
            return None, str(error).rstrip(".") or type(error).__name__
        return response, f"the API answered {response.status_code}"

    def _wait_seconds(self, response: httpx.Response | None, tries: int) -> float:
        asked = _retry_after(response.headers.get("retry-after", "")) if response is not None else None
        if asked is not None:
            return asked
        ceiling = min(MAX_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0**tries)
        return self._waiting.draw(FIRST_WAIT_SECONDS, ceiling)


def _retry_after(text: str) -> float | None:
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def _answer(response: httpx.Response) -> Answer:
    found = _json(response)
    try:
        stored = found["stored"] if "stored" in found else found["created"] + found["updated"]
        refused = tuple(
            Refusal(entry["index"], entry["code"], entry.get("pointer") or "", entry.get("detail") or "")
            for entry in found["rejected"]
        )
        return Answer(stored, found.get("duplicates", 0), found.get("unchanged", 0), refused)
    except (KeyError, TypeError):
        message = f"{response.url} answered something that is no batch answer: is it Plaudit's base URL?"
        raise CannotRunError(message) from None


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


def _problem(response: httpx.Response) -> dict[str, Any]:
    return _json(response) or {"code": f"HTTP_{response.status_code}", "detail": "the answer is not JSON"}


def _refusal_of(problem: dict[str, Any]) -> Refusal:
    errors = problem.get("errors") or [{}]
    first = errors[0] if isinstance(errors[0], dict) else {}
    return Refusal(
        0,
        str(first.get("code") or problem.get("code") or "REFUSED"),
        str(first.get("pointer") or ""),
        str(first.get("detail") or problem.get("detail") or problem.get("title") or ""),
    )


def _explained(status: int, problem: dict[str, Any]) -> str:
    detail = problem.get("detail") or problem.get("title") or "no detail"
    if status == 401:
        return f"the API does not know this key ({detail}): give one by --api-key or PLAUDIT_API_KEY"
    if status == 403:
        scope = problem.get("scope")
        return (
            f"the key lacks the scope {scope}: use one that has it" if scope else f"the key may not do this: {detail}"
        )
    if status == 404:
        return "the API has no such route: the base URL goes without /v1, as http://127.0.0.1:8080"
    return f"the API answered {status} {problem.get('code', '')}: {detail}"


def _joined(one: Answer, other: Answer, offset: int) -> Answer:
    moved = (Refusal(offset + each.index, each.code, each.pointer, each.detail) for each in other.refused)
    return Answer(
        one.stored + other.stored,
        one.duplicates + other.duplicates,
        one.unchanged + other.unchanged,
        (*one.refused, *moved),
    )
