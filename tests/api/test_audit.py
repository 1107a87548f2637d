"""Who did what: one list from every service, newest first."""

from datetime import datetime

import pytest


@pytest.fixture
async def done(api):
    """Change something in every service that keeps anything, and return (action, kind, id) of each, newest first."""
    await api.put("/v1/customers/c1", json={"name": "Ann"})
    answer = {"response_id": "r1", "customer_id": "c1", "metric": "nps", "score": 1}
    await api.post("/v1/responses", json={**answer, "occurred_at": "2026-01-02T03:04:05Z"})
    await api.put("/v1/surveys/s1", json={"metric": "nps"})
    job_id = (await api.post("/v1/scoring/replay")).json()["job_id"]
    key_id = (await api.post("/v1/api_keys", json={"name": "k", "scopes": ["platform:read"]})).json()["key_id"]
    await api.delete("/v1/customers/c1")
    return [
        ("ArchiveCustomer", "customer", "c1"),
        ("CreateApiKey", "api_key", key_id),
        ("ReplayScores", "job", job_id),
        ("SaveSurvey", "survey", "s1"),
        ("SaveCustomer", "customer", "c1"),
    ]


@pytest.fixture
def listed(api):
    async def get(**query):
        reply = await api.get("/v1/audit", params=query)
        assert reply.status_code == 200, reply.text
        return reply.json()

    return get


def what(page):
    return [(entry["action"], entry["subject"]["kind"], entry["subject"]["id"]) for entry in page["data"]]


async def test_every_service_says_what_was_done_newest_first(listed, done):
    assert what(await listed())[: len(done)] == done


async def test_an_entry_says_who_and_when_and_in_which_request(api, listed):
    key_id = (await api.get("/v1/api_keys")).json()["data"][0]["key_id"]
    reply = await api.put("/v1/customers/c1", json={"name": "Ann"})
    entry = (await listed())["data"][0]
    assert set(entry) == {"audit_id", "at", "actor", "request_id", "action", "subject"}
    assert (entry["actor"], entry["request_id"]) == (key_id, reply.headers["request-id"])
    assert datetime.fromisoformat(entry["at"]).tzinfo is not None
    assert "Ann" not in str(entry)


async def test_pages_follow_each_other_without_a_gap_or_a_repeat(api, listed, done):
    whole = await listed()
    found, cursor = [], {}
    while True:
        page = await listed(limit=2, **cursor)
        found += page["data"]
        # What is written in the meantime moves nothing.
        await api.put("/v1/customers/c2", json={"name": f"n{len(found)}"})
        if page["next_cursor"] is None:
            break
        assert len(page["data"]) == 2
        cursor = {"cursor": page["next_cursor"]}
    assert found == whole["data"]


async def test_filters_narrow_it(api, listed, done):
    assert {entry[1] for entry in what(await listed(subject_kind="survey"))} == {"survey"}
    assert what(await listed(subject_id="c1")) == [done[0], done[-1]]
    assert what(await listed(subject_kind="survey", subject_id="c1")) == []
    key_id = (await api.get("/v1/api_keys")).json()["data"][0]["key_id"]
    assert what(await listed(actor="nobody")) == []
    assert set(done) <= set(what(await listed(actor=key_id)) + what(await listed()))


async def test_a_period_begins_inclusive_and_ends_exclusive(listed, done):
    entries = (await listed())["data"]
    middle = entries[2]["at"]
    assert (await listed(to=middle))["data"] == entries[3:]
    assert (await listed(**{"from": middle}))["data"] == entries[:3]


@pytest.mark.parametrize(
    ("query", "code", "pointer"),
    [
        ({"from": "2026-02-01", "to": "2026-01-01"}, "PERIOD_INVALID", "?to"),
        ({"limit": 0}, "OUT_OF_RANGE", "?limit"),
        ({"from": "yesterday"}, "TIME_INVALID", "?from"),
        ({"who": "me"}, "FIELD_UNKNOWN", "?who"),
        ({"actor": "a\0"}, "TEXT_INVALID", "?actor"),
    ],
)
async def test_a_wrong_query_is_422(api, problem, query, code, pointer):
    problem(await api.get("/v1/audit", params=query), 422, code, pointer)


async def test_it_needs_its_scope(api, client, problem):
    key = (await api.post("/v1/api_keys", json={"name": "k", "scopes": ["profile:read"]})).json()["key"]
    assert problem(await (await client(key)).get("/v1/audit"), 403, "SCOPE_MISSING")["scope"] == "platform:read"


async def test_another_tenants_changes_are_not_there(client, done):
    other = await client()
    assert not set(done) & set(what((await other.get("/v1/audit")).json()))
