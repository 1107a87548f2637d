"""Replays and jobs over HTTP."""

import uuid
from datetime import timedelta

import pytest

from libs.common import clock, tenancy, timers


@pytest.fixture
async def database(world):
    return (await world.service("scoring")).deps.db


@pytest.fixture
async def made(world):
    return await world.new_tenant()


@pytest.fixture
async def tenant(made):
    return uuid.UUID(made["tenant_id"])


@pytest.fixture
async def api(client, made):
    return await client(made["api_key"])


@pytest.fixture
def ended(api, eventually):
    """Follow a job to its end."""

    async def follow(job_id):
        async def look():
            job = (await api.get(f"/v1/jobs/{job_id}")).json()
            return job if job["state"] in {"done", "failed"} else None

        return await eventually(look)

    return follow


@pytest.fixture
def replayed(api, ended):
    """Replay the scores, and return the job at its end."""

    async def replay():
        return await ended((await api.post("/v1/scoring/replay")).json()["job_id"])

    return replay


@pytest.fixture
def told(database, tenant):
    """Read (value, version) of what was told of a customer."""

    async def read():
        async with tenancy.hot(database, tenant) as conn:
            return await conn.fetchrow("select value_micros, version from scores where customer_id = 'c1'")

    return read


@pytest.fixture
async def scored(api, told, eventually):
    """One customer with a score, one without."""
    at = (clock.now() - timedelta(minutes=1)).isoformat()
    answer = {"response_id": "r1", "customer_id": "c1", "metric": "nps", "score": 9, "occurred_at": at}
    assert (await api.post("/v1/responses", json=answer)).status_code == 201
    assert (await api.put("/v1/customers/c2", json={})).status_code == 201

    async def known():
        return (await api.get("/v1/customers/c2/score")).status_code == 200 and await told()

    assert tuple(await eventually(known)) == (70_000_000, 1)


async def test_a_replay_is_a_job_that_its_location_follows(api, scored, children, ended):
    reply = await api.post("/v1/scoring/replay")
    assert reply.status_code == 202
    job_id = reply.json()["job_id"]
    assert job_id.startswith("job_")
    assert reply.headers["location"] == f"/v1/jobs/{job_id}"
    assert set((await api.get(reply.headers["location"])).json()) == {
        "job_id",
        "state",
        "progress",
        "result",
        "problem",
    }
    assert await ended(job_id) == {
        "job_id": job_id,
        "state": "done",
        "progress": 1,
        "result": {"customers": 2, "changed": 0},
        "problem": None,
    }


async def test_a_replay_mends_what_was_told_wrongly_by_however_little(
    api, database, tenant, scored, children, replayed, told
):
    async with tenancy.hot(database, tenant) as conn:
        await conn.execute("update scores set value_micros = value_micros - 1")
    assert (await replayed())["result"] == {"customers": 2, "changed": 1}
    assert tuple(await told()) == (70_000_000, 2)
    assert (await replayed())["result"] == {"customers": 2, "changed": 0}


async def test_a_replay_tells_anew_of_what_was_never_told(api, database, tenant, scored, children, replayed, told):
    async with tenancy.hot(database, tenant) as conn:
        await conn.execute("update scores set value_micros = null, satisfaction_micros = 0")
        await conn.execute("delete from timers where tenant_id = $1", tenant)
    assert (await replayed())["result"]["changed"] == 1
    assert tuple(await told()) == (70_000_000, 2)


async def test_the_next_look_is_due_where_none_was(database, tenant, scored, children, replayed):
    async with tenancy.hot(database, tenant) as conn:
        await conn.execute("update scores set value_micros = null")
        await conn.execute("delete from timers where tenant_id = $1", tenant)
    await replayed()
    async with tenancy.hot(database, tenant) as conn:
        days = [str(row["moves_on"]) for row in await conn.fetch("select moves_on from scores")]
        assert [row["id"] for row in await conn.fetch("select id from timers where kind = 'drift'")] == days


async def test_the_same_key_is_the_same_job(api):
    headers = {"Idempotency-Key": "k-1"}
    replies = [await api.post("/v1/scoring/replay", headers=headers) for _ in range(2)]
    assert len({reply.json()["job_id"] for reply in replies}) == 1
    assert ["idempotent-replayed" in reply.headers for reply in replies] == [False, True]


async def test_a_body_may_be_empty_but_says_nothing(api, problem):
    assert (await api.post("/v1/scoring/replay", json={})).status_code == 202
    problem(await api.post("/v1/scoring/replay", json={"as_of": "2026"}), 422, "FIELD_UNKNOWN", "/as_of")
    problem(await api.post("/v1/scoring/replay", json=[]), 422, "TYPE_INVALID")


async def test_a_job_with_a_bug_has_a_problem_that_quotes_nothing(api, database, tenant, children, ended):
    async with tenancy.hot(database, tenant) as conn:
        job_id = await timers.start_job(conn, tenant, "Ann Smith", {})
    job = await ended(job_id)
    assert (job["state"], job["result"]) == ("failed", None)
    assert (job["problem"]["code"], job["problem"]["status"], job["problem"]["errors"]) == ("JOB_FAILED", 500, [])
    assert "Ann" not in str(job)


@pytest.mark.parametrize("job_id", ["job_1", "nothing"])
async def test_an_unknown_job_is_404(api, problem, job_id):
    problem(await api.get(f"/v1/jobs/{job_id}"), 404, "JOB_NOT_FOUND")


async def test_anothers_job_is_404(api, client, problem):
    job_id = (await api.post("/v1/scoring/replay")).json()["job_id"]
    problem(await (await client()).get(f"/v1/jobs/{job_id}"), 404, "JOB_NOT_FOUND")


async def test_scopes_are_needed(api, client, problem):
    key = (await api.post("/v1/api_keys", json={"name": "k", "scopes": ["scoring:read"]})).json()["key"]
    other = await client(key)
    assert problem(await other.post("/v1/scoring/replay"), 403, "SCOPE_MISSING")["scope"] == "scoring:write"
    assert problem(await other.get("/v1/jobs/job_1"), 403, "SCOPE_MISSING")["scope"] == "platform:read"
