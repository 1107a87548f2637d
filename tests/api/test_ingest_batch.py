"""Facts in bulk: a batch of JSON or a stream of lines, answered with counts; one bad item never costs the others."""

import asyncio
import json

import httpx
import pytest

NDJSON = {"Content-Type": "application/x-ndjson"}


def lines(items):
    return b"".join(json.dumps(item).encode() + b"\n" for item in items)


async def test_a_batch_counts_what_became_of_its_items(api, good):
    bad = good("activities", activity_id="act-bad", type=5)
    items = [good("activities"), good("activities"), bad, good("activities", activity_id="act-2")]
    reply = await api.post("/v1/activities/batch", json={"items": items})
    assert reply.status_code == 200, reply.text
    body = reply.json()
    assert (body["stored"], body["duplicates"], body["rejected_total"]) == (2, 1, 1)
    (rejection,) = body["rejected"]
    assert (rejection["index"], rejection["id"]) == (2, "act-bad")
    assert (rejection["code"], rejection["pointer"]) == ("TYPE_INVALID", "/type")


async def test_a_batch_says_of_an_item_what_a_single_post_says(api, good, client):
    items = [
        good("activities", type="nonsense"),
        good("activities", activity_id="a@b.example"),
        good("activities", occurred_at="2026-01-02T03:04:05"),
        good("activities", customer_id=...),
        good("activities", amount={"amount_minor": 1, "currency": "eur"}),
    ]
    rejected = (await api.post("/v1/activities/batch", json={"items": items})).json()["rejected"]
    other = await client()
    singles = [(await other.post("/v1/activities", json=item)).json() for item in items]
    assert [r["code"] for r in rejected] == [s["code"] for s in singles]
    assert [r["pointer"] for r in rejected] == [s["errors"][0]["pointer"] for s in singles]


async def test_a_batch_of_a_thousand_is_taken(api, good):
    items = [good("activities", activity_id=f"act-{i}") for i in range(1000)]
    body = (await api.post("/v1/activities/batch", json={"items": items})).json()
    assert body == {"stored": 1000, "duplicates": 0, "rejected": [], "rejected_total": 0}


async def test_a_repeat_far_down_the_same_batch_is_a_duplicate(api, good):
    items = [good("mentions", mention_id=f"m-{i % 300}") for i in range(900)]
    body = (await api.post("/v1/mentions/batch", json={"items": items})).json()
    assert (body["stored"], body["duplicates"]) == (300, 600)


async def test_a_batch_may_be_one_item_a_thousand_times(api, good):
    body = (await api.post("/v1/mentions/batch", json={"items": [good("mentions")] * 1000})).json()
    assert body == {"stored": 1, "duplicates": 999, "rejected": [], "rejected_total": 0}


async def test_a_batch_may_say_a_hundred_things_of_one_id(api, good):
    items = [good("mentions", text=f"words {i % 100}") for i in range(200)]
    body = (await api.post("/v1/mentions/batch", json={"items": items})).json()
    assert (body["stored"], body["duplicates"], body["rejected_total"]) == (1, 1, 198)
    assert {entry["code"] for entry in body["rejected"]} == {"ID_REUSED"}


@pytest.mark.parametrize(("n", "code"), [(0, "BATCH_EMPTY"), (1001, "BATCH_TOO_LARGE")])
async def test_a_batch_has_1_to_1000_items(api, problem, n, code):
    reply = await api.post("/v1/activities/batch", json={"items": [{}] * n})
    problem(reply, 422, code, "/items")


async def test_an_item_over_32_kib_is_rejected_alone(api, good):
    big = good("activities", activity_id="act-big", properties={f"k{i}": "x" * 900 for i in range(40)})
    body = (await api.post("/v1/activities/batch", json={"items": [big, good("activities")]})).json()
    assert body["stored"] == 1
    assert body["rejected"][0]["code"] == "ITEM_TOO_LARGE"


@pytest.mark.parametrize("text", [b'"\\ud800"', b'"\\udc00\\ud800"', b'"\xff"', b'"\\u0000"', b"1e400"])
async def test_an_item_that_is_no_good_text_is_rejected_alone(api, good, text):
    bad = json.dumps(good("activities", activity_id="act-bad", channel="@")).encode().replace(b'"@"', text)
    content = b'{"items":[' + bad + b"," + json.dumps(good("activities")).encode() + b"]}"
    reply = await api.post("/v1/activities/batch", content=content, headers={"Content-Type": "application/json"})
    assert reply.status_code == 200, reply.text
    assert (reply.json()["stored"], reply.json()["rejected_total"]) == (1, 1)


@pytest.mark.parametrize("text", [b"NaN", b"[" * 900 + b"]" * 900, b"'x'", b'"x'])
async def test_a_batch_that_is_no_json_is_400(api, good, problem, text):
    content = b'{"items":[' + text + b"," + json.dumps(good("activities")).encode() + b"]}"
    reply = await api.post("/v1/activities/batch", content=content, headers={"Content-Type": "application/json"})
    if reply.status_code != 200:
        problem(reply, 400, "JSON_INVALID")
    assert reply.status_code == 400 or text.startswith(b"[")


