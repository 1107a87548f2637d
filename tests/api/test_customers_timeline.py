"""A customer's timeline over HTTP: all services, newest first."""

import pytest


@pytest.fixture
async def busy(api):
    """A customer with two activities, an unhappy answer and a mention."""
    for n, at in enumerate(("2026-11-20T10:00:00Z", "2026-11-20T12:00:00Z")):
        fact = {"activity_id": f"a-{n}", "customer_id": "c-1", "type": "usage.reported", "occurred_at": at, "value": n}
        assert (await api.post("/v1/activities", json=fact)).status_code == 201
    response = {
        "response_id": "r-1",
        "customer_id": "c-1",
        "metric": "nps",
        "score": 2,
        "verbatim": "Too slow",
        "occurred_at": "2026-11-20T11:00:00Z",
    }
    assert (await api.post("/v1/responses", json=response)).status_code == 201
    mention = {"mention_id": "m-1", "customer_id": "c-1", "text": "Hm", "occurred_at": "2026-11-20T12:00:00Z"}
    assert (await api.post("/v1/mentions", json=mention)).status_code == 201
    return api


async def test_everything_shows_newest_first(busy):
    items = (await busy.get("/v1/customers/c-1/timeline")).json()["data"]
    facts = [(item["kind"], item["id"], item["at"]) for item in items if item["kind"] != "case"]

    assert facts == [
        ("activity", "a-1", "2026-11-20T12:00:00Z"),
        ("mention", "m-1", "2026-11-20T12:00:00Z"),
        ("response", "r-1", "2026-11-20T11:00:00Z"),
        ("activity", "a-0", "2026-11-20T10:00:00Z"),
    ]
    assert [item["kind"] for item in items].count("case") == 1
    assert next(item for item in items if item["kind"] == "response")["summary"]["score"] == 2


async def test_pages_join_without_gap_or_repeat(busy):
    whole = (await busy.get("/v1/customers/c-1/timeline")).json()["data"]
    seen, cursor = [], None
    for _ in whole:
        query = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        page = (await busy.get("/v1/customers/c-1/timeline", params=query)).json()
        seen += page["data"]
        cursor = page["next_cursor"]

    assert seen == whole
    assert cursor is None


async def test_items_of_one_instant_are_paged_through(api):
    items = [
        {
            "activity_id": f"a-{n:03}",
            "customer_id": "c-1",
            "type": "usage.reported",
            "occurred_at": "2026-11-20T10:00:00Z",
        }
        for n in range(130)
    ]
    await api.post("/v1/activities/batch", json={"items": items})
    first = (await api.get("/v1/customers/c-1/timeline", params={"limit": 100})).json()
    second = (await api.get("/v1/customers/c-1/timeline", params={"limit": 100, "cursor": first["next_cursor"]})).json()

    assert [item["id"] for item in first["data"] + second["data"]] == [f"a-{n:03}" for n in reversed(range(130))]


async def test_kinds_narrow_it(busy):
    items = (await busy.get("/v1/customers/c-1/timeline", params={"kinds": "response,mention"})).json()["data"]

    assert [item["id"] for item in items] == ["m-1", "r-1"]


async def test_a_void_shows(busy):
    await busy.post("/v1/activities/a-0/void", json={"reason": "entered twice"})
    items = (await busy.get("/v1/customers/c-1/timeline", params={"kinds": "activity"})).json()["data"]

    assert [(item["id"], item["summary"]["voided"]) for item in items] == [("a-1", False), ("a-0", True)]


async def test_a_quiet_customer_has_an_empty_one_and_nobody_has_none(api):
    await api.put("/v1/customers/c-1", json={"name": "Ada"})

    assert (await api.get("/v1/customers/c-1/timeline")).json() == {"data": [], "next_cursor": None}
    assert (await api.get("/v1/customers/c-2/timeline")).status_code == 404


@pytest.mark.parametrize("kinds", ["", "no", "activity,no", ","])
async def test_a_kind_that_there_is_not_is_refused(api, kinds):
    answer = await api.get("/v1/customers/c-1/timeline", params={"kinds": kinds})

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "?kinds")


async def test_the_view_shows_what_feedback_tells(busy, eventually):
    async def told():
        view = (await busy.get("/v1/customers/c-1")).json()
        return view if view["feedback"] and view["open_cases"] else None

    view = await eventually(told)
    case = (await busy.get("/v1/customers/c-1/timeline", params={"kinds": "case"})).json()["data"][0]

    assert view["feedback"] == {
        "last": {"response_id": "r-1", "metric": "nps", "score": 2, "at": "2026-11-20T11:00:00Z"},
        "nps_category": "detractor",
    }
    assert view["open_cases"] == [case["id"]]
    assert view["as_of"]["feedback"]
    assert view["as_of"]["open_cases"]
    assert view["known"] is False
