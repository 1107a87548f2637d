"""The inner loop over HTTP: found, acknowledged, contacted, moved, linked."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

CONTACT = {"by": "s-1", "channel": "phone", "outcome": "reached"}
_numbers = itertools.count()


def rfc3339(at):
    return at.isoformat().replace("+00:00", "Z")


def now():
    return datetime.now(UTC)


async def unhappy(api, customer_id="c-1", *, at=None, **more):
    """Let a customer be unhappy; return the answer's id."""
    answer = {
        "response_id": f"r-{next(_numbers)}",
        "customer_id": customer_id,
        "metric": "nps",
        "score": 2,
        "occurred_at": rfc3339(at or now()),
        **more,
    }
    if at is None:
        assert (await api.post("/v1/responses", json=answer)).status_code == 201
    else:
        reply = await api.post("/v1/responses/batch", json={"items": [answer], "history": True})
        assert reply.json()["stored"] == 1, reply.text
    return answer["response_id"]


async def open_case(api, customer_id="c-1", *, at=None):
    """Return a case that was just opened."""
    trigger = await unhappy(api, customer_id, at=at)
    listed = (await api.get("/v1/cases", params={"trigger_id": trigger})).json()["data"]
    assert len(listed) == 1
    return listed[0]


async def step(api, case, to, **body):
    """Move a case one step."""
    if to == "action_taken":
        body.setdefault("root_cause", "late delivery")
    reply = await api.post(f"/v1/cases/{case['case_id']}/transition", json={"to": to, **body})
    assert reply.status_code == 200, reply.text
    return reply.json()


async def test_a_case_has_every_field_and_null_where_there_is_nothing(api):
    case = await open_case(api)
    assert case["case_id"].startswith("case_")
    trigger = case["triggers"][0]
    assert (trigger["kind"], case["team"], case["owner"], case["urgency"]) == ("response", "default", None, "normal")
    assert (case["state"], case["confirmation"], case["external_ref"]) == ("open", None, None)
    assert case["clocks"]["next_response"] == {"due_at": None, "met_at": None, "paused": False, "breached": False}
    assert case["history"] == [{"from": None, "to": "open", "at": case["opened_at"], "by": None, "note": None}]
    assert case == (await api.get(f"/v1/cases/{case['case_id']}")).json()


async def test_a_case_is_acknowledged_without_a_body(api):
    case = await open_case(api)
    reply = await api.post(f"/v1/cases/{case['case_id']}/acknowledgement")
    assert (reply.status_code, reply.json()["state"]) == (200, "acknowledged"), reply.text


async def test_a_case_is_followed_to_its_end(api):
    case = await open_case(api)
    reply = await api.post(f"/v1/cases/{case['case_id']}/acknowledgement", json={"by": "s-1", "note": "on it"})
    assert (reply.status_code, reply.json()["state"]) == (200, "acknowledged")
    reply = await api.post(f"/v1/cases/{case['case_id']}/contacts", json=CONTACT)
    assert reply.status_code == 201
    assert reply.json()["clocks"]["first_response"]["met_at"] == reply.json()["contacts"][0]["at"]
    await step(api, case, "in_progress")
    await step(api, case, "action_taken")
    closed = await step(api, case, "closed", confirmation="confirmed")
    assert (closed["state"], closed["confirmation"], closed["root_cause"]) == ("closed", "confirmed", "late delivery")
    assert [taken["to"] for taken in closed["history"]] == [
        "open",
        "acknowledged",
        "in_progress",
        "action_taken",
        "closed",
    ]


async def test_a_step_that_is_not_next_is_409(api, problem):
    case = await open_case(api)
    reply = await api.post(f"/v1/cases/{case['case_id']}/transition", json={"to": "closed"})
    problem(reply, 409, "TRANSITION_NOT_ALLOWED", "/to")


