"""Customers over HTTP: the 360 view, replacing, merging, archiving, listing."""

import msgspec
import pytest

from services.gateway.routes.customers import CustomerOut

ADA = {
    "name": "Ada Lovelace",
    "email": "ada@example.com",
    "phone": "+441632960001",
    "locale": "en-GB",
    "timezone": "Europe/London",
    "account_id": "acme",
    "role": "buyer",
    "preferred_channel": "email",
    "acquired_at": "2026-03-01T13:00:00+01:00",
    "goals": ["count", "compute"],
    "traits": {"tier": "gold", "seats": 12, "nested": {"a": None, "b": [1, 2.5]}},
    "identities": [{"type": "crm", "value": "77"}],
    "source": "crm",
    "source_updated_at": "2026-03-01T12:00:00Z",
}
BLOCKS = {
    "ladder": None,
    "advocacy_score": None,
    "sentiment": None,
    "feedback": None,
    "open_cases": [],
    "referrals": None,
    "influence": None,
    "recognition": None,
    "value": None,
    "next_ask": None,
    "consents": [],
}


async def test_put_makes_then_replaces(api):
    first = await api.put("/v1/customers/c-1", json=ADA)
    again = await api.put("/v1/customers/c-1", json=ADA)
    other = await api.put("/v1/customers/c-1", json={"name": "Grace"})
    read = await api.get("/v1/customers/c-1")

    assert [first.status_code, again.status_code, other.status_code] == [201, 200, 200]
    assert [answer.headers["etag"] for answer in (first, again, other, read)] == ['"1"', '"1"', '"2"', '"2"']
    assert other.json()["email"] is None
    assert read.json()["name"] == "Grace"


async def test_the_view_has_every_field_of_its_shape(api):
    view = (await api.put("/v1/customers/c-1", json=ADA)).json()

    assert set(view) == {field.encode_name for field in msgspec.structs.fields(CustomerOut)}
    assert {name: view[name] for name in BLOCKS} == BLOCKS
    assert set(view["as_of"]) == {"lifecycle", *BLOCKS}
    assert [name for name, at in view["as_of"].items() if at] == ["lifecycle"]
    assert view["lifecycle"] == {"stage": "active"} or view["lifecycle"]["stage"] in {"new", "quiet"}
    assert view["known"] is True
    assert view["archived_at"] is None
    assert view["acquired_at"] == "2026-03-01T12:00:00Z"
    assert view["traits"] == {"tier": "gold", "seats": 12, "nested": {"b": [1, 2.5]}}
    same = ("name", "email", "phone", "locale", "timezone", "account_id", "role", "goals", "identities", "source")
    assert {name: view[name] for name in same} == {name: ADA[name] for name in same}


async def test_a_lead_has_empty_fields_not_missing_ones(api):
    view = (await api.put("/v1/customers/c-1", json={})).json()

    assert view["lifecycle"] == {"stage": "lead"}
    assert (view["name"], view["traits"], view["goals"], view["identities"]) == (None, None, [], [])


async def test_patch_merges_and_null_clears(api):
    await api.put("/v1/customers/c-1", json=ADA)
    patched = await api.patch(
        "/v1/customers/c-1", json={"email": None, "role": "owner", "traits": {"seats": None, "tier": "silver"}}
    )

    assert patched.status_code == 200
    assert patched.json()["email"] is None
    assert patched.json()["role"] == "owner"
    assert patched.json()["name"] == "Ada Lovelace"
    assert patched.json()["traits"] == {"tier": "silver", "nested": {"b": [1, 2.5]}}


async def test_patch_of_nobody_is_404(api):
    answer = await api.patch("/v1/customers/c-1", json={"name": "Ada"})

    assert (answer.status_code, answer.json()["code"]) == (404, "CUSTOMER_NOT_FOUND")


async def test_if_match_guards_every_write(api):
    await api.put("/v1/customers/c-1", json=ADA)
    stale = {"If-Match": '"7"'}
    answers = [
        await api.put("/v1/customers/c-1", json={}, headers=stale),
        await api.patch("/v1/customers/c-1", json={}, headers=stale),
        await api.delete("/v1/customers/c-1", headers=stale),
        await api.put("/v1/customers/c-2", json={}, headers={"If-Match": "*"}),
        await api.put("/v1/customers/c-1", json={}, headers={"If-Match": 'W/"1"'}),
    ]
    good = await api.put("/v1/customers/c-1", json={}, headers={"If-Match": '"9", "1"'})
    malformed = await api.put("/v1/customers/c-1", json={}, headers={"If-Match": "1"})

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(412, "VERSION_MISMATCH")] * 5
    assert good.status_code == 200
    assert malformed.status_code == 400


async def test_delete_archives_and_put_revives(api):
    await api.put("/v1/customers/c-1", json=ADA)
    first = await api.delete("/v1/customers/c-1")
    second = await api.delete("/v1/customers/c-1")
    read = await api.get("/v1/customers/c-1")
    listed = (await api.get("/v1/customers")).json()["data"]
    archived = (await api.get("/v1/customers", params={"archived": "true"})).json()["data"]
    revived = await api.put("/v1/customers/c-1", json=ADA)

    assert (first.status_code, second.status_code, first.content) == (204, 204, b"")
    assert read.status_code == 200
    assert read.json()["archived_at"]
    assert listed == []
    assert [one["customer_id"] for one in archived] == ["c-1"]
    assert (revived.status_code, revived.json()["archived_at"]) == (200, None)


async def test_delete_of_nobody_is_404(api):
    assert (await api.delete("/v1/customers/c-1")).status_code == 404


async def test_older_data_does_not_overwrite(api):
    await api.put("/v1/customers/c-1", json=ADA)
    older = await api.put("/v1/customers/c-1", json={"name": "Old", "source_updated_at": "2026-02-01T00:00:00Z"})

    assert older.status_code == 200
    assert older.json()["name"] == "Ada Lovelace"


