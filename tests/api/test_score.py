"""Scores over HTTP, from the fact that a partner posts to the evidence that a partner reads."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest

from libs.common import clock


@pytest.fixture
def post(api):
    async def call(path, **body):
        return await api.post(path, json=body)

    return call


@pytest.fixture
def score_of(api):
    """Read a score with its numbers as decimal numbers; None while there is none."""

    async def call(customer_id, **query):
        answer = await api.get(f"/v1/customers/{customer_id}/score", params=query)
        return json.loads(answer.text, parse_float=Decimal) if answer.status_code == 200 else None

    return call


@pytest.fixture
def respond(post):
    async def call(response_id, score, occurred_at, metric="nps"):
        body = {"response_id": response_id, "metric": metric, "score": score, "occurred_at": occurred_at}
        answer = await post("/v1/responses", customer_id="c1", **body)
        assert answer.status_code == 201, answer.text

    return call


def ago(**span):
    return (clock.now() - timedelta(**span)).isoformat()


async def test_a_posted_answer_is_visible_in_the_score_with_its_source(respond, score_of, eventually):
    occurred_at = clock.now() - timedelta(minutes=1)
    await respond("r1", 9, occurred_at.isoformat())
    score = await eventually(lambda: _with(score_of("c1"), 2))
    assert {name: score[name] for name in ("customer_id", "value", "rung", "overlays", "model_version")} == {
        "customer_id": "c1",
        "value": 70,
        "rung": None,
        "overlays": [],
        "model_version": "1",
    }
    assert score["dimensions"] == {"satisfaction": 20, "loyalty": 0, "advocacy": 0, "influence": 0}
    assert score["evidence"] == [
        {"signal": "base", "source": None, "dimension": None, "occurred_at": None, "contribution": 50},
        {
            "signal": "nps.promoter",
            "source": {"kind": "response", "id": "r1"},
            "dimension": "satisfaction",
            "occurred_at": occurred_at.isoformat().replace("+00:00", "Z"),
            "contribution": 20,
        },
    ]


async def test_evidence_sums_exactly_and_has_at_most_six_decimals(post, respond, score_of, eventually):
    for number in range(7):
        when = ago(days=17 * number + 1, hours=number)
        await post(
            "/v1/activities", activity_id=f"a{number}", customer_id="c1", type="purchase.completed", occurred_at=when
        )
        await respond(f"r{number}", 5, when, metric="csat")
    score = await eventually(lambda: _with(score_of("c1"), 15))
    shares = [item["contribution"] for item in score["evidence"]]
    assert sum(shares) == score["value"]
    assert min(Decimal(share).as_tuple().exponent for share in shares) >= -6


async def test_a_score_as_of_a_date_leaves_out_what_came_later(respond, score_of, eventually):
    await respond("r1", 9, "2026-01-10T08:00:00Z")
    await respond("r2", 1, "2026-02-10T08:00:00Z")
    await eventually(lambda: _with(score_of("c1"), 3))
    then = await score_of("c1", as_of="2026-01-11")
    assert [item["signal"] for item in then["evidence"]] == ["base", "nps.promoter"]
    assert then["as_of"] == "2026-01-11T00:00:00Z"


async def test_the_same_moment_gives_the_same_bytes(api, respond, score_of, eventually):
    await respond("r1", 9, ago(days=3))
    first = await eventually(lambda: _with(score_of("c1"), 2))
    again = await api.get("/v1/customers/c1/score", params={"as_of": first["as_of"]})
    assert json.loads(again.text, parse_float=Decimal) == first


async def test_a_customer_without_a_signal_has_a_score_of_null(api, score_of, eventually):
    assert (await api.put("/v1/customers/c1", json={"name": "Ann"})).status_code == 201
    score = await eventually(lambda: score_of("c1"))
    assert (score["value"], score["dimensions"], score["evidence"]) == (None, {}, [])


async def test_an_unknown_customer_is_404(api):
    answer = await api.get("/v1/customers/nobody/score")
    assert (answer.status_code, answer.json()["code"]) == (404, "CUSTOMER_NOT_FOUND")


async def test_a_history_goes_day_by_day_through_pages(api, respond, eventually, score_of):
    await respond("r1", 9, "2026-01-10T08:00:00Z")
    await eventually(lambda: _with(score_of("c1"), 2))
    query = {"from": "2026-01-09", "to": "2026-01-13", "limit": 3}
    first = (await api.get("/v1/customers/c1/score/history", params=query)).json()
    second = (await api.get("/v1/customers/c1/score/history", params={**query, "cursor": first["next_cursor"]})).json()
    assert [point["at"] for point in (*first["data"], *second["data"])] == [
        f"2026-01-{day}T00:00:00Z" for day in (10, 11, 12, 13)
    ]
    assert [point["value"] is None for point in first["data"]] == [True, False, False]
    assert first["data"][0]["dimensions"] == {}
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    ("path", "query", "status", "pointer"),
    [
        ("score", {"as_of": "yesterday"}, 422, "?as_of"),
        ("score", {"as_of": "2026-01-01T00:00:00"}, 422, "?as_of"),
        ("score", {"as_of": "1969-12-31"}, 422, "?as_of"),
        ("score", {"as_of": "2199-01-01"}, 422, "?as_of"),
        ("score", {"when": "now"}, 422, "?when"),
        ("score/history", {"from": "2026-01-02", "to": "2026-01-02"}, 422, "?to"),
        ("score/history", {"from": "2199-01-01"}, 422, "?from"),
        ("score/history", {"interval": "hour"}, 422, "?interval"),
        ("score/history", {"limit": "0"}, 422, "?limit"),
        ("score/history", {"cursor": "%00"}, 400, "?cursor"),
    ],
)
async def test_a_query_that_cannot_be_is_refused_with_its_parameter(api, path, query, status, pointer):
    answer = await api.get(f"/v1/customers/c1/{path}", params=query)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_a_key_without_the_scope_is_refused(client, world):
    tenant = await world.new_tenant()
    owner = await client(tenant["api_key"])
    made = await owner.post("/v1/api_keys", json={"name": "profile only", "scopes": ["profile:read"]})
    reader = await client(made.json()["key"])
    answer = await reader.get("/v1/customers/c1/score")
    assert (answer.status_code, answer.json()["scope"]) == (403, "scoring:read")


async def _with(score, wanted):
    found = await score
    return found if found and len(found["evidence"]) == wanted else None
