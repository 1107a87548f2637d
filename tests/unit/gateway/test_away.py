"""What callers see while the services behind the gateway are away, and when something breaks that nobody foresaw."""

import asyncio
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from libs.common import clock
from services.gateway import edge
from services.gateway.edge import keys
from services.gateway.service import application
from services.gateway.settings import Settings
from services.gateway.store import Key

PEPPER = "pepper of sixteen bytes"
ACTIVITY = {"activity_id": "a", "customer_id": "c", "type": "purchase.completed", "occurred_at": "2026-01-02T03:04:05Z"}


@pytest.fixture
def nowhere():
    """An address that refuses connections for as long as the test holds it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield "{}:{}".format(*held.getsockname())


class BrokenDatabase:
    """Fails in a way that nobody foresaw."""

    def __getattr__(self, name):
        raise ZeroDivisionError("canary")


@asynccontextmanager
async def gateway_over(database, nowhere) -> AsyncIterator[httpx.AsyncClient]:
    """Call a gateway whose services are away, over a store, with its one good key."""
    plain, key_id, secret = keys.generate(live=True)
    digest = keys.digest_of(PEPPER.encode(), secret)
    key = Key(uuid.uuid4(), key_id, "n", frozenset(edge.SCOPES), digest, clock.now(), None, None)

    async def find(_):
        return key, True

    settings = Settings(database_url="", pump_database_url="", service_credential="t", key_pepper=PEPPER)
    names = ("profile", "feedback", "referral", "scoring")
    peers = edge.Peers(dict.fromkeys(names, nowhere), "t", 0.5)
    gateway = edge.Gateway(
        settings=settings,
        db=database,
        keyring=edge.Keyring(find, PEPPER.encode(), 4),
        peers=peers,
        cursors=edge.Cursors(PEPPER.encode()),
        pepper=PEPPER.encode(),
        closing=asyncio.Event(),
    )
    transport = httpx.ASGITransport(application(gateway))
    headers = {"Authorization": f"Bearer {plain}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as client:
        yield client
    await peers.close()


@pytest.fixture
async def http(nowhere) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway whose services are away and whose store is broken."""
    async with gateway_over(BrokenDatabase(), nowhere) as client:
        yield client


def assert_away(reply):
    assert reply.status_code == 503, reply.text
    assert reply.headers["retry-after"] == "1"
    assert reply.json()["code"] in {"SERVICE_UNAVAILABLE", "DEADLINE_EXCEEDED"}
    assert "127.0.0.1" not in reply.text


async def test_a_read_is_503(http):
    assert_away(await http.get("/v1/activities/a"))


async def test_a_fact_is_503(http):
    assert_away(await http.post("/v1/activities", json=ACTIVITY))


async def test_a_batch_is_503(http):
    assert_away(await http.post("/v1/activities/batch", json={"items": [ACTIVITY]}))


async def test_lines_are_503(http):
    headers = {"Content-Type": "application/x-ndjson"}
    assert_away(
        await http.post(
            "/v1/mentions/batch", content=b'{"mention_id":"m","occurred_at":"2026-01-02T03:04:05Z"}', headers=headers
        )
    )


async def test_what_is_wrong_is_still_422(http):
    assert (await http.post("/v1/activities", json={**ACTIVITY, "type": 5})).status_code == 422


async def test_the_process_is_live_and_not_ready(world, nowhere):
    database = (await world.service("gateway")).deps.db
    async with gateway_over(database, nowhere) as http:
        assert (await http.get("/healthz")).status_code == 200
        reply = await http.get("/readyz")
    assert reply.status_code == 503
    assert reply.json()["parts"]["profile"] is False


async def test_what_nobody_foresaw_is_500_without_its_text(http):
    for reply in (await http.get("/v1/api_keys"), await http.get("/v1/events")):
        assert (reply.status_code, reply.json()["code"]) == (500, "INTERNAL")
        assert "canary" not in reply.text
        assert reply.json()["request_id"] == reply.headers["request-id"]