async def test_a_fact_makes_a_stub_that_a_put_fills(api):
    fact = {
        "activity_id": "a-1",
        "customer_id": "c-1",
        "type": "purchase.completed",
        "occurred_at": "2026-03-01T00:00:00Z",
    }
    await api.post("/v1/activities", json=fact)
    stub = await api.get("/v1/customers/c-1")
    filled = await api.put("/v1/customers/c-1", json=ADA)

    assert stub.json()["known"] is False
    assert filled.json()["known"] is True


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({"nickname": "A"}, "FIELD_UNKNOWN", "/nickname"),
        ({"known": True}, "FIELD_UNKNOWN", "/known"),
        ({"name": 7}, "TYPE_INVALID", "/name"),
        ({"name": "\u3164"}, "BLANK", "/name"),
        ({"email": "nobody"}, "EMAIL_INVALID", "/email"),
        ({"phone": "0171 123456"}, "PHONE_INVALID", "/phone"),
        ({"locale": "en_GB"}, "LOCALE_INVALID", "/locale"),
        ({"timezone": "Mars/Base"}, "TIMEZONE_UNKNOWN", "/timezone"),
        ({"preferred_channel": "pigeon"}, "VALUE_INVALID", "/preferred_channel"),
        ({"account_id": "a@example.com"}, "ID_IS_PERSONAL", "/account_id"),
        ({"acquired_at": "2026-03-01T12:00:00"}, "OFFSET_MISSING", "/acquired_at"),
        ({"acquired_at": 1}, "TYPE_INVALID", "/acquired_at"),
        ({"goals": "count"}, "TYPE_INVALID", "/goals"),
        ({"goals": ["\u0000"]}, "TEXT_INVALID", "/goals/0"),
        ({"traits": {"a": {"b": {"c": {"d": {}}}}}}, "ITEM_TOO_LARGE", "/traits"),
        ({"identities": [{"type": "crm"}]}, "FIELD_REQUIRED", "/identities/0/value"),
        ({"identities": [{"type": "a b", "value": "1"}]}, "IDENTITY_INVALID", "/identities/0/type"),
    ],
)
async def test_a_bad_field_is_named_and_nothing_is_stored(api, body, code, pointer):
    answer = await api.put("/v1/customers/c-1", json=body)

    assert answer.status_code == 422
    assert [(error["code"], error["pointer"]) for error in answer.json()["errors"]] == [(code, pointer)]
    assert (await api.get("/v1/customers/c-1")).status_code == 404


@pytest.mark.parametrize("path", ["a@example.com", "-x", "a b", "x" * 129, "+441632960001"])
async def test_a_bad_id_in_the_path_is_refused(api, path):
    answer = await api.put(f"/v1/customers/{path}", json={})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/customer_id"


async def test_lists_page_and_filter(api):
    for n in range(5):
        await api.put(f"/v1/customers/c-{n}", json={"name": f"Ada {n}", "account_id": f"acme-{n % 2}"})
    first = (await api.get("/v1/customers", params={"limit": 3})).json()
    second = (await api.get("/v1/customers", params={"limit": 3, "cursor": first["next_cursor"]})).json()
    found = (await api.get("/v1/customers", params={"q": "ADA 3"})).json()
    account = (await api.get("/v1/customers", params={"account_id": "acme-1"})).json()
    since = first["data"][2]["updated_at"]
    changed = (await api.get("/v1/customers", params={"updated_after": since})).json()

    assert [one["customer_id"] for one in first["data"] + second["data"]] == [f"c-{n}" for n in range(5)]
    assert second["next_cursor"] is None
    assert [one["customer_id"] for one in found["data"]] == ["c-3"]
    assert [one["customer_id"] for one in account["data"]] == ["c-1", "c-3"]
    assert [one["customer_id"] for one in changed["data"]] == ["c-3", "c-4"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"limit": "0"}, 422),
        ({"limit": "-1"}, 422),
        ({"limit": "x"}, 422),
        ({"limit": "201"}, 200),
        ({"cursor": "x"}, 400),
        ({"cursor": ""}, 400),
        ({"rung": "advocate"}, 422),
        ({"order": "asc;--"}, 422),
        ({"min_score": "nan"}, 422),
        ({"updated_after": "yesterday"}, 422),
        ({"updated_after": "2026-03-01"}, 200),
        ({"archived": "maybe"}, 422),
        ({"q": "%_\\' or 1=1--"}, 200),
        ({"account_id": "a b"}, 422),
    ],
)
async def test_queries_are_checked(api, query, status):
    assert (await api.get("/v1/customers", params=query)).status_code == status


async def test_a_cursor_is_of_one_tenant_and_one_filter(api, client):
    for n in range(3):
        await api.put(f"/v1/customers/c-{n}", json={})
    cursor = (await api.get("/v1/customers", params={"limit": 1})).json()["next_cursor"]
    other = await client()

    assert (await api.get("/v1/customers", params={"cursor": cursor, "q": "a"})).status_code == 400
    assert (await other.get("/v1/customers", params={"cursor": cursor})).status_code == 400


async def test_another_tenant_sees_a_missing_customer(api, client):
    await api.put("/v1/customers/c-1", json=ADA)
    other = await client()
    answers = [
        await other.get("/v1/customers/c-1"),
        await other.patch("/v1/customers/c-1", json={"name": "Eve"}),
        await other.delete("/v1/customers/c-1"),
        await other.get("/v1/customers/c-1/timeline"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 4
    assert (await other.get("/v1/customers")).json()["data"] == []
    assert (await api.get("/v1/customers/c-1")).json()["name"] == "Ada Lovelace"
