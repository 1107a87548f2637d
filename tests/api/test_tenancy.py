"""Two tenants side by side: one replays the other's ids on every route there is, and finds, learns and changes nothing.

A new route fails `test_every_route_has_its_case` until it stands in one of the two tables below.
"""

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from deploy.local.folder import SERVICES
from libs.common import clock
from libs.common.events.broker import STREAM

NOW = clock.now()
CANARY = f"canary{uuid.uuid4().hex[:12]}"
"""In every word that the neighbour wrote, its ids included."""
FULL = {"name": CANARY, "email": f"{CANARY}@example.org", "account_id": f"{CANARY}-acc", "traits": {"plan": CANARY}}
CONTACT = {"by": "s-1", "channel": "phone", "outcome": "reached"}


def ago(**units: float) -> str:
    return (NOW - timedelta(**units)).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True)
class Ask:
    """A call with the neighbour's ids, and what it answers to somebody else."""

    path: str
    status: int
    body: Any = None
    data: Any = None
    """What a list holds, or a figure says, to somebody who has nothing."""


def listed(path: str) -> Ask:
    return Ask(path, 200, data=[])


FOREIGN = {
    "GET /v1/activities": listed("/v1/activities?customer_id={customer}"),
    "GET /v1/activities/{activity_id}": Ask("/v1/activities/{activity}", 404),
    "POST /v1/activities/{activity_id}/void": Ask("/v1/activities/{activity}/void", 404, {"reason": "wrong"}),
    "GET /v1/audit": listed("/v1/audit?subject_id={customer}"),
    "DELETE /v1/api_keys/{key_id}": Ask("/v1/api_keys/{key}", 404),
    "POST /v1/api_keys/{key_id}/rotate": Ask("/v1/api_keys/{key}/rotate", 404, {}),
    "GET /v1/cases": listed("/v1/cases?customer_id={customer}&trigger_id={response}"),
    "GET /v1/cases/{case_id}": Ask("/v1/cases/{case}", 404),
    "PATCH /v1/cases/{case_id}": Ask("/v1/cases/{case}", 404, {"owner": "mine"}),
    "POST /v1/cases/{case_id}/acknowledgement": Ask("/v1/cases/{case}/acknowledgement", 404, {"by": "s-1"}),
    "POST /v1/cases/{case_id}/contacts": Ask("/v1/cases/{case}/contacts", 404, CONTACT),
    "POST /v1/cases/{case_id}/transition": Ask("/v1/cases/{case}/transition", 404, {"to": "acknowledged"}),
    "GET /v1/customers": listed("/v1/customers?q=" + CANARY[:9]),
    "GET /v1/customers/{customer_id}": Ask("/v1/customers/{customer}", 404),
    "PATCH /v1/customers/{customer_id}": Ask("/v1/customers/{customer}", 404, {"name": "mine"}),
    "DELETE /v1/customers/{customer_id}": Ask("/v1/customers/{customer}", 404),
    "GET /v1/customers/{customer_id}/score": Ask("/v1/customers/{customer}/score", 404),
    "GET /v1/customers/{customer_id}/score/history": Ask("/v1/customers/{customer}/score/history", 404),
    "GET /v1/customers/{customer_id}/timeline": Ask("/v1/customers/{customer}/timeline", 404),
    "GET /v1/events": listed("/v1/events"),
    "GET /v1/jobs/{job_id}": Ask("/v1/jobs/{job}", 404),
    "GET /v1/kpis/{metric}": Ask("/v1/kpis/nps?by=moment", 200, data=0),
    "GET /v1/mention_counts": Ask("/v1/mention_counts?by=site", 200, data=0),
    "GET /v1/mentions": listed("/v1/mentions?customer_id={customer}"),
    "GET /v1/mentions/{mention_id}": Ask("/v1/mentions/{mention}", 404),
    "GET /v1/responses": listed("/v1/responses?customer_id={customer}"),
    "GET /v1/responses/{response_id}": Ask("/v1/responses/{response}", 404),
    "GET /v1/suppressions": listed("/v1/suppressions"),
    "GET /v1/surveys": listed("/v1/surveys"),
    "GET /v1/surveys/{key}": Ask("/v1/surveys/{survey}", 404),
    "DELETE /v1/surveys/{key}": Ask("/v1/surveys/{survey}", 404),
}
"""Operations that find nothing under the neighbour's ids."""

