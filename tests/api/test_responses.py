"""Surveys and answers over HTTP: defaults, agreement, reading back."""

import pytest

AT = "2026-03-02T10:00:00Z"


async def test_a_survey_is_made_replaced_archived_and_revived(api):
    body = {"metric": "csat", "kind": "transactional", "scale": "1-5", "question": "How was it?", "locales": ["en"]}
    made = await api.put("/v1/surveys/csat-1", json=body)
    assert made.status_code == 201
    assert {name: made.json()[name] for name in body} == body
    assert (await api.put("/v1/surveys/csat-1", json={"metric": "csat"})).json()["question"] is None
    assert (await api.delete("/v1/surveys/csat-1")).status_code == 204
    assert (await api.delete("/v1/surveys/csat-1")).status_code == 204
    assert (await api.get("/v1/surveys/csat-1")).json()["archived_at"]
    assert (await api.get("/v1/surveys")).json()["data"] == []
    assert len((await api.get("/v1/surveys", params={"archived": "true"})).json()["data"]) == 1
    revived = await api.put("/v1/surveys/csat-1", json=body)
    assert (revived.status_code, revived.json()["archived_at"]) == (200, None)


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({}, None, "/metric"),
        ({"metric": "happiness"}, None, "/metric"),
        ({"metric": "nps", "scale": "1-5"}, "SCALE_UNSUPPORTED", "/scale"),
        ({"metric": "nps", "kind": "competitive"}, None, "/kind"),
        ({"metric": "nps", "locales": ["not a locale"]}, None, "/locales/0"),
        ({"metric": "nps", "key": "s-1"}, "FIELD_UNKNOWN", "/key"),
    ],
)
async def test_a_bad_survey_is_422(api, problem, body, code, pointer):
    problem(await api.put("/v1/surveys/s-1", json=body), 422, code, pointer)
    problem(await api.get("/v1/surveys/s-1"), 404, "SURVEY_NOT_FOUND")


async def test_an_answer_to_no_survey_is_422(api, problem):
    answer = {"response_id": "r-1", "survey": "nobody", "score": 9, "occurred_at": AT}
    problem(await api.post("/v1/responses", json=answer), 422, "SURVEY_UNKNOWN", "/survey")
    problem(await api.get("/v1/responses/r-1"), 404, "RESPONSE_NOT_FOUND")


async def test_an_answer_must_agree_with_its_survey(api, problem):
    await api.put("/v1/surveys/csat-1", json={"metric": "csat"})
    answer = {"response_id": "r-1", "survey": "csat-1", "metric": "nps", "score": 9, "occurred_at": AT}
    problem(await api.post("/v1/responses", json=answer), 422, "METRIC_MISMATCH", "/metric")


async def test_an_answer_is_normalised_alike_when_stored_and_when_read(api):
    await api.put("/v1/surveys/csat-1", json={"metric": "csat", "kind": "relationship"})
    answer = {"response_id": "r-1", "survey": "csat-1", "score": 4, "verbatim": "Fine.", "occurred_at": AT}
    stored = (await api.post("/v1/responses", json=answer)).json()
    assert (stored["metric"], stored["kind"], stored["scale"]) == ("csat", "relationship", "1-5")
    found = (await api.get("/v1/responses/r-1")).json()
    del stored["duplicate"]
    assert found == {**stored, "analysis": None}


@pytest.mark.parametrize(
    ("more", "kind"),
    [({}, "relationship"), ({"moment": "checkout"}, "transactional"), ({"activity_id": "a-1"}, "transactional")],
)
async def test_the_kind_follows_from_what_it_is_about(api, more, kind):
    answer = {"response_id": "r-1", "metric": "nps", "score": 9, "occurred_at": AT, **more}
    assert (await api.post("/v1/responses", json=answer)).json()["kind"] == kind


@pytest.mark.parametrize(
    ("more", "code", "pointer"),
    [
        ({"scale": "1-5"}, "SCALE_UNSUPPORTED", "/scale"),
        ({"scale": "1-10", "score": 0}, "SCORE_OUT_OF_RANGE", "/score"),
        ({"metric": "csat", "score": 6}, "SCORE_OUT_OF_RANGE", "/score"),
        ({"metric": None}, "METRIC_MISSING", "/metric"),
        ({"score": None}, "ANSWER_MISSING", "/score"),
        ({"score": None, "verbatim": "   "}, "ANSWER_MISSING", "/score"),
        ({"occurred_at": "2999-01-01T00:00:00Z"}, None, "/occurred_at"),
    ],
)
async def test_an_answer_that_means_nothing_is_422(api, problem, more, code, pointer):
    answer = {"response_id": "r-1", "metric": "nps", "score": 9, "occurred_at": AT, **more}
    problem(await api.post("/v1/responses", json=answer), 422, code, pointer)


async def test_answers_are_listed_by_customer_and_period(api):
    items = [
        {
            "response_id": f"r-{day}",
            "customer_id": "c-1",
            "metric": "nps",
            "score": 9,
            "occurred_at": f"2026-03-0{day}T00:00:00Z",
        }
        for day in (1, 2, 3)
    ]
    await api.post("/v1/responses/batch", json={"items": items})
    params = {"customer_id": "c-1", "from": "2026-03-02", "to": "2026-03-04", "limit": 1}
    first = (await api.get("/v1/responses", params=params)).json()
    rest = (await api.get("/v1/responses", params={**params, "cursor": first["next_cursor"]})).json()
    assert [one["response_id"] for one in (*first["data"], *rest["data"])] == ["r-3", "r-2"]
    assert rest["next_cursor"] is None


async def test_a_cursor_of_another_filter_is_400(api, problem):
    items = [
        {"response_id": f"r-{number}", "customer_id": "c-1", "metric": "nps", "score": 9, "occurred_at": AT}
        for number in range(2)
    ]
    await api.post("/v1/responses/batch", json={"items": items})
    first = (await api.get("/v1/responses", params={"customer_id": "c-1", "limit": 1})).json()
    params = {"customer_id": "c-2", "limit": 1, "cursor": first["next_cursor"]}
    problem(await api.get("/v1/responses", params=params), 400, "CURSOR_INVALID")
