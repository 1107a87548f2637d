"""What a person typed, or what names one, stays in the tables of the service that it was sent to."""

import logging
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from deploy.local.folder import SERVICES
from libs.common import clock

CANARY = f"Zaphira{uuid.uuid4().hex[:12]}"
KEPT = {
    "profile": {"customers", "customer_tokens", "activities", "voids"},
    "feedback": {"surveys", "responses", "mentions", "cases", "case_steps", "contacts"},
    "referral": set(),
    "scoring": set(),
    "gateway": {"api_keys"},
}
"""The tables that hold words, by the service they were sent to."""
ANSWERS = {"idempotency"}
"""Stored answers repeat what the same service holds."""

_TABLES = """select relname from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace
and not relispartition and relname <> 'migrations'"""
_HOLDS = "select exists (select from {} t where position(lower($1) in lower(t::text)) > 0)"
_IN_BYTES = "select exists (select from {} t where position($1::bytea in {}) > 0)"


@dataclass(frozen=True)
class Written:
    """A tenant whose every word is the canary."""

    client: httpx.AsyncClient
    tenant: uuid.UUID
    logged: list[str]


def bodies() -> list[tuple[str, str, dict[str, Any]]]:
    """Return calls whose ids and keys are harmless, and whose words are not."""
    of = {"customer_id": "c-1", "occurred_at": clock.now().isoformat().replace("+00:00", "Z")}
    customer = {
        "name": CANARY, "email": f"{CANARY}@example.org", "phone": "+4915112345678", "role": CANARY,
        "goals": [CANARY], "traits": {"plan": CANARY}, "identities": [{"type": "crm", "value": CANARY}],
    }  # fmt: skip
    act = {"incentive": CANARY, "evidence_url": f"https://example.org/{CANARY}"}
    activity = {"activity_id": "a-1", "type": "review.published", "act": act, "properties": {"w": CANARY}, **of}
    unhappy = {"response_id": "r-1", "metric": "nps", "score": 0, "verbatim": CANARY, **of}
    return [
        ("PUT", "/v1/customers/c-1", customer),
        ("POST", "/v1/customers/batch", {"items": [{"customer_id": "c-2", **customer, "phone": None}]}),
        ("PUT", "/v1/surveys/s-1", {"metric": "nps", "question": CANARY, "follow_up": CANARY}),
        ("POST", "/v1/activities", activity),
        ("POST", "/v1/activities/a-1/void", {"reason": CANARY}),
        ("POST", "/v1/responses", unhappy),
        ("POST", "/v1/mentions", {"mention_id": "m-1", "text": CANARY, "author": CANARY, **of}),
        ("POST", "/v1/api_keys", {"name": CANARY, "scopes": ["profile:read"]}),
    ]


def steps(case_id: str) -> list[tuple[str, str, dict[str, Any]]]:
    path = f"/v1/cases/{case_id}"
    return [
        ("PATCH", path, {"owner": CANARY, "external_ref": CANARY, "external_url": f"https://example.org/{CANARY}"}),
        ("POST", f"{path}/acknowledgement", {"by": CANARY, "note": CANARY}),
        ("POST", f"{path}/contacts", {"by": CANARY, "channel": "phone", "outcome": "reached"}),
        ("POST", f"{path}/transition", {"to": "in_progress", "note": CANARY}),
        ("POST", f"{path}/transition", {"to": "action_taken", "root_cause": CANARY, "note": CANARY}),
        ("POST", f"{path}/transition", {"to": "closed", "note": CANARY, "by": CANARY}),
    ]


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.getMessage()} {vars(record)}")


@pytest.fixture(scope="module")
async def written(world: Any) -> AsyncIterator[Written]:
    """Send the canary wherever words are taken, right and wrong, and wait until all of it is told."""
    made = await world.new_tenant()
    address = (await world.service("gateway")).address
    headers = {"Authorization": f"Bearer {made['api_key']}", "Idempotency-Key": uuid.uuid4().hex}
    lines, root = _Lines(), logging.getLogger()
    level = root.level
    root.addHandler(lines)
    root.setLevel(logging.INFO)
    async with httpx.AsyncClient(base_url=f"http://{address}", headers=headers, timeout=20) as client:
        for method, path, body in bodies():
            assert (await client.request(method, path, json=body)).is_success, path
        case = (await client.get("/v1/cases")).json()["data"][0]["case_id"]
        for method, path, body in steps(case):
            headers = {"Idempotency-Key": uuid.uuid4().hex}
            assert (await client.request(method, path, json=body, headers=headers)).is_success, path
        for method, path, body in [*bodies(), *steps(case)]:
            await client.request(method, path, json={**body, "occurred_at": CANARY, "to": CANARY, CANARY: 1})
        yield Written(client, uuid.UUID(made["tenant_id"]), lines.lines)
    root.removeHandler(lines)
    root.setLevel(level)


async def holding(world: Any, service: str, tenant: uuid.UUID) -> set[str]:
    """Return the tables of a service that hold the canary under a tenant, in texts or in bytes."""
    conn = await world.connect(service, tenant)
    try:
        tables = [row[0] for row in await conn.fetch(_TABLES)]
        found = {table for table in tables if await conn.fetchval(_HOLDS.format(table), CANARY)}
        columns = [("outbox", "payload"), ("dead_letter", "event"), ("idempotency", "answer")]
        in_bytes = [(name, _IN_BYTES.format(name, column)) for name, column in columns]
        return found | {name for name, query in in_bytes if await conn.fetchval(query, CANARY.encode())}
    finally:
        await conn.close()


@pytest.mark.parametrize("service", SERVICES)
async def test_words_stay_in_the_tables_they_were_sent_to(world: Any, written: Written, service: str) -> None:
    assert await holding(world, service, written.tenant) - ANSWERS == KEPT[service]


async def test_the_feed_tells_no_words(written: Written, eventually: Any) -> None:
    async def closed() -> str:
        text = (await written.client.get("/v1/events?limit=200")).text
        return text if "case.closed" in text else ""

    assert CANARY.lower() not in (await eventually(closed)).lower()


async def test_no_log_line_holds_words(written: Written) -> None:
    assert [line for line in written.logged if CANARY.lower() in line.lower()] == []


async def test_a_refusal_repeats_no_words(written: Written) -> None:
    wrong = [(method, path, {name: [[CANARY]] for name in body}) for method, path, body in bodies()]
    replies = [await written.client.request(method, path, json=body) for method, path, body in wrong]
    assert [reply.text for reply in replies if CANARY in reply.text] == []