ACTIVITY = {"activity_id": "{activity}", "customer_id": "{customer}", "type": "purchase.completed"}
RESPONSE = {"response_id": "{response}", "customer_id": "{customer}", "metric": "nps", "score": 9}
MENTION = {"mention_id": "{mention}", "customer_id": "{customer}", "text": "mine"}
AT = {"occurred_at": ago(hours=2)}

FREE = {
    "PUT /v1/customers/{customer_id}": Ask("/v1/customers/{customer}", 201, {"name": "mine"}),
    "PUT /v1/surveys/{key}": Ask("/v1/surveys/{survey}", 201, {"metric": "csat"}),
    "POST /v1/activities": Ask("/v1/activities", 201, ACTIVITY | AT),
    "POST /v1/responses": Ask("/v1/responses", 201, RESPONSE | AT),
    "POST /v1/mentions": Ask("/v1/mentions", 201, MENTION | AT),
    "POST /v1/activities/batch": Ask("/v1/activities/batch", 200, {"items": [ACTIVITY | AT]}, "stored"),
    "POST /v1/responses/batch": Ask("/v1/responses/batch", 200, {"items": [RESPONSE | AT]}, "stored"),
    "POST /v1/mentions/batch": Ask("/v1/mentions/batch", 200, {"items": [MENTION | AT]}, "stored"),
    "POST /v1/customers/batch": Ask("/v1/customers/batch", 200, {"items": [{"customer_id": "{customer}"}]}, "created"),
    "POST /v1/api_keys": Ask("/v1/api_keys", 201, {"name": "mine", "scopes": ["profile:read"]}),
    "POST /v1/scoring/replay": Ask("/v1/scoring/replay", 202),
}
"""Operations under which the neighbour's ids are free for everybody else to take."""

OWN = {"GET /v1/api_keys", "GET /healthz", "GET /readyz"}
"""Operations that take no id of anybody's."""

PAGED = (
    "/v1/activities", "/v1/api_keys", "/v1/audit", "/v1/cases", "/v1/customers", "/v1/events", "/v1/mentions",
    "/v1/responses", "/v1/suppressions", "/v1/surveys",
)  # fmt: skip


def filled(template: Any, ids: dict[str, str]) -> Any:
    """Put the neighbour's ids where a path or a body names them."""
    if isinstance(template, dict):
        return {name: filled(value, ids) for name, value in template.items()}
    if isinstance(template, list):
        return [filled(value, ids) for value in template]
    return template.format(**ids) if isinstance(template, str) else template


@dataclass
class Neighbour:
    """The other tenant: much of everything, all of it canaries."""

    client: httpx.AsyncClient
    tenant: uuid.UUID
    ids: dict[str, str] = field(default_factory=dict)

    async def send(self, method: str, path: str, body: Any = None) -> Any:
        reply = await self.client.request(method, path, json=body)
        assert reply.is_success, reply.text
        return reply.json()

    async def settle_in(self) -> None:
        """Make two of everything, so that every list has a second page."""
        customer, survey = f"{CANARY}-c1", f"{CANARY}-s1"
        for number in (1, 2):
            await self.send("PUT", f"/v1/customers/{CANARY}-c{number}", FULL)
            await self.send("PUT", f"/v1/surveys/{CANARY}-s{number}", {"metric": "nps", "question": CANARY})
            of = {"customer_id": f"{CANARY}-c{number}", "occurred_at": ago(hours=number)}
            activity = {"activity_id": f"{CANARY}-a{number}", "type": "purchase.completed", "site": CANARY, **of}
            await self.send("POST", "/v1/activities", activity)
            unhappy = {"response_id": f"{CANARY}-r{number}", "survey": survey, "score": 1, "moment": CANARY, **of}
            await self.send("POST", "/v1/responses", unhappy | {"verbatim": CANARY})
            nobody = {"response_id": f"{CANARY}-n{number}", "metric": "nps", "score": 0, "occurred_at": ago(hours=1)}
            await self.send("POST", "/v1/responses", nobody)
            mention = {"mention_id": f"{CANARY}-m{number}", "text": CANARY, "author": CANARY, "site": CANARY, **of}
            await self.send("POST", "/v1/mentions", mention)
        key = await self.send("POST", "/v1/api_keys", {"name": CANARY, "scopes": ["profile:read"]})
        cases = await self.send("GET", f"/v1/cases?customer_id={customer}")
        self.ids = {name: f"{CANARY}-{name[0]}1" for name in ("customer", "activity", "response", "mention", "survey")}
        job = await self.send("POST", "/v1/scoring/replay")
        self.ids |= {"key": key["key_id"], "case": cases["data"][0]["case_id"], "job": job["job_id"]}


