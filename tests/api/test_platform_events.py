"""The public event feed: every public fact once, in an order that never shows anything behind a cursor."""

import asyncio
import json

import pytest


async def feed(api, **params):
    reply = await api.get("/v1/events", params=params)
    assert reply.status_code == 200, reply.text
    return reply.json()


@pytest.fixture
def seen(api, eventually):
    """Wait until the feed shows so many events of some types, and return them."""

    async def wait(count, types=None):
        async def enough():
            found = (await feed(api, limit=200, **({"types": types} if types else {})))["data"]
            return found if len(found) >= count else None

        return await eventually(enough)

    return wait


async def test_an_empty_feed_has_a_cursor(api):
    page = await feed(api)
    assert page["data"] == []
    assert page["next_cursor"]


async def test_an_answer_and_its_case_are_shown(api, good, seen):
    await api.post("/v1/responses", json=good("responses", score=2, occurred_at="2026-11-21T00:00:00Z"))
    (received,) = await seen(1, "response.received")
    assert received["type"] == "response.received"
    assert received["data"]["response_id"] == "resp-1"
    assert received["data"]["customer_id"] == "cust-1"
    assert received["data"]["score"] == 2


async def test_nothing_that_a_person_typed_is_shown(api, good, seen):
    await api.post("/v1/responses", json=good("responses", verbatim="canary words"))
    assert "canary" not in json.dumps(await seen(1))


async def test_a_customer_that_changed_is_shown(api, seen):
    await api.put("/v1/customers/cust-9", json={"name": "Canary Simulated 1"})
    (changed, *_) = await seen(1, "customer.changed")
    assert changed["data"]["customer_id"] == "cust-9"
    assert "Canary" not in json.dumps(changed)


async def test_pages_miss_and_repeat_nothing(api, good, seen):
    for i in range(12):
        await api.post("/v1/responses", json=good("responses", response_id=f"r-{i}", customer_id=None))
    await seen(12, "response.received")
    found, cursor = [], None
    for _ in range(5):
        page = await feed(api, limit=5, types="response.received", **({"cursor": cursor} if cursor else {}))
        found += [event["data"]["response_id"] for event in page["data"]]
        cursor = page["next_cursor"]
    assert sorted(found) == sorted(f"r-{i}" for i in range(12))


async def test_a_cursor_at_the_end_goes_on_from_there(api, good, seen):
    await api.post("/v1/responses", json=good("responses"))
    await seen(1, "response.received")
    end = (await feed(api, limit=200))["next_cursor"]
    await api.post("/v1/responses", json=good("responses", response_id="later"))
    await seen(2, "response.received")
    later = await feed(api, cursor=end, types="response.received")
    assert [event["data"]["response_id"] for event in later["data"]] == ["later"]


async def test_each_tenant_sees_its_own_feed(api, client, good, seen):
    await api.post("/v1/responses", json=good("responses"))
    await seen(1)
    other = await client()
    assert (await feed(other))["data"] == []
    reply = await other.get("/v1/events", params={"cursor": (await feed(api))["next_cursor"]})
    assert reply.status_code == 400


@pytest.mark.parametrize("types", ["", "nonsense", "case.opened,nonsense", "case.*"])
async def test_an_unknown_type_is_422(api, problem, types):
    problem(await api.get("/v1/events", params={"types": types}), 422, "EVENT_TYPE_UNKNOWN", "?types")


async def test_a_type_that_nothing_tells_of_yet_may_be_asked_for(api):
    page = (await api.get("/v1/events", params={"types": "rung.changed,reward.issued"})).json()
    assert page["data"] == []
    assert page["next_cursor"]


async def test_the_feed_can_be_followed(api, good):
    async with api.stream("GET", "/v1/events", headers={"Accept": "text/event-stream"}) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        posting = asyncio.create_task(api.post("/v1/responses", json=good("responses", customer_id=None)))
        found = {}
        async with asyncio.timeout(10):
            async for line in reply.aiter_lines():
                name, _, value = line.partition(": ")
                found[name] = value
                if name == "data":
                    break
        await posting
    assert found["event"] == "response.received"
    assert json.loads(found["data"])["data"]["response_id"] == "resp-1"
    assert (await feed(api, cursor=found["id"]))["data"] == []


async def test_a_revoked_key_follows_no_longer(api, client):
    made = (await api.post("/v1/api_keys", json={"name": "n", "scopes": ["platform:read"]})).json()
    limited = await client(made["key"])
    async with limited.stream("GET", "/v1/events", headers={"Accept": "text/event-stream"}) as reply:
        assert (await api.delete(f"/v1/api_keys/{made['key_id']}")).status_code == 204
        async with asyncio.timeout(5):
            assert [line async for line in reply.aiter_lines() if line] == [": follows"]
