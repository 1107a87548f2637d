"""A whole stack to be cruel to: arms failpoints, kills by process id, loads with the documented retry rule."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from deploy.local.folder import SERVICES, Folder, load_secrets
from deploy.local.status import status_of
from libs.common import clock

PYTHON = sys.executable
RETRIED = {429, 502, 503, 504}
GIVE_UP_SECONDS = 60.0
RECENT = (clock.now() - timedelta(days=1)).isoformat()
UNHAPPY = range(7)


async def until(check: Callable[[], Awaitable[Any]], seconds: float, what: str) -> Any:
    """Wait until a check returns something true, and return it."""
    end = time.monotonic() + seconds
    while not (found := await check()):
        if time.monotonic() > end:
            message = f"still not so after {seconds} s: {what}"
            raise AssertionError(message)
        await asyncio.sleep(0.05)  # noqa: TID251
    return found


class Stack:
    """One `plaudit up --detach` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = Folder(folder)

    def up(self) -> None:
        """Start it and wait until it is ready."""
        self._run("up", "--detach")

    def down(self) -> None:
        """Stop it."""
        self._run("down")

    def status(self) -> dict[str, Any]:
        """Return what `plaudit status --json` says."""
        return status_of(self.folder)

    def new_tenant(self, name: str) -> dict[str, str]:
        """Make a tenant with a key of all scopes."""
        made: dict[str, str] = json.loads(self._run("tenant", "create", name, "--json"))
        return made

    def _run(self, *words: str) -> str:
        argv = [PYTHON, "-m", "deploy.local", *words, "--data-dir", str(self.folder.root)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"plaudit {words[0]}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    def pid(self, name: str) -> int:
        """Return the process id of a service or server that runs now; 0 while there is none."""
        facts = self.status()
        found = facts[name] if name in ("postgres", "nats") else facts["services"][name]
        return int(found["pid"] or 0)

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to one process of this stack."""
        os.kill(self.pid(name), number)

    async def kill(self, name: str) -> None:
        """Kill one process with -9 and wait until another one runs in its place and everything is ready."""
        before = self.pid(name)
        os.kill(before, signal.SIGKILL)
        await self.replaced(name, before)

    async def replaced(self, name: str, before: int) -> None:
        """Wait until a process has a successor that is healthy."""

        async def done() -> bool:
            facts = self.status()
            if name in ("postgres", "nats"):
                return int(facts[name]["pid"] or 0) not in (0, before) and bool(facts["ready"])
            service = facts["services"][name]
            return int(service["pid"] or 0) not in (0, before) and service["state"] == "healthy"

        await until(done, 90, f"{name} replaced")

    async def die_at(self, name: str, point: str, passage: int = 1) -> None:
        """Restart a service with a failpoint armed, wait for its death there and for its successor."""
        overlay = self.folder.overlay(name)
        overlay.write_text(f"FAULT={point}:kill9@{passage}\n", encoding="utf-8")
        before = self.pid(name)
        os.kill(before, signal.SIGTERM)

        async def armed() -> int:
            return found if (found := self.pid(name)) not in (0, before) else 0

        cursed = await until(armed, 40, f"{name} restarted")
        overlay.unlink()
        await self.replaced(name, cursed)

    async def fetch(self, service: str, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """Query a service's database as the administrator, past row-level security."""
        secret = load_secrets(self.folder)
        port = self.status()["postgres"]["port"]
        conn = await asyncpg.connect(f"postgresql://plaudit:{secret['postgres']}@127.0.0.1:{port}/{service}", ssl=False)
        try:
            return list(await conn.fetch(sql, *arguments))
        finally:
            await conn.close()

    async def quiet(self, *, beside: str = "", seconds: float = 60.0) -> None:
        """Wait until no service, but for one that is stopped, has anything left to publish."""

        async def published() -> bool:
            for name in sorted({*SERVICES} - {beside}):
                if await self.fetch(name, "select 1 from outbox where published_at is null limit 1"):
                    return False
            return True

        await until(published, seconds, "outboxes empty")


@dataclass
class Client:
    """A partner: sends again by the documented rule, and remembers what it was answered."""

    stack: Stack
    tenant: dict[str, str]
    accepted: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    """(noun, id) of everything that was answered 2xx, with its content."""
    refused: set[tuple[str, str]] = field(default_factory=set)
    unknown: set[tuple[str, str]] = field(default_factory=set)
    """What no answer came for in all the time that the retry rule allows: stored once, or not at all."""
    errors: list[str] = field(default_factory=list)
    retries: Counter[str] = field(default_factory=Counter)
    _http: httpx.AsyncClient | None = None

    @property
    def http(self) -> httpx.AsyncClient:
        """The connection pool of this client."""
        if self._http is None:
            self._http = httpx.AsyncClient(
                base_url=self.stack.status()["base_url"],
                headers={"Authorization": f"Bearer {self.tenant['api_key']}"},
                timeout=20,
                limits=httpx.Limits(max_connections=40, max_keepalive_connections=40),
            )
        return self._http

    async def close(self) -> None:
        """Close the pool."""
        if self._http:
            await self._http.aclose()

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response | None:
        """Send; on connect error, reset, 429, 502, 503, 504 the same again, full jitter, up to 60 s; None then."""
        end = time.monotonic() + GIVE_UP_SECONDS
        wait = 0.1
        while time.monotonic() < end:
            try:
                answer = await self.http.request(method, path, **options)
            except httpx.TransportError as error:
                self.retries[type(error).__name__] += 1
            else:
                if answer.status_code not in RETRIED:
                    return answer
                self.retries[str(answer.status_code)] += 1
                wait = float(answer.headers.get("retry-after", wait))
            await asyncio.sleep(random.uniform(0, wait))  # noqa: TID251
            wait = min(5.0, max(0.1, wait * 2))
        return None

    async def single(self, noun: str, item: dict[str, Any]) -> None:
        """Send one fact."""
        answer = await self.request("POST", f"/v1/{noun}", json=item)
        if answer is None:
            self.unknown.add(_key(noun, item))
        else:
            self._note(noun, item, accepted=answer.status_code in (200, 201), answer=answer)

    async def batch(self, noun: str, items: list[dict[str, Any]]) -> None:
        """Send a batch."""
        self._note_many(noun, items, await self.request("POST", f"/v1/{noun}/batch", json={"items": items}))

    async def stream(self, noun: str, items: list[dict[str, Any]]) -> None:
        """Send NDJSON."""
        body = "".join(json.dumps(item) + "\n" for item in items).encode()
        headers = {"Content-Type": "application/x-ndjson"}
        self._note_many(noun, items, await self.request("POST", f"/v1/{noun}", content=body, headers=headers))

    def _note_many(self, noun: str, items: list[dict[str, Any]], answer: httpx.Response | None) -> None:
        if answer is None:
            self.unknown.update(_key(noun, item) for item in items)
            return
        if answer.status_code != 200:
            self.errors.append(f"{noun}: {answer.status_code} {answer.text[:300]}")
            return
        rejected = {entry["index"]: entry for entry in answer.json()["rejected"]}
        for index, item in enumerate(items):
            if index in rejected and rejected[index]["code"] in ("DEPENDENCY_UNAVAILABLE", "SERVICE_UNAVAILABLE"):
                self.errors.append(f"{noun}: item {rejected[index]['code']} inside a good answer")
            self._note(noun, item, accepted=index not in rejected)

    def _note(self, noun: str, item: dict[str, Any], *, accepted: bool, answer: httpx.Response | None = None) -> None:
        key = _key(noun, item)
        if accepted:
            self.accepted[key] = item
        else:
            self.refused.add(key)
            if answer is not None and answer.status_code >= 500:
                self.errors.append(f"{noun}: {answer.status_code} {answer.text[:300]}")


def _key(noun: str, item: dict[str, Any]) -> tuple[str, str]:
    return noun, item.get("activity_id") or item.get("response_id") or item.get("mention_id") or ""


def activity(number: int, customers: int = 300) -> dict[str, Any]:
    """Return one valid activity that is a signal."""
    return {
        "activity_id": f"act-{number}-{uuid.uuid4().hex[:6]}",
        "customer_id": f"cust-{number % customers}",
        "type": random.choice(["purchase.completed", "service_visit.completed", "support.resolved"]),
        "occurred_at": "2026-10-01T12:00:00Z",
        "channel": "web",
    }


def response(number: int, customers: int = 300) -> dict[str, Any]:
    """Return one valid answer that is a signal."""
    return {
        "response_id": f"resp-{number}-{uuid.uuid4().hex[:6]}",
        "customer_id": f"cust-{number % customers}",
        "metric": "nps",
        "score": random.randrange(11),
        # Old ones are suppressed, those of the last days open cases.
        "occurred_at": "2026-10-02T12:00:00Z" if number % 2 else RECENT,
    }


def invalid(number: int) -> dict[str, Any]:
    """Return an activity that is always refused: every other one by the gateway, the rest by the service."""
    if number % 2:
        return {**activity(number), "type": "no such type"}
    return {name: value for name, value in activity(number).items() if name != "customer_id"}