async def test_history_needs_its_scope(api, client, good, problem):
    made = await api.post("/v1/api_keys", json={"name": "no history", "scopes": ["profile:write"]})
    limited = await client(made.json()["key"])
    reply = await limited.post("/v1/activities/batch", json={"items": [good("activities")], "history": True})
    assert problem(reply, 403, "SCOPE_MISSING")["scope"] == "history:write"
    reply = await limited.post("/v1/activities/batch?history=true", content=lines([good("activities")]), headers=NDJSON)
    assert problem(reply, 403, "SCOPE_MISSING")["scope"] == "history:write"


async def test_history_takes_the_time_of_the_fact_as_that_of_receipt(api, good):
    old = good("responses", occurred_at="2015-05-05T05:05:05Z")
    reply = await api.post("/v1/responses/batch", json={"items": [old], "history": True})
    assert reply.json()["stored"] == 1
    assert (await api.get("/v1/responses/resp-1")).json()["received_at"] == "2015-05-05T05:05:05Z"


async def test_a_batch_takes_history_from_its_query_too(api, good):
    old = good("responses", occurred_at="2015-05-05T05:05:05Z")
    reply = await api.post("/v1/responses/batch?history=true", json={"items": [old]})
    assert reply.json()["stored"] == 1
    assert (await api.get("/v1/responses/resp-1")).json()["received_at"] == "2015-05-05T05:05:05Z"


async def test_customers_take_history_with_its_scope(api, client, problem):
    items = {"items": [{"customer_id": "cust-1"}]}
    made = await api.post("/v1/api_keys", json={"name": "no history", "scopes": ["profile:write"]})
    limited = await client(made.json()["key"])
    for reply in (
        await limited.post("/v1/customers/batch", json={**items, "history": True}),
        await limited.post("/v1/customers/batch?history=true", json=items),
    ):
        assert problem(reply, 403, "SCOPE_MISSING")["scope"] == "history:write"
    reply = await api.post("/v1/customers/batch", json={**items, "history": True})
    assert reply.json()["created"] == 1


@pytest.mark.parametrize("path", ["/v1/activities?histroy=true", "/v1/activities?history=true"])
async def test_a_fact_takes_no_query(api, good, problem, path):
    problem(await api.post(path, json=good("activities")), 422, "FIELD_UNKNOWN", "?" + path[15:-5])
    assert (await api.get("/v1/activities/act-1")).status_code == 404


@pytest.mark.parametrize("more", ["histroy=true", "history=maybe"])
async def test_a_batch_refuses_another_query(api, good, problem, more):
    reply = await api.post(f"/v1/activities/batch?{more}", json={"items": [good("activities")]})
    problem(reply, 422, None, "?" + more.partition("=")[0])


async def test_lines_are_counted_like_a_batch(api, good):
    content = (
        lines([good("responses"), good("responses")]) + b"\n  \n{broken\n" + json.dumps({"response_id": "r-2"}).encode()
    )
    reply = await api.post("/v1/responses/batch", content=content, headers=NDJSON)
    assert reply.status_code == 200, reply.text
    body = reply.json()
    assert (body["stored"], body["duplicates"], body["rejected_total"]) == (1, 1, 2)
    assert [(r["index"], r["id"], r["code"]) for r in body["rejected"]] == [
        (2, None, "JSON_INVALID"),
        (3, "r-2", "FIELD_REQUIRED"),
    ]


async def test_lines_have_no_limit_in_all(api, good):
    async def stream():
        for start in range(0, 6000, 500):
            yield lines(good("mentions", mention_id=f"m-{i}", text="x" * 300) for i in range(start, start + 500))

    reply = await api.post("/v1/mentions/batch", content=stream(), headers=NDJSON)
    assert reply.json() == {"stored": 6000, "duplicates": 0, "rejected": [], "rejected_total": 0}


async def test_lines_may_be_cut_anywhere(api, good):
    content = lines(good("mentions", mention_id=f"m-{i}", text="é" * 10) for i in range(5))

    async def stream():
        for start in range(0, len(content), 7):
            yield content[start : start + 7]

    assert (await api.post("/v1/mentions/batch", content=stream(), headers=NDJSON)).json()["stored"] == 5


async def test_the_first_thousand_rejections_are_listed(api):
    reply = await api.post("/v1/mentions/batch", content=b"{}\n" * 1500, headers=NDJSON)
    body = reply.json()
    assert body["rejected_total"] == 1500
    assert [r["index"] for r in body["rejected"]] == list(range(1000))


async def test_a_line_over_32_kib_is_rejected_and_not_held(api, good):
    async def stream():
        yield b'{"mention_id":"'
        for _ in range(100):
            yield b"x" * 20_000
        yield b'"}\n' + lines([good("mentions")])

    body = (await api.post("/v1/mentions/batch", content=stream(), headers=NDJSON)).json()
    assert body["stored"] == 1
    assert body["rejected"][0] == {
        "index": 0,
        "id": None,
        "code": "ITEM_TOO_LARGE",
        "pointer": "",
        "detail": "an item has at most 32 KiB of JSON",
    }


async def test_a_caller_that_hangs_up_half_way_may_send_it_all_again(api, good, world):
    items = [good("mentions", mention_id=f"m-{i}") for i in range(300)]

    async def stream():
        yield lines(items)
        raise asyncio.CancelledError

    with pytest.raises((httpx.HTTPError, asyncio.CancelledError)):
        await api.post("/v1/mentions/batch", content=stream(), headers=NDJSON)
    body = (await api.post("/v1/mentions/batch", content=lines(items), headers=NDJSON)).json()
    assert body["stored"] + body["duplicates"] == 300
    world.assert_alive()
