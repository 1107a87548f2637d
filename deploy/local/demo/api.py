"""The public API as the demo calls it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self, TypeVar

import httpx

from deploy.local.folder import Trouble

Json = dict[str, Any]
Given = TypeVar("Given")
Found = TypeVar("Found")
_TRIES = 8
_AT_ONCE = 8


class Api:
    """One tenant's API."""

    def __init__(self, base_url: str, api_key: str) -> None:
        headers = {"authorization": f"Bearer {api_key}"}
        self._client = httpx.Client(base_url=base_url, headers=headers, timeout=30)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str, **query: object) -> Json:
        """Return an answer's JSON."""
        return self._call(lambda: self._client.get(path, params={name: str(value) for name, value in query.items()}))

    def post(self, path: str, body: Json) -> Json:
        """Send a body and return the answer's JSON."""
        return self._call(lambda: self._client.post(path, json=body))

    def all(self, path: str, **query: object) -> Iterator[Json]:
        """Yield every entry of a list, page by page."""
        cursor: str | None = None
        while True:
            page = self.get(path, limit=200, **query, **({"cursor": cursor} if cursor else {}))
            yield from page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def each(self, call: Callable[[Given], Found], given: Iterable[Given]) -> list[Found]:
        """Call for each entry, some at once, and return what was found in the same order."""
        pool = ThreadPoolExecutor(_AT_ONCE)
        try:
            return list(pool.map(call, given))
        finally:
            pool.shutdown(cancel_futures=True)

    def _call(self, send: Callable[[], httpx.Response]) -> Json:
        for attempt in range(_TRIES):
            response = send()
            if response.status_code not in {429, 502, 503, 504}:
                break
            time.sleep(float(response.headers.get("retry-after", 0.1 * 2**attempt)))
        if response.is_error:
            message = (
                f"{response.request.method} {response.url.path} answered {response.status_code}: {response.text[:500]}"
            )
            raise Trouble(message)
        found: Json = response.json()
        return found


def eventually(found: Callable[[], Found], good: Callable[[Found], bool], *, what: str, seconds: float = 60.0) -> Found:
    """Wait for something that follows soon.

    Args:
        found: looks.
        good: whether what it found is what is waited for.
        what: its name in a complaint.
        seconds: how long to wait.

    Returns:
        What was found at last.

    Raises:
        Trouble: it does not come in time.
    """
    deadline = time.monotonic() + seconds
    while not good(last := found()):
        if time.monotonic() > deadline:
            message = f"{what} did not come within {seconds:.0f} s: see `plaudit logs`"
            raise Trouble(message)
        time.sleep(0.2)
    return last
