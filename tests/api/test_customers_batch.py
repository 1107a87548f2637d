"""Many customers at once over HTTP: batches and lines."""

import json

import pytest

NDJSON = {"Content-Type": "application/x-ndjson"}


async def batch(api, *items):
    return await api.post("/v1/customers/batch", json={"items": list(items)})


async def test_items_are_answered_one_by_one(api):
    await batch(api, {"customer_id": "same", "name": "Same"}, {"customer_id": "old", "name": "Old", "role": "buyer"})
    answer = await batch(
        api,
        {"customer_id": "new", "name": "New"},
        {"customer_id": "same", "name": "Same"},
        {"customer_id": "old", "name": "Newer", "role": None},
        {"customer_id": "bad", "email": "nobody"},
        {"customer_id": "a@example.com"},
        {"name": "No id"},
        7,
    )
    counts = answer.json()
    old = (await api.get("/v1/customers/old")).json()

    assert answer.status_code == 200
    assert (counts["created"], counts["updated"], counts["unchanged"], counts["rejected_total"]) == (1, 1, 1, 4)
    assert [(one["index"], one["id"], one["code"], one["pointer"]) for one in counts["rejected"]] == [
        (3, "bad", "EMAIL_INVALID", "/email"),
        (4, None, "ID_IS_PERSONAL", "/customer_id"),
        (5, None, "FIELD_REQUIRED", "/customer_id"),
        (6, None, "TYPE_INVALID", ""),
    ]
    assert (old["name"], old["role"]) == ("Newer", None)


async def test_half_a_character_costs_its_own_item_only(api):
    body = b'{"items":[{"customer_id":"half","name":"\\ud800"},{"customer_id":"whole","name":"Ann"}]}'
    reply = await api.post("/v1/customers/batch", content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code == 200, reply.text
    assert (reply.json()["created"], [r["index"] for r in reply.json()["rejected"]]) == (1, [0])


async def test_a_sync_run_twice_changes_nothing_the_second_time(api):
    items = [{"customer_id": f"c-{n}", "name": f"Name {n}", "traits": {"n": n}} for n in range(700)]
    first = (await batch(api, *items)).json()
    second = (await batch(api, *items)).json()

    assert (first["created"], first["updated"], first["unchanged"]) == (700, 0, 0)
    assert (second["created"], second["updated"], second["unchanged"]) == (0, 0, 700)
    assert (await api.get("/v1/customers/c-7")).headers["etag"] == '"1"'


async def test_items_of_one_customer_take_effect_in_order(api):
    counts = (await batch(api, *({"customer_id": "c-1", "role": f"r{n}"} for n in range(5)))).json()

    assert (counts["created"], counts["updated"]) == (1, 4)
    assert (await api.get("/v1/customers/c-1")).json()["role"] == "r4"


async def test_lines_are_taken_as_they_come(api):
    lines = [json.dumps({"customer_id": f"c-{n}", "name": f"Name {n}"}) for n in range(600)]
    lines[3:3] = ["", "  ", "{", '{"customer_id": "c-x", "nickname": 1}', json.dumps({"name": "x" * 40_000})]

    async def chunks():
        body = "\n".join(lines).encode()
        for start in range(0, len(body), 1_000):
            yield body[start : start + 1_000]

    answer = await api.post("/v1/customers/batch", content=chunks(), headers=NDJSON)
    counts = answer.json()

    assert answer.status_code == 200
    assert (counts["created"], counts["rejected_total"]) == (600, 3)
    assert [(one["index"], one["code"]) for one in counts["rejected"]] == [
        (3, "JSON_INVALID"),
        (4, "FIELD_UNKNOWN"),
        (5, "ITEM_TOO_LARGE"),
    ]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"items": []}, 422, "BATCH_EMPTY"),
        ({"items": [{"customer_id": "c-1"}] * 1_001}, 422, "BATCH_TOO_LARGE"),
        ({"items": {}}, 422, "TYPE_INVALID"),
        ({}, 422, "FIELD_REQUIRED"),
        ({"items": [], "more": 1}, 422, "FIELD_UNKNOWN"),
    ],
)
async def test_a_bad_batch_is_refused(api, body, status, code):
    answer = await api.post("/v1/customers/batch", json=body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
