"""API keys: shown once, limited to their scopes, useless soon after they are revoked."""

import time

import pytest

from services.gateway.edge import keys

PATH = "/v1/api_keys"


async def make(api, **fields):
    reply = await api.post(PATH, json={"name": "n", "scopes": ["platform:read"], **fields})
    assert reply.status_code == 201, reply.text
    return reply.json()


async def test_a_key_is_shown_once(api):
    made = await make(api, scopes=["profile:read", "platform:read"])
    assert made["key"].startswith("pl_live_" + made["key_id"])
    assert made["scopes"] == ["platform:read", "profile:read"]
    listed = (await api.get(PATH)).json()["data"]
    assert made["key_id"] in [key["key_id"] for key in listed]
    assert all("key" not in key for key in listed)
    assert made["key"][16:] not in (await api.get(PATH)).text


async def test_a_new_key_opens_what_its_scopes_allow(api, client, problem):
    limited = await client((await make(api))["key"])
    assert (await limited.get("/v1/events")).status_code == 200
    refused = problem(await limited.get(PATH), 403, "SCOPE_MISSING")
    assert refused["scope"] == "keys:write"


async def test_nobody_grants_what_they_lack(api, client, problem):
    limited = await client((await make(api, scopes=["keys:write", "platform:read"]))["key"])
    reply = await limited.post(PATH, json={"name": "n", "scopes": ["profile:write"]})
    assert problem(reply, 403, "SCOPE_MISSING")["scope"] == "profile:write"


async def test_a_revoked_key_is_useless_within_five_seconds(api, client, eventually):
    made = await make(api)
    limited = await client(made["key"])
    assert (await limited.get("/v1/events")).status_code == 200
    assert (await api.delete(f"{PATH}/{made['key_id']}")).status_code == 204
    started = time.monotonic()

    async def refused():
        return (await limited.get("/v1/events")).status_code == 401

    await eventually(refused, 5)
    assert time.monotonic() - started <= 5
    assert (await api.delete(f"{PATH}/{made['key_id']}")).status_code == 204


async def test_an_expired_key_is_useless(api, problem):
    reply = await api.post(PATH, json={"name": "n", "scopes": ["platform:read"], "expires_at": "2020-01-01T00:00:00Z"})
    problem(reply, 422, "TIME_OUT_OF_RANGE", "/expires_at")


async def test_a_rotated_key_may_live_on_beside_the_new_one(api, client):
    made = await make(api)
    reply = await api.post(f"{PATH}/{made['key_id']}/rotate", json={"overlap_seconds": 3600})
    assert reply.status_code == 201, reply.text
    assert reply.json()["scopes"] == made["scopes"]
    for key in (made["key"], reply.json()["key"]):
        assert (await (await client(key)).get("/v1/events")).status_code == 200


async def test_a_rotated_key_ends_at_once_without_overlap(api, client, problem):
    made = await make(api)
    assert (await api.post(f"{PATH}/{made['key_id']}/rotate", json={})).status_code == 201
    problem(await (await client(made["key"])).get("/v1/events"), 401, "UNAUTHENTICATED")


async def test_a_key_is_rotated_without_a_body(api, client, problem):
    made = await make(api)
    problem(await api.post(f"{PATH}/{made['key_id']}/rotate", content=b"x"), 415, "CONTENT_TYPE_UNSUPPORTED")
    reply = await api.post(f"{PATH}/{made['key_id']}/rotate")
    assert reply.status_code == 201, reply.text
    assert (await (await client(reply.json()["key"])).get("/v1/events")).status_code == 200
    problem(await api.post(PATH), 415, "CONTENT_TYPE_UNSUPPORTED")


async def test_an_idempotency_key_makes_one_key(api, problem):
    headers = {"Idempotency-Key": "once"}
    body = {"name": "n", "scopes": ["platform:read"]}
    first = await api.post(PATH, json=body, headers=headers)
    again = await api.post(PATH, json=body, headers=headers)
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    other = await api.post(PATH, json={**body, "name": "m"}, headers=headers)
    problem(other, 422, "IDEMPOTENCY_KEY_REUSED")


async def test_keys_without_an_idempotency_key_are_each_their_own(api):
    assert (await make(api))["key"] != (await make(api))["key"]


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"scopes": []}, "SCOPE_UNKNOWN", "/scopes"),
        ({"scopes": ["root"]}, "SCOPE_UNKNOWN", "/scopes/0"),
        ({"scopes": "platform:read"}, "TYPE_INVALID", "/scopes"),
        ({"name": ""}, "BLANK", "/name"),
        ({"name": "a\u202eb"}, "TEXT_INVALID", "/name"),
        ({"key_id": "x"}, "FIELD_UNKNOWN", "/key_id"),
        ({"expires_at": "2030-01-01"}, "TIME_INVALID", "/expires_at"),
    ],
)
async def test_a_wrong_key_is_422(api, problem, fields, code, pointer):
    body = {"name": "n", "scopes": ["platform:read"], **fields}
    problem(await api.post(PATH, json=body), 422, code, pointer)