_DIGEST = "count(*) || ' ' || md5(coalesce(string_agg(t::text, '' order by t::text), ''))"


async def rows_of(world: Any, tenant: uuid.UUID) -> dict[str, str]:
    """Return a digest of all that a tenant has in every database, but for what delivery marks and due rows."""
    found = {}
    for service in SERVICES:
        conn = await world.connect(service, tenant)
        try:
            for table in await _tables(conn):
                found[f"{service}.{table}"] = await conn.fetchval(f"select {_DIGEST} from {table} t")
            found[f"{service}.outbox"] = await conn.fetchval("select count(*)::text from outbox")
        finally:
            await conn.close()
    return found


async def _tables(conn: asyncpg.Connection) -> list[str]:
    rows = await conn.fetch(
        """select relname from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace
           and not relispartition and relname not in ('migrations', 'inbox', 'outbox', 'timers')"""
    )
    return [row[0] for row in rows]


async def is_quiet(world: Any, tenant: uuid.UUID) -> bool:
    """Tell whether everything that a tenant did has had all its effects."""
    waiting = 0
    for service in SERVICES:
        conn = await world.connect(service, tenant)
        try:
            waiting += await conn.fetchval("select count(*) from outbox where published_at is null")
            waiting += await conn.fetchval("select count(*) from timers where due_at <= $1", clock.now())
        finally:
            await conn.close()
    js = await (await world.service("gateway")).deps.broker.jetstream()
    durables = await js.consumers_info(STREAM)
    return waiting == 0 and all(info.num_pending == info.num_ack_pending == 0 for info in durables)


@pytest.fixture(scope="module")
async def clients(world: Any) -> AsyncIterator[Any]:
    """Make a client of a fresh tenant: (client, tenant)."""
    async with AsyncExitStack() as exits:

        async def make() -> tuple[httpx.AsyncClient, uuid.UUID]:
            made = await world.new_tenant()
            address = (await world.service("gateway")).address
            headers = {"Authorization": f"Bearer {made['api_key']}"}
            client = httpx.AsyncClient(base_url=f"http://{address}", headers=headers, timeout=20)
            return await exits.enter_async_context(client), uuid.UUID(made["tenant_id"])

        yield make


@pytest.fixture(scope="module")
async def neighbour(clients: Any) -> Neighbour:
    """The tenant that nobody else may see."""
    made = Neighbour(*await clients())
    await made.settle_in()
    return made


@pytest.fixture(scope="module")
async def stranger(clients: Any) -> httpx.AsyncClient:
    """A tenant that has nothing and makes nothing."""
    client: httpx.AsyncClient = (await clients())[0]
    return client


async def ask(client: httpx.AsyncClient, operation: str, asked: Ask, ids: dict[str, str]) -> httpx.Response:
    method = operation.partition(" ")[0]
    return await client.request(method, filled(asked.path, ids), json=filled(asked.body, ids))


def held(body: Any) -> Any:
    """Return what an answer holds: the items of a list, the number of a figure, a job's id, nothing of a problem."""
    return body.get("data", body.get("n", body.get("job_id", body.get("total", {}).get("n"))))


async def test_every_route_has_its_case(stranger: httpx.AsyncClient) -> None:
    paths = (await stranger.get("/openapi.json")).json()["paths"]
    found = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert found == {*FOREIGN, *FREE, *OWN}


@pytest.mark.parametrize("operation", [name for name in FOREIGN if name.startswith("GET")])
async def test_the_neighbour_sees_its_own(neighbour: Neighbour, eventually: Any, operation: str) -> None:
    async def seen() -> bool:
        reply = await ask(neighbour.client, operation, FOREIGN[operation], neighbour.ids)
        return reply.status_code == 200 and (CANARY in reply.text or bool(held(reply.json())))

    assert await eventually(seen)