async def test_action_taken_without_a_root_cause_is_422(api, problem):
    case = await open_case(api)
    await step(api, case, "acknowledged")
    await step(api, case, "in_progress")
    reply = await api.post(f"/v1/cases/{case['case_id']}/transition", json={"to": "action_taken"})
    problem(reply, 422, "ROOT_CAUSE_MISSING", "/root_cause")


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("transition", {}, "/to"),
        ("transition", {"to": "solved"}, "/to"),
        ("transition", {"to": 3}, "/to"),
        ("transition", {"to": "acknowledged", "note": "x" * 4_001}, "/note"),
        ("transition", {"to": "acknowledged", "note": "a\0"}, "/note"),
        ("transition", {"to": "acknowledged", "at": "yesterday"}, "/at"),
        ("transition", {"to": "acknowledged", "confirmation": "confirmed"}, "/confirmation"),
        ("transition", {"to": "acknowledged", "state": "open"}, "/state"),
        ("contacts", {**CONTACT, "outcome": "maybe"}, "/outcome"),
        ("contacts", {**CONTACT, "by": None}, "/by"),
        ("contacts", {"by": "s-1", "outcome": "reached"}, "/channel"),
        ("acknowledgement", {"by": ""}, "/by"),
    ],
)
async def test_a_bad_body_is_422_and_changes_nothing(api, problem, path, body, pointer):
    case = await open_case(api)
    problem(await api.post(f"/v1/cases/{case['case_id']}/{path}", json=body), 422, pointer=pointer)
    assert (await api.get(f"/v1/cases/{case['case_id']}")).json() == case


@pytest.mark.parametrize("call", [("GET", ""), ("PATCH", ""), ("POST", "/acknowledgement")])
async def test_an_unknown_case_is_404(api, problem, call):
    method, path = call
    body = None if method == "GET" else {}
    problem(await api.request(method, f"/v1/cases/case_nobody{path}", json=body), 404, "CASE_NOT_FOUND")


async def test_anothers_case_is_404(client, problem):
    case = await open_case(await client())
    problem(await (await client()).get(f"/v1/cases/{case['case_id']}"), 404, "CASE_NOT_FOUND")


async def test_a_case_is_linked_to_a_ticket_and_found_by_it(api):
    case = await open_case(api)
    body = {"owner": "s-1", "external_ref": "T-9", "external_url": "https://desk.example/T-9"}
    linked = (await api.patch(f"/v1/cases/{case['case_id']}", json=body)).json()
    assert {name: linked[name] for name in body} == body
    found = (await api.get("/v1/cases", params={"external_ref": "T-9"})).json()["data"]
    assert [one["case_id"] for one in found] == [case["case_id"]]


async def test_null_clears_and_absent_leaves(api):
    case = await open_case(api)
    await api.patch(f"/v1/cases/{case['case_id']}", json={"owner": "s-1", "external_ref": "T-9"})
    patched = (await api.patch(f"/v1/cases/{case['case_id']}", json={"owner": None})).json()
    assert (patched["owner"], patched["external_ref"]) == (None, "T-9")


async def test_a_repeated_key_answers_the_same_and_takes_effect_once(api):
    case = await open_case(api)
    path, headers = f"/v1/cases/{case['case_id']}/contacts", {"Idempotency-Key": "k-1"}
    first = await api.post(path, json=CONTACT, headers=headers)
    again = await api.post(path, json=CONTACT, headers=headers)
    assert again.headers["idempotent-replayed"] == "true"
    assert (again.status_code, again.json()) == (201, first.json())
    assert len((await api.get(f"/v1/cases/{case['case_id']}")).json()["contacts"]) == 1


async def test_a_key_with_another_body_is_422(api, problem):
    case = await open_case(api)
    path, headers = f"/v1/cases/{case['case_id']}/contacts", {"Idempotency-Key": "k-1"}
    await api.post(path, json=CONTACT, headers=headers)
    other = {**CONTACT, "outcome": "failed"}
    problem(await api.post(path, json=other, headers=headers), 422, "IDEMPOTENCY_KEY_REUSED")


