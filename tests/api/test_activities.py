"""Activities over HTTP: reading, listing, taking back."""

import pytest

FULL = {
    "activity_id": "a-1",
    "customer_id": "c-1",
    "device_id": "d-1",
    "account_id": "acme",
    "type": "reference.given",
    "occurred_at": "2026-03-01T13:00:00+01:00",
    "channel": "web",
    "source": "crm",
    "staff_id": "s-1",
    "team": "north",
    "site": "berlin",
    "moment": "checkout",
    "value": 0,
    "amount": {"amount_minor": 1250, "currency": "EUR"},
    "solicited": False,
    "incentivised": False,
    "verified": True,
    "act": {"ask_id": "ask_1", "incentive": None, "evidence_url": "https://example.com/e"},
    "properties": {"b": [1, {"c": None}], "a": "x"},
}


def activity(activity_id, **more):
    return {
        "activity_id": activity_id,
        "customer_id": "c-1",
        "type": "purchase.completed",
        "occurred_at": "2026-03-01T12:00:00Z",
        **more,
    }


async def test_an_activity_is_read_as_it_was_answered(api):
    stored = await api.post("/v1/activities", json=FULL)
    read = await api.get("/v1/activities/a-1")
    expected = stored.json()
    expected.pop("duplicate")

    assert stored.status_code == 201
    assert read.status_code == 200
    assert read.json() == {**expected, "voided_at": None, "void_reason": None}
    assert read.json()["occurred_at"] == "2026-03-01T12:00:00Z"
    assert read.json()["value"] == 0
    assert read.json()["solicited"] is False


async def test_what_was_left_out_is_null(api):
    await api.post("/v1/activities", json=activity("a-1"))
    read = (await api.get("/v1/activities/a-1")).json()

    assert set(read) == {*FULL, "received_at", "voided_at", "void_reason"}
    assert {read[name] for name in ("channel", "value", "device_id", "solicited")} == {None}
    assert (read["amount"], read["act"], read["properties"]) == (None, None, None)


async def test_lists_filter_and_page(api):
    for n in range(5):
        await api.post(
            "/v1/activities",
            json=activity(f"a-{n}", customer_id=f"c-{n % 2}", occurred_at=f"2026-03-0{n + 1}T00:00:00Z"),
        )
    first = (await api.get("/v1/activities", params={"limit": 3})).json()
    second = (await api.get("/v1/activities", params={"limit": 3, "cursor": first["next_cursor"]})).json()
    own = (await api.get("/v1/activities", params={"customer_id": "c-1"})).json()
    some = (await api.get("/v1/activities", params={"from": "2026-03-02", "to": "2026-03-04T00:00:00Z"})).json()

    assert [one["activity_id"] for one in first["data"] + second["data"]] == ["a-4", "a-3", "a-2", "a-1", "a-0"]
    assert [one["activity_id"] for one in own["data"]] == ["a-3", "a-1"]
    assert [one["activity_id"] for one in some["data"]] == ["a-2", "a-1"]


async def test_a_void_shows_and_counts_once(api):
    await api.post("/v1/activities", json=activity("a-1"))
    first = await api.post("/v1/activities/a-1/void", json={"reason": "entered twice"})
    again = await api.post("/v1/activities/a-1/void", json={"reason": "another"})
    read = await api.get("/v1/activities/a-1")

    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["void_reason"] == "entered twice"
    assert first.json() == again.json() == read.json()


async def test_a_void_with_an_idempotency_key_is_replayed(api):
    await api.post("/v1/activities", json=activity("a-1"))
    headers = {"Idempotency-Key": "k-1"}
    first = await api.post("/v1/activities/a-1/void", json={"reason": "why"}, headers=headers)
    again = await api.post("/v1/activities/a-1/void", json={"reason": "why"}, headers=headers)
    other = await api.post("/v1/activities/a-1/void", json={"reason": "other"}, headers=headers)

    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/reason"),
        ({"reason": ""}, "/reason"),
        ({"reason": 7}, "/reason"),
        ({"reason": "x" * 1001}, "/reason"),
        ({"reason": "a", "by": "b"}, "/by"),
    ],
)
async def test_a_bad_void_is_refused(api, body, pointer):
    await api.post("/v1/activities", json=activity("a-1"))
    answer = await api.post("/v1/activities/a-1/void", json=body)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert (await api.get("/v1/activities/a-1")).json()["voided_at"] is None


async def test_another_tenant_sees_a_missing_activity(api, client):
    await api.post("/v1/activities", json=activity("a-1"))
    other = await client()

    assert (await other.get("/v1/activities/a-1")).status_code == 404
    assert (await other.post("/v1/activities/a-1/void", json={"reason": "mine"})).status_code == 404
    assert (await other.get("/v1/activities")).json()["data"] == []


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"customer_id": None}, "SUBJECT_MISSING", "/customer_id"),
        ({"type": "no.such"}, "ACTIVITY_TYPE_UNKNOWN", "/type"),
        ({"type": "x.a..b"}, "ACTIVITY_TYPE_UNKNOWN", "/type"),
        ({"occurred_at": "2999-01-01T00:00:00Z"}, "OCCURRED_AT_IN_FUTURE", "/occurred_at"),
        ({"occurred_at": "1969-12-31T23:59:59Z"}, "TIME_OUT_OF_RANGE", "/occurred_at"),
        ({"amount": {"amount_minor": 0.1, "currency": "EUR"}}, "TYPE_INVALID", "/amount/amount_minor"),
        ({"amount": {"amount_minor": 1, "currency": "XXX"}}, "CURRENCY_UNKNOWN", "/amount/currency"),
    ],
)
async def test_a_bad_activity_is_named_and_not_stored(api, fields, code, pointer):
    answer = await api.post("/v1/activities", json=activity("a-1", **fields))

    assert answer.status_code == 422
    assert (answer.json()["code"], answer.json()["errors"][0]["pointer"]) == (code, pointer)
    assert (await api.get("/v1/activities/a-1")).status_code == 404
