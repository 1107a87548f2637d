"""KPIs over HTTP: every field, and arithmetic that anyone can repeat."""

import pytest

DAY = "2026-03-02T00:00:00Z"


async def answered(api, scores, *, at=DAY, **more):
    """Store answers of one kind."""
    items = [
        {"response_id": f"r-{at[:10]}-{number}", "metric": "nps", "score": score, "occurred_at": at, **more}
        for number, score in enumerate(scores)
    ]
    reply = await api.post("/v1/responses/batch", json={"items": items, "history": True})
    assert reply.json()["stored"] == len(items), reply.text


async def test_nothing_answered_is_null_not_zero(api):
    assert (await api.get("/v1/kpis/nps")).json() == {
        "metric": "nps",
        "variant": "promoters_minus_detractors",
        "n": 0,
        "value": None,
        "se": None,
        "low": None,
        "high": None,
        "from": None,
        "to": None,
        "significant_change": None,
        "mixed": [],
        "series": [],
        "groups": [],
    }


async def test_every_answer_counts(api):
    await answered(api, [10, 9, 8, 7, 6, 0, 10])
    found = (await api.get("/v1/kpis/nps")).json()
    assert (found["n"], found["value"]) == (7, pytest.approx(100 / 7, abs=1e-12))


async def test_a_period_is_of_dates_or_times(api):
    await answered(api, [10])
    params = {"from": "2026-03-02", "to": "2026-03-03T00:00:00+00:00"}
    found = (await api.get("/v1/kpis/nps", params=params)).json()
    assert (found["n"], found["from"], found["to"]) == (1, "2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z")
    assert (await api.get("/v1/kpis/nps", params={"to": "2026-03-02"})).json()["n"] == 0


async def test_groups_have_a_key_or_null(api):
    await answered(api, [10], moment="checkout")
    await answered(api, [0], at="2026-03-03T00:00:00Z")
    groups = (await api.get("/v1/kpis/nps", params={"by": "moment"})).json()["groups"]
    assert [(group["key"], group["n"], group["value"]) for group in groups] == [
        ("checkout", 1, 100.0),
        (None, 1, -100.0),
    ]


async def test_a_series_has_no_gaps(api):
    await answered(api, [10])
    await answered(api, [0], at="2026-03-04T00:00:00Z")
    series = (await api.get("/v1/kpis/nps", params={"interval": "day"})).json()["series"]
    assert [(point["from"], point["n"], point["value"]) for point in series] == [
        ("2026-03-02T00:00:00Z", 1, 100.0),
        ("2026-03-03T00:00:00Z", 0, None),
        ("2026-03-04T00:00:00Z", 1, -100.0),
    ]


@pytest.mark.parametrize("metric", ["advocacy_rate", "unknown", "NPS"])
async def test_an_unknown_metric_is_404(api, problem, metric):
    problem(await api.get(f"/v1/kpis/{metric}"), 404, "METRIC_UNKNOWN")


@pytest.mark.parametrize(
    ("params", "pointer"),
    [
        ({"by": "segment"}, "?by"),
        ({"by": "theme"}, "?by"),
        ({"interval": "hour"}, "?interval"),
        ({"kind": "competitive"}, "?kind"),
        ({"from": "soon"}, "?from"),
        ({"from": "2026-03-02", "to": "2026-03-01"}, "?to"),
        ({"interval": "day", "from": "1970-01-01", "to": "2026-01-01"}, "?interval"),
        ({"until": "2026-01-01"}, "?until"),
    ],
)
async def test_a_bad_question_is_422(api, problem, params, pointer):
    problem(await api.get("/v1/kpis/nps", params=params), 422, pointer=pointer)


async def test_mentions_are_counted(api):
    items = [
        {"mention_id": f"m-{number}", "site": site, "reach": 5, "occurred_at": DAY}
        for number, site in enumerate(["forum", "forum", "blog"])
    ]
    await api.post("/v1/mentions/batch", json={"items": items})
    found = (await api.get("/v1/mention_counts", params={"by": "site"})).json()
    assert found == {
        "total": {"key": None, "n": 3, "reach": 15},
        "groups": [{"key": "blog", "n": 1, "reach": 5}, {"key": "forum", "n": 2, "reach": 10}],
    }