async def test_the_past_can_be_told_by_those_who_may(api, client, problem):
    then = now() - timedelta(days=100)
    case = await open_case(api, at=then)
    at = rfc3339(then + timedelta(hours=1))
    made = await api.post("/v1/api_keys", json={"name": "desk", "scopes": ["feedback:read", "feedback:write"]})
    desk = await client(made.json()["key"])
    path = f"/v1/cases/{case['case_id']}/contacts"
    refused = problem(await desk.post(path, json={**CONTACT, "at": at}), 403, "SCOPE_MISSING")
    assert refused["scope"] == "history:write"
    reply = await api.post(path, json={**CONTACT, "at": at})
    assert reply.json()["clocks"]["first_response"] == {
        "due_at": rfc3339(then + timedelta(hours=24)),
        "met_at": at,
        "paused": False,
        "breached": False,
    }
    assert (await desk.post(path, json={**CONTACT, "at": rfc3339(now())})).status_code == 201


async def test_no_step_is_before_the_last_one_or_ahead(api, problem):
    then = now() - timedelta(days=100)
    case = await open_case(api, at=then)
    path = f"/v1/cases/{case['case_id']}/acknowledgement"
    early = {"at": rfc3339(then - timedelta(hours=1))}
    problem(await api.post(path, json=early), 422, "AT_BEFORE_LAST_STEP", "/at")
    ahead = {"at": rfc3339(now() + timedelta(hours=1))}
    problem(await api.post(path, json=ahead), 422, "AT_IN_FUTURE", "/at")


async def test_cases_are_filtered_and_paged(api):
    made = [(await open_case(api, f"c-{number}"))["case_id"] for number in range(3)]
    first = (await api.get("/v1/cases", params={"limit": 2, "state": "open"})).json()
    rest = (await api.get("/v1/cases", params={"limit": 2, "state": "open", "cursor": first["next_cursor"]})).json()
    assert [case["case_id"] for case in (*first["data"], *rest["data"])] == made[::-1]
    assert rest["next_cursor"] is None
    assert (await api.get("/v1/cases", params={"state": "closed"})).json() == {"data": [], "next_cursor": None}


async def test_overdue_cases_are_found(api):
    late = await open_case(api, "c-1", at=now() - timedelta(days=2))
    await open_case(api, "c-2")
    listed = (await api.get("/v1/cases", params={"overdue": "true"})).json()["data"]
    assert [case["case_id"] for case in listed] == [late["case_id"]]
    assert listed[0]["clocks"]["first_response"]["breached"] is True


@pytest.mark.parametrize(
    ("params", "pointer"),
    [
        ({"state": "solved"}, "?state"),
        ({"overdue": "perhaps"}, "?overdue"),
        ({"limit": "0"}, "?limit"),
        ({"updated_after": "yesterday"}, "?updated_after"),
        ({"colour": "red"}, "?colour"),
    ],
)
async def test_a_bad_filter_is_422(api, problem, params, pointer):
    problem(await api.get("/v1/cases", params=params), 422, pointer=pointer)


async def test_suppressions_are_listed_with_their_trigger(api):
    old = now() - timedelta(days=30)
    answer = {"response_id": "r-old", "customer_id": "c-1", "metric": "nps", "score": 0, "occurred_at": rfc3339(old)}
    await api.post("/v1/responses", json=answer)
    listed = (await api.get("/v1/suppressions", params={"reason": "TOO_OLD"})).json()
    trigger = {"kind": "response", "id": "r-old", "at": rfc3339(old)}
    assert listed == {"data": [{"trigger": trigger, "reason": "TOO_OLD"}], "next_cursor": None}
    assert (await api.get("/v1/cases")).json()["data"] == []


async def test_who_may_not_be_contacted_is_marked(api):
    trigger = await unhappy(api, contact_ok=False)
    listed = (await api.get("/v1/cases", params={"trigger_id": trigger})).json()["data"]
    assert listed[0]["do_not_contact"] is True
