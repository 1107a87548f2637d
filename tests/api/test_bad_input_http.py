"""What is wrong below the body: types, encodings, lengths, headers and bytes that are no HTTP."""

import asyncio
import json

import pytest

BODY = b'{"activity_id":"act-1","customer_id":"c","type":"purchase.completed","occurred_at":"2026-01-02T03:04:05Z"}'


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None, "json"]
)
async def test_another_content_type_is_415(api, problem, kind):
    headers = {"Content-Type": kind} if kind else {}
    for path in ("/v1/activities", "/v1/activities/batch", "/v1/api_keys"):
        problem(await api.post(path, content=BODY, headers=headers), 415, "CONTENT_TYPE_UNSUPPORTED")


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "application/vnd.partner+json", "APPLICATION/JSON"]
)
async def test_json_may_be_called_by_its_other_names(api, kind):
    assert (await api.post("/v1/activities", content=BODY, headers={"Content-Type": kind})).status_code == 201


async def test_a_compressed_body_is_415(api, problem):
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    problem(await api.post("/v1/activities", content=b"\x1f\x8b", headers=headers), 415, "CONTENT_ENCODING_UNSUPPORTED")


@pytest.mark.parametrize("path", ["/v1/activities", "/v1/activities/batch", "/v1/api_keys"])
async def test_a_body_over_1_mib_is_413(api, problem, path):
    content = b'"' + b"x" * (1024 * 1024) + b'"'
    problem(await api.post(path, content=content, headers={"Content-Type": "application/json"}), 413, "BODY_TOO_LARGE")


async def test_an_endless_body_is_413_before_its_end(api, problem):
    async def endless():
        for _ in range(800):
            yield b" " * 65_536

    reply = await api.post("/v1/activities/batch", content=endless(), headers={"Content-Type": "application/json"})
    problem(reply, 413, "BODY_TOO_LARGE")


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "clé".encode()])
async def test_a_malformed_idempotency_key_is_400(api, problem, key):
    body = {"name": "n", "scopes": ["platform:read"]}
    reply = await api.post("/v1/api_keys", json=body, headers={"Idempotency-Key": key})
    problem(reply, 400, "IDEMPOTENCY_KEY_INVALID")
    assert len((await api.get("/v1/api_keys")).json()["data"]) == 1


@pytest.mark.parametrize("value", ["00", "x" * 10_000, "00-zz-zz-01", "'; drop table customers"])
async def test_a_malformed_traceparent_is_dropped(api, value):
    headers = {"Content-Type": "application/json", "traceparent": value, "baggage": value}
    assert (await api.post("/v1/activities", content=BODY, headers=headers)).status_code == 201


@pytest.mark.parametrize(
    "name", ["%00", "..%2f..%2fetc", "a%20b", "%ff", "a" * 129, "jo@example.com", "' OR 1=1--", "%2500"]
)
async def test_a_strange_id_in_a_path_is_4xx(api, name):
    for path in ("/v1/activities/", "/v1/responses/", "/v1/customers/", "/v1/cases/"):
        reply = await api.get(path + name)
        assert 400 <= reply.status_code < 500, (path, name, reply.text)
        assert reply.headers["content-type"] == "application/problem+json"


async def raw(world, content):
    """Send bytes as they are, and return the status line's number; None where the connection just ends."""
    gateway = await world.service("gateway")
    host, _, port = gateway.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(content)
    await writer.drain()
    async with asyncio.timeout(10):
        line = await reader.readline()
    writer.close()
    return int(line.split()[1]) if line else None


HEAD = b"POST /v1/activities HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
NOT_HTTP = {
    "length and chunks": HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "a signed length": HEAD + b"Content-Length: +4\r\n\r\nhell",
    "strange chunks": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n",
    "a space before the colon": HEAD + b"X-A : b\r\n\r\n",
    "a chunk size that overflows": HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    "no http": b"hello\r\n\r\n",
    "a null byte": b"GET /v1/\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("content", NOT_HTTP.values(), ids=NOT_HTTP.keys())
async def test_bytes_that_are_no_http_are_4xx(world, content):
    assert await raw(world, content) in {400, 401, 404, 411, None}


async def test_a_long_url_is_no_5xx(world):
    status = await raw(world, b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status in {400, 404, 414}


async def test_a_non_ascii_key_is_401(world):
    assert await raw(world, b"GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer p\xc3\xa9\xff\r\n\r\n") == 401


@pytest.mark.parametrize("plural", ["activities", "responses", "mentions"])
@pytest.mark.parametrize(
    "value", [None, 0, 1.5, True, "", "a\0b", "\u202e", [], {}, [[]], {"$gt": ""}, 10**30, "x" * 40_000]
)
async def test_no_value_in_any_field_is_a_5xx(api, good, plural, value):
    document = (await api.get("/openapi.json")).json()
    reference = document["paths"][f"/v1/{plural}"]["post"]["requestBody"]["content"]["application/json"]["schema"][
        "$ref"
    ]
    fields = document["components"]["schemas"][reference.rpartition("/")[2]]["properties"]
    for field in fields:
        reply = await api.post(f"/v1/{plural}", content=json.dumps(good(plural, **{field: value})), headers=JSON)
        assert reply.status_code in {200, 201, 409, 422}, (field, reply.text)
        assert len(reply.content) <= 2048 or reply.status_code < 300


JSON = {"Content-Type": "application/json"}
