"""One fact a request: stored once for ever, answered with the record as it is kept."""

import asyncio

import pytest

KINDS = ["activities", "responses", "mentions"]
ID_OF = {"activities": "activity_id", "responses": "response_id", "mentions": "mention_id"}


@pytest.mark.parametrize("plural", KINDS)
async def test_a_new_fact_is_201_with_its_record(api, good, plural):
    reply = await api.post(f"/v1/{plural}", json=good(plural))
    assert reply.status_code == 201, reply.text
    body = reply.json()
    assert body["duplicate"] is False
    assert body["received_at"].endswith("Z")
    assert {name: body[name] for name in good(plural)} == good(plural)


@pytest.mark.parametrize("plural", KINDS)
async def test_the_same_fact_again_is_200(api, good, plural):
    first = (await api.post(f"/v1/{plural}", json=good(plural))).json()
    again = await api.post(f"/v1/{plural}", json=good(plural))
    assert again.status_code == 200
    assert again.json() == {**first, "duplicate": True}


@pytest.mark.parametrize("plural", KINDS)
async def test_the_same_id_with_other_content_is_409(api, good, problem, plural):
    await api.post(f"/v1/{plural}", json=good(plural))
    other = good(plural, occurred_at="2026-01-03T03:04:05Z")
    problem(await api.post(f"/v1/{plural}", json=other), 409, "ID_REUSED")


@pytest.mark.parametrize("plural", KINDS)
async def test_a_fact_can_be_read_back(api, good, plural):
    made = (await api.post(f"/v1/{plural}", json=good(plural))).json()
    found = await api.get(f"/v1/{plural}/{made[ID_OF[plural]]}")
    assert found.status_code == 200, found.text
    assert {name: found.json()[name] for name in good(plural)} == good(plural)


async def test_absent_fields_are_null_in_the_record(api, good):
    body = (await api.post("/v1/activities", json=good("activities"))).json()
    assert body["channel"] is None
    assert body["amount"] is None
    assert body["properties"] is None


@pytest.mark.parametrize(
    "same",
    [
        {"occurred_at": "2026-01-02T04:04:05+01:00"},
        {"occurred_at": "2026-01-02T03:04:05.000Z"},
        {"channel": None},
        {"properties": {"b": 1, "a": {"c": None}}},
        {"properties": {"b": 1.0, "a": {}}},
    ],
)
async def test_what_says_the_same_is_a_repeat(api, good, same):
    base = good("activities", properties={"a": {}, "b": 1}) if "properties" in same else good("activities")
    await api.post("/v1/activities", json=base)
    again = await api.post("/v1/activities", json={**base, **same})
    assert again.json().get("duplicate") is True, again.text


async def test_a_null_customer_is_allowed_for_answers(api, good):
    reply = await api.post("/v1/responses", json=good("responses", customer_id=None))
    assert reply.status_code == 201
    assert reply.json()["customer_id"] is None


async def test_what_an_answer_leaves_open_is_filled_in(api, good):
    body = (await api.post("/v1/responses", json=good("responses"))).json()
    assert body["scale"] == "0-10"
    assert body["kind"] == "relationship"


async def test_a_score_of_zero_is_an_answer(api, good):
    body = (await api.post("/v1/responses", json=good("responses", score=0))).json()
    assert body["score"] == 0


async def test_text_is_kept_as_it_was_written(api, good):
    text = "👩‍👩‍👧 <script>alert(1)</script> {{7*7}} ${jndi:ldap://x} \u202e مرحبا %s%n"
    body = (await api.post("/v1/mentions", json=good("mentions", text=text))).json()
    assert body["text"] == text


async def test_text_is_normalised(api, good):
    body = (await api.post("/v1/mentions", json=good("mentions", text="Cafe\u0301"))).json()
    assert body["text"] == "Caf\u00e9"


async def test_many_at_once_are_each_stored_once(api, good):
    posts = [api.post("/v1/activities", json=good("activities", activity_id=f"act-{i % 20}")) for i in range(60)]
    statuses = [reply.status_code for reply in await asyncio.gather(*posts)]
    assert sorted(set(statuses)) == [200, 201]
    assert statuses.count(201) == 20


async def test_an_idempotency_key_is_checked_for_form_only(api, good, problem):
    path = "/v1/activities"
    assert (await api.post(path, json=good("activities"), headers={"Idempotency-Key": "k1"})).status_code == 201
    other = good("activities", activity_id="act-2")
    assert (await api.post(path, json=other, headers={"Idempotency-Key": "k1"})).status_code == 201
    reply = await api.post(path, json=other, headers={"Idempotency-Key": "x" * 256})
    problem(reply, 400, "IDEMPOTENCY_KEY_INVALID")


async def test_the_framework_answers_as_the_fast_route_does(api, good, world):
    """The same handler is mounted in the application; without the shortcut it says the same."""
    gateway = await world.service("gateway")
    edge = gateway.service.app
    fast = dict(edge._fast)
    edge._fast.clear()
    try:
        slow = await api.post("/v1/activities", json=good("activities"))
        refused = await api.post("/v1/activities", json=good("activities", nonsense=1))
    finally:
        edge._fast.update(fast)
    again = await api.post("/v1/activities", json=good("activities"))
    refused_again = await api.post("/v1/activities", json=good("activities", nonsense=1))
    assert slow.status_code == 201, slow.text
    assert again.json() == {**slow.json(), "duplicate": True}
    assert set(slow.headers) == set(again.headers)
    assert {**refused.json(), "request_id": ""} == {**refused_again.json(), "request_id": ""}
