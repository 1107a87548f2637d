"""The platform's own routes: health, documents, problems for what there is not, and the shape of every answer."""

import json
import re
from pathlib import Path

import pytest

from services.gateway import problems

PROBLEM_FIELDS = {"type", "title", "status", "detail", "code", "request_id", "errors"}


def problem(reply, status, code):
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    body = reply.json()
    assert set(body) >= PROBLEM_FIELDS
    assert body["status"] == status
    assert body["code"] == code, body
    assert body["request_id"] == reply.headers["request-id"]
    assert len(reply.content) <= 2048
    return body


async def test_the_process_is_live(api):
    reply = await api.get("/healthz", headers={"Authorization": ""})
    assert reply.status_code == 200
    assert reply.json() == {"status": "live"}


async def test_the_process_is_ready_when_all_parts_answer(api):
    reply = await api.get("/readyz")
    assert reply.status_code == 200, reply.text
    assert set(reply.json()["parts"]) == {"store", "profile", "feedback", "referral", "scoring"}


async def test_every_answer_has_a_request_id(api):
    reply = await api.get("/healthz")
    assert re.fullmatch(r"[A-Za-z0-9_-]{8,64}", reply.headers["request-id"])


async def test_a_callers_request_id_is_kept(api):
    reply = await api.get("/healthz", headers={"X-Request-Id": "partner-0001"})
    assert reply.headers["request-id"] == "partner-0001"


@pytest.mark.parametrize("given", ["short", "x" * 65, "${jndi:ldap}", "with space 123"])
async def test_a_strange_request_id_is_replaced(api, given):
    reply = await api.get("/healthz", headers={"X-Request-Id": given})
    assert reply.headers["request-id"].startswith("req_")


async def test_an_unknown_path_is_a_problem(api):
    problem(await api.get("/v1/nothing"), 404, "ROUTE_NOT_FOUND")


@pytest.mark.parametrize("path", ["/v1/activities/", "//v1/activities", "/V1/activities", "/v1/activities;a=b"])
async def test_a_path_is_taken_as_it_is_written(api, path):
    assert (await api.get(path)).status_code in {404, 422}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"])
async def test_a_wrong_method_names_the_right_ones(api, method):
    reply = await api.request(method, "/v1/activities")
    problem(reply, 405, "METHOD_NOT_ALLOWED")
    assert {"GET", "POST"} <= set(reply.headers["allow"].split(", "))


async def test_a_caller_that_takes_no_json_is_told_so(api):
    problem(await api.get("/v1/events", headers={"Accept": "application/xml"}), 406, "NOT_ACCEPTABLE")


async def test_a_long_target_is_refused(api):
    problem(await api.get("/v1/events?cursor=" + "a" * 20_000), 414, "TARGET_TOO_LONG")


async def test_a_key_in_the_url_is_refused(api):
    key = api.headers["authorization"].removeprefix("Bearer ")
    problem(await api.get(f"/v1/events?api_key={key}"), 400, "KEY_IN_QUERY")


async def test_the_docs_load_nothing_from_elsewhere(api):
    page = await api.get("/docs")
    assert page.status_code == 200
    assert "://" not in page.text
    for asset in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert (await api.get(asset)).status_code == 200


async def test_every_problem_is_explained(api):
    page = (await api.get("/docs/errors")).text
    assert 'id="id_is_personal"' in page


async def test_the_document_names_scope_and_problems_of_every_operation(api):
    document = (await api.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    operations = [op for path in document["paths"].values() for op in path.values()]
    assert all(op.get("x-scope") for op in operations)
    assert all({"401", "422", "500", "503"} <= set(op["responses"]) for op in operations)
    ids = [op["operationId"] for op in operations]
    assert len(ids) == len(set(ids))


async def test_every_reference_in_the_document_leads_somewhere(api):
    document = (await api.get("/openapi.json")).json()
    for reference in re.findall(r'"\$ref":\s*"#/([^"]+)"', json.dumps(document)):
        found = document
        for step in reference.split("/"):
            found = found[step]


async def test_the_document_has_the_bodies_of_the_fast_routes(api):
    document = (await api.get("/openapi.json")).json()
    schema = document["components"]["schemas"]["ActivityIn"]
    assert schema["additionalProperties"] is False
    batch = document["paths"]["/v1/activities/batch"]["post"]["requestBody"]["content"]
    assert set(batch) == {"application/json", "application/x-ndjson"}


async def test_the_document_says_which_body_may_be_left_out(api):
    paths = (await api.get("/openapi.json")).json()["paths"]
    assert paths["/v1/api_keys/{key_id}/rotate"]["post"]["requestBody"]["required"] is False
    assert paths["/v1/api_keys"]["post"]["requestBody"]["required"] is True


def test_errors_md_is_the_catalogue():
    assert Path("docs/errors.md").read_text() == problems.as_markdown()