async def test_an_unknown_key_is_404(api, problem):
    problem(await api.delete(f"{PATH}/nothing"), 404, "API_KEY_NOT_FOUND")
    problem(await api.post(f"{PATH}/nothing/rotate", json={}), 404, "API_KEY_NOT_FOUND")


async def test_another_tenants_key_is_404(api, client, problem):
    made = await make(await client())
    problem(await api.delete(f"{PATH}/{made['key_id']}"), 404, "API_KEY_NOT_FOUND")
    assert made["key_id"] not in (await api.get(PATH)).text


async def test_keys_come_in_pages(api, client, problem):
    for _ in range(3):
        await make(api)
    first = (await api.get(PATH, params={"limit": 2})).json()
    rest = (await api.get(PATH, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert (len(first["data"]), len(rest["data"]), rest["next_cursor"]) == (2, 2, None)
    cursor = first["next_cursor"]
    for wrong in ("", cursor[:-2], cursor[:-1] + ("A" if cursor[-1] != "A" else "B"), "x" * 5000, "é"):
        problem(await api.get(PATH, params={"cursor": wrong}), 400, "CURSOR_INVALID", "?cursor")
    problem(await (await client()).get(PATH, params={"cursor": cursor}), 400, "CURSOR_INVALID")


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1.5", ""])
async def test_a_limit_is_at_least_one(api, problem, limit):
    problem(await api.get(PATH, params={"limit": limit}), 422, None, "?limit")


async def test_a_limit_over_200_reads_as_200(api):
    assert (await api.get(PATH, params={"limit": 100_000})).status_code == 200


async def test_an_unknown_parameter_is_refused(api, problem):
    problem(await api.get(PATH, params={"sort": "digest"}), 422, "FIELD_UNKNOWN", "?sort")


def other_check(key):
    return key[:-1] + ("0" if key[-1] != "0" else "1")


BAD = {
    "none": lambda _: None,
    "empty": lambda _: "",
    "no scheme": lambda key: key,
    "basic": lambda key: f"Basic {key}",
    "garbage": lambda _: "Bearer garbage",
    "wrong checksum": lambda key: f"Bearer {other_check(key)}",
    "unknown": lambda _: f"Bearer {keys.generate(live=True)[0]}",
    "other environment": lambda key: f"Bearer {key.replace('pl_live_', 'pl_test_')}",
    "20 kB": lambda _: "Bearer " + "a" * 20_000,
    "a token of another kind": lambda _: "Bearer eyJhbGciOiJub25lIn0.e30.",
}


@pytest.mark.parametrize("case", BAD)
async def test_a_bad_key_is_401_everywhere(api, good, problem, case):
    value = BAD[case](api.headers["authorization"].removeprefix("Bearer "))
    headers = {"Authorization": value} if value is not None else {"Authorization": ""}
    for reply in (
        await api.get("/v1/events", headers=headers),
        await api.post("/v1/activities", json=good("activities"), headers=headers),
        await api.post("/v1/activities/batch", json={"items": [good("activities")]}, headers=headers),
    ):
        problem(reply, 401, "UNAUTHENTICATED")
        assert reply.headers["www-authenticate"].startswith("Bearer")
    assert (await api.get("/v1/activities/act-1")).status_code == 404


async def test_two_authorization_headers_are_401(api, problem):
    value = api.headers["authorization"]
    problem(await api.get("/v1/events", headers=[("Authorization", value), ("Authorization", value)]), 401)


async def test_every_operation_refuses_a_caller_without_a_key(api):
    document = (await api.get("/openapi.json")).json()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            target = path.replace("{", "x").replace("}", "x")
            reply = await api.request(method, target, headers={"Authorization": ""}, json={})
            assert (reply.status_code == 401) is (operation["x-scope"] != "public"), (method, path)


async def test_every_operation_refuses_a_key_without_its_scope(api, client):
    document = (await api.get("/openapi.json")).json()
    scopes = {op["x-scope"] for path in document["paths"].values() for op in path.values()} - {"public"}
    limited = {scope: await client((await make(api, scopes=[scope]))["key"]) for scope in sorted(scopes)}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            needed = operation["x-scope"]
            other = next(scope for scope in limited if scope != needed)
            if needed == "public":
                continue
            reply = await limited[other].request(method, path.replace("{", "x").replace("}", "x"), json={})
            assert (reply.status_code, reply.json()["scope"]) == (403, needed), (method, path)


async def test_a_test_tenants_key_says_so(world, client):
    made = await world.new_tenant(is_test=True)
    assert made["api_key"].startswith("pl_test_")
    api = await client(made["api_key"])
    assert (await make(api))["key"].startswith("pl_test_")