@pytest.mark.parametrize("operation", FOREIGN)
async def test_anothers_ids_lead_nowhere(neighbour: Neighbour, stranger: httpx.AsyncClient, operation: str) -> None:
    reply = await ask(stranger, operation, FOREIGN[operation], neighbour.ids)
    assert (reply.status_code, held(reply.json())) == (FOREIGN[operation].status, FOREIGN[operation].data)


@pytest.mark.parametrize("operation", FOREIGN)
async def test_no_answer_speaks_of_anothers(neighbour: Neighbour, stranger: httpx.AsyncClient, operation: str) -> None:
    reply = await ask(stranger, operation, FOREIGN[operation], neighbour.ids)
    assert CANARY not in f"{reply.text} {reply.headers}"


@pytest.mark.parametrize("operation", [name for name, asked in FOREIGN.items() if asked.status == 404])
async def test_anothers_id_answers_as_one_that_never_was(
    neighbour: Neighbour, stranger: httpx.AsyncClient, operation: str
) -> None:
    never = {name: f"never-{name}" for name in neighbour.ids}
    replies = [await ask(stranger, operation, FOREIGN[operation], ids) for ids in (neighbour.ids, never)]
    assert len({(reply.status_code, reply.json()["code"], reply.json()["detail"]) for reply in replies}) == 1


@pytest.mark.parametrize("path", PAGED)
async def test_anothers_cursor_is_refused(neighbour: Neighbour, stranger: httpx.AsyncClient, path: str) -> None:
    cursor = (await neighbour.send("GET", f"{path}?limit=1"))["next_cursor"]
    reply = await stranger.get(f"{path}?limit=1&cursor={cursor}")
    assert (reply.status_code, reply.json()["code"]) == (400, "CURSOR_INVALID")


async def test_the_neighbours_keys_are_not_listed(neighbour: Neighbour, stranger: httpx.AsyncClient) -> None:
    reply = await stranger.get("/v1/api_keys")
    assert neighbour.ids["key"] not in reply.text


async def test_an_answer_to_the_neighbours_survey_is_refused(neighbour: Neighbour, stranger: httpx.AsyncClient) -> None:
    answer = {"response_id": "mine", "survey": neighbour.ids["survey"], "score": 9, **AT}
    reply = await stranger.post("/v1/responses", json=answer)
    assert reply.json()["code"] == "SURVEY_UNKNOWN"


@pytest.mark.parametrize("operation", FREE)
async def test_anothers_ids_are_free_to_take(neighbour: Neighbour, clients: Any, operation: str) -> None:
    client, _ = await clients()
    reply = await ask(client, operation, FREE[operation], neighbour.ids)
    counted = reply.json().get(FREE[operation].data, 1)
    assert (reply.status_code, counted) == (FREE[operation].status, 1)


async def test_the_same_idempotency_key_is_anothers_own(clients: Any) -> None:
    body = {"name": "k", "scopes": ["profile:read"]}
    pairs = [await clients(), await clients()]
    replies = [await client.post("/v1/api_keys", json=body, headers={"Idempotency-Key": "k-1"}) for client, _ in pairs]
    assert [reply.status_code for reply in replies] == [201, 201]
    assert len({reply.json()["key"] for reply in replies}) == 2


async def test_no_header_names_the_tenant(neighbour: Neighbour, stranger: httpx.AsyncClient) -> None:
    headers = {"X-Plaudit-Tenant": str(neighbour.tenant)}
    reply = await stranger.get(f"/v1/customers/{neighbour.ids['customer']}", headers=headers)
    assert reply.status_code == 404


async def test_the_feed_tells_each_tenant_its_own(neighbour: Neighbour, clients: Any, eventually: Any) -> None:
    client, _ = await clients()
    await client.put("/v1/customers/mine", json={"name": "mine"})

    async def told() -> Any:
        return (await client.get("/v1/events")).json()["data"]

    assert [event["data"]["customer_id"] for event in await eventually(told)] == ["mine"]


async def test_nobody_changes_anything_of_anothers(
    world: Any, neighbour: Neighbour, clients: Any, eventually: Any
) -> None:
    await eventually(lambda: is_quiet(world, neighbour.tenant), 20)
    before = await rows_of(world, neighbour.tenant)
    client, tenant = await clients()
    for operation, asked in (FOREIGN | FREE).items():
        await ask(client, operation, asked, neighbour.ids)
    await eventually(lambda: is_quiet(world, tenant), 20)
    assert await rows_of(world, neighbour.tenant) == before
