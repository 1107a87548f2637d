"""Who asks: API keys, checked offline first, then against a cache that no revoked key outlives by five seconds."""

import asyncio
import hashlib
import hmac
import secrets
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from libs.common import clock

from .. import problems, store
from . import keys

SCOPES = (
    "profile:read",
    "profile:write",
    "feedback:read",
    "feedback:write",
    "referral:read",
    "referral:write",
    "scoring:read",
    "scoring:write",
    "platform:read",
    "platform:write",
    "history:write",
    "erasure:write",
    "keys:write",
)
"""All that a key can be allowed."""

_MAX_CACHED = 10_000
_BEARER = b"bearer "


@dataclass(frozen=True, slots=True)
class Caller:
    """A key that is good, and what it may."""

    tenant_id: uuid.UUID
    key_id: str
    scopes: frozenset[str]

    def need(self, scope: str) -> None:
        """Refuse a caller without a scope. 403 SCOPE_MISSING."""
        if scope not in self.scopes:
            detail = "the key lacks the scope that this operation needs"
            raise problems.Problem(403, "SCOPE_MISSING", detail, extra={"scope": scope})


Found = tuple[store.Key, bool] | None


class Keyring:
    """Knows the keys that were used of late, and that some are none.

    Args:
        find: looks a key up by its id.
        pepper: keys the digests of secrets.
        seconds: how long a look-up is trusted.
    """

    def __init__(self, find: Callable[[str], Awaitable[Found]], pepper: bytes, seconds: float) -> None:
        self._find = find
        self._pepper = pepper
        self._seconds = seconds
        self._known: dict[str, tuple[float, Found, Caller | None]] = {}
        self._recent: dict[bytes, tuple[float, Caller]] = {}
        self._salt = secrets.token_bytes(16)
        self._asked: dict[str, asyncio.Task[tuple[float, Found, Caller | None]]] = {}

    async def caller(self, authorization: bytes | None) -> Caller:
        """Return whose key a header carries.

        Raises:
            Problem: 401 UNAUTHENTICATED, without saying what is wrong with the key.
        """
        if authorization is None or authorization[: len(_BEARER)].lower() != _BEARER:
            raise unauthenticated("send Authorization: Bearer and an API key, once")
        # What was checked a moment ago is known by a keyed hash of all of it: nothing secret is kept, nothing compared.
        mark = hashlib.blake2b(authorization, digest_size=16, key=self._salt).digest()
        recent = self._recent.get(mark)
        if recent is not None and recent[0] > time.monotonic():
            return recent[1]
        until, expires_at, caller = await self._check(authorization)
        # A key that expires is checked each time, against the clock that an operator can move.
        if expires_at is None:
            while len(self._recent) >= _MAX_CACHED:
                self._recent.pop(next(iter(self._recent)))
            self._recent[mark] = (until, caller)
        return caller

    async def _check(self, authorization: bytes) -> tuple[float, datetime | None, Caller]:
        presented = keys.parse(authorization[len(_BEARER) :])
        if presented is None:
            raise unauthenticated()
        entry = self._known.get(presented.key_id)
        if entry is None or entry[0] < time.monotonic():
            entry = await self._look_up(presented.key_id)
        digest = keys.digest_of(self._pepper, presented.secret)
        until, found, caller = entry
        # Compared even where there is no such key, so that time tells nothing.
        same = hmac.compare_digest(digest, found[0].digest if found else bytes(32))
        if caller is None or found is None or not same or found[1] != presented.live:
            raise unauthenticated()
        expires_at = found[0].expires_at
        if expires_at is not None and expires_at <= clock.now():
            raise unauthenticated()
        return until, expires_at, caller

    def forget(self, key_id: str) -> None:
        """Look a key up again at its next use."""
        self._known.pop(key_id, None)
        self._recent.clear()

    async def _look_up(self, key_id: str) -> tuple[float, Found, Caller | None]:
        """Ask the table once, however many requests wait for the answer."""
        task = self._asked.get(key_id)
        if task is None:
            task = self._asked[key_id] = asyncio.create_task(self._ask(key_id))
            task.add_done_callback(lambda _: self._asked.pop(key_id, None))
        return await asyncio.shield(task)

    async def _ask(self, key_id: str) -> tuple[float, Found, Caller | None]:
        until = time.monotonic() + self._seconds
        found = await self._find(key_id)
        caller = None
        if found is not None and found[0].revoked_at is None:
            caller = Caller(found[0].tenant_id, found[0].key_id, found[0].scopes)
        while len(self._known) >= _MAX_CACHED:
            self._known.pop(next(iter(self._known)))
        self._known.pop(key_id, None)
        self._known[key_id] = (until, found, caller)
        return self._known[key_id]


def unauthenticated(detail: str = "the API key is not valid") -> problems.Problem:
    """Return the 401, the same for a key that is unknown, revoked, expired or of the other kind."""
    return problems.Problem(401, "UNAUTHENTICATED", detail, headers={"WWW-Authenticate": 'Bearer realm="plaudit"'})
