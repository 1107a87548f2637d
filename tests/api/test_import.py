"""An import end to end: a file and a map through the gateway into answers, cases and KPIs."""

import asyncio
import csv
import gzip
import io
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from deploy.local.importer.command import Order, Result, carried_out
from deploy.local.importer.problems import CannotRunError
from libs.common import clock

RESPONSES = """
target = "responses"
[file]
blanks = ["", "NA"]
[fields]
response_id = { hash = ["Answered", "About", "Score", "Comment"], prefix = "answer-" }
customer_id = { template = "crm-{No}" }
occurred_at = { column = "Answered", formats = ["%d/%m/%Y %H:%M"], timezone = "UTC" }
metric = "nps"
kind = "transactional"
moment = { column = "About" }
score = { column = "Score" }
verbatim = { column = "Comment" }
"""
CUSTOMERS = """
target = "customers"
[fields]
customer_id = { template = "crm-{No}" }
name = { column = "Name" }
"""
MENTIONS = """
target = "mentions"
[file]
format = "ndjson"
[fields]
mention_id = { template = "post-{number}" }
site = { column = ["place", "site"] }
text = { column = "text" }
reach = { column = "seen" }
occurred_at = { column = "at", formats = ["epoch_seconds"] }
"""
HEADER = ("No", "Answered", "About", "Score", "Comment")
Import = Callable[..., Awaitable[Result]]


@pytest.fixture
async def imported(world, api, tmp_path) -> Import:
    """Import bytes by a map into the tenant of `api`."""
    gateway = await world.service("gateway")
    key = api.headers["authorization"].removeprefix("Bearer ")

    async def run(content: bytes, text: str, **more: object) -> Result:
        file, map_file = tmp_path / "export", tmp_path / "map.toml"
        file.write_bytes(content)
        map_file.write_text(text)
        order = Order(
            file=file, map_file=map_file, rejects=tmp_path / "rejects", api_key=key,
            base_url=f"http://{gateway.address}", **more,
        )  # fmt: skip
        return await asyncio.to_thread(carried_out, order)

    return run


@pytest.fixture
def rejects(tmp_path):
    """Read the rejects of the last import: line, column, code and who refused."""

    def read():
        found = map(json.loads, (tmp_path / "rejects").read_text().splitlines())
        return [(entry["line"], entry["column"], entry["code"], entry["by"]) for entry in found]

    return read


def as_csv(*rows, header=HEADER):
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    return text.getvalue().encode()


def of_the_past(num_rows=60):
    """Make answers of March 2024: every eleventh is a 0, every seventh has no score but a comment."""
    return [
        (number % 9, f"{number % 28 + 1:02}/03/2024 10:{number % 60:02}", ("Order", "Repair")[number % 2],
         "NA" if number % 7 == 6 else number % 11, f"Simulated comment {number}")
        for number in range(num_rows)
    ]  # fmt: skip


def nps(scores):
    return 100 * (sum(score >= 9 for score in scores) - sum(score <= 6 for score in scores)) / len(scores)


async def test_kpis_equal_arithmetic_on_the_file(api, imported):
    rows = of_the_past()
    done = await imported(as_csv(*rows), RESPONSES)
    assert (done.counts.rows, done.counts.stored, done.counts.rejected) == (60, 60, 0)
    scored = {about: [row[3] for row in rows if row[2] == about and row[3] != "NA"] for about in ("Order", "Repair")}
    found = (await api.get("/v1/kpis/nps", params={"by": "moment"})).json()
    everything = [*scored["Order"], *scored["Repair"]]
    assert (found["n"], found["value"]) == (len(everything), pytest.approx(nps(everything), abs=1e-9))
    groups = {group["key"]: (group["n"], pytest.approx(group["value"], abs=1e-9)) for group in found["groups"]}
    assert groups == {about: (len(scores), nps(scores)) for about, scores in scored.items()}


async def test_no_score_is_null_and_zero_is_zero(api, imported):
    rows = of_the_past()
    await imported(as_csv(*rows), RESPONSES)
    found = [answer["score"] for answer in (await api.get("/v1/responses?limit=200")).json()["data"]]
    wanted = [None if row[3] == "NA" else row[3] for row in rows]
    assert (len(found), found.count(None), found.count(0)) == (60, wanted.count(None), wanted.count(0))


async def test_the_same_file_again_is_all_duplicates(api, imported):
    content = as_csv(*of_the_past(), *of_the_past(3))  # three rows stand there twice, and are six answers
    first = await imported(content, RESPONSES)
    again = await imported(gzip.compress(content), RESPONSES)
    assert (first.counts.stored, first.counts.duplicates) == (63, 0)
    assert (again.counts.stored, again.counts.duplicates) == (0, 63)
    assert (await api.get("/v1/kpis/nps")).json()["n"] == 63 - 8


async def test_refused_rows_are_told_and_cost_no_other(api, imported, rejects):
    rows = [
        (1, "13/03/2024 10:00", "Order", 9, "good\non two lines"),
        (2, "31/02/2024 10:00", "Order", 9, "no such day"),
        (3, "13/03/2024 10:00", "Order", 11, "no such score"),
        (4, "13/03/2024 10:00", "Order", "nine", "no number"),
        (5, "13/03/2999 10:00", "Order", 9, "not yet"),
        ("a@example.org", "13/03/2024 10:00", "Order", 9, "an address"),
        (6, "13/03/2024 10:00", "Order"),
        (7, "13/03/2024 10:00", "Order", "", ""),
        (8, "14/03/2024 10:00", "Order", 0, "good"),
    ]
    done = await imported(as_csv(*rows), RESPONSES)
    assert (done.counts.stored, done.counts.rejected) == (2, 7)
    assert rejects() == [
        (4, "Answered", "DATE_UNREADABLE", "import"),
        (5, "Score", "OUT_OF_RANGE", "api"),
        (6, "Score", "NOT_A_NUMBER", "import"),
        (7, "Answered", "OCCURRED_AT_IN_FUTURE", "api"),
        (8, "No", "ID_IS_PERSONAL", "api"),
        (9, None, "WRONG_NUMBER_OF_CELLS", "import"),
        (10, "Score", "BLANK", "import"),
    ]
    assert (await api.get("/v1/kpis/nps")).json()["n"] == 2


async def test_month_first_dates_under_a_day_first_map_store_nothing(api, imported, rejects):
    rows = [(number, f"03/{number:02}/2024 10:00", "Order", 9, "") for number in range(1, 29)]
    done = await imported(as_csv(*rows), RESPONSES)
    assert (done.counts.stored, done.counts.rejected) == (0, 28)
    assert {code for _, _, code, _ in rejects()} == {"DATE_ORDER_IN_DOUBT"}
    assert (await api.get("/v1/kpis/nps")).json()["n"] == 0


async def test_old_answers_open_cases_only_as_history(api, imported):
    row = (1, "13/03/2024 10:00", "Order", 2, "bad")
    await imported(as_csv(row), RESPONSES)
    assert (await api.get("/v1/cases")).json()["data"] == []
    found = (await api.get("/v1/suppressions")).json()["data"]
    assert [(entry["reason"], entry["trigger"]["at"]) for entry in found] == [("TOO_OLD", "2024-03-13T10:00:00Z")]


async def test_history_opens_cases_with_the_clocks_of_that_day(api, imported):
    await imported(as_csv((1, "13/03/2024 10:00", "Order", 2, "bad")), RESPONSES, history=True)
    (case,) = (await api.get("/v1/cases")).json()["data"]
    due = {name: case["clocks"][name]["due_at"] for name in ("first_response", "resolution")}
    assert case["opened_at"] == "2024-03-13T10:00:00Z"
    assert due == {"first_response": "2024-03-14T10:00:00Z", "resolution": "2024-03-20T10:00:00Z"}
    assert (await api.get("/v1/suppressions")).json()["data"] == []


async def test_an_answer_of_today_opens_a_live_case_and_moves_the_score(api, imported, eventually):
    at = clock.now() - timedelta(hours=1)
    await imported(as_csv((1, f"{at:%d/%m/%Y %H:%M}", "Order", 2, "bad")), RESPONSES)
    (case,) = (await api.get("/v1/cases?customer_id=crm-1")).json()["data"]
    assert case["state"] == "open"

    async def scored():
        return (await api.get("/v1/customers/crm-1/score")).json()["value"] is not None

    await eventually(scored)


async def test_customers_are_updated_where_they_differ(api, imported):
    header = ("No", "Name")
    first = await imported(as_csv((1, "Simulated customer 1"), (2, "Simulated customer 2"), header=header), CUSTOMERS)
    again = await imported(as_csv((1, "Simulated customer 1"), (2, "Simulated hotel 2"), header=header), CUSTOMERS)
    assert (first.counts.stored, again.counts.stored, again.counts.unchanged) == (2, 1, 1)
    assert (await api.get("/v1/customers/crm-2")).json()["name"] == "Simulated hotel 2"


async def test_mentions_come_from_ndjson(api, imported, rejects):
    posts = [
        {"number": n, "place": {"site": "forum"}, "text": f"Post {n}", "seen": n, "at": 1719828000} for n in (1, 2)
    ]
    lines = [json.dumps(posts[0]), "{", "", json.dumps(posts[1])]
    done = await imported("\n".join(lines).encode(), MENTIONS)
    assert (done.counts.rows, done.counts.stored, rejects()) == (3, 2, [(2, None, "NOT_JSON", "import")])
    found = (await api.get("/v1/mentions/post-2")).json()
    assert (found["site"], found["text"], found["reach"], found["occurred_at"]) == (
        "forum", "Post 2", 2, "2024-07-01T10:00:00Z",
    )  # fmt: skip


async def test_a_key_without_the_scope_says_which(world, api, tmp_path):
    made = await api.post("/v1/api_keys", json={"name": "reader", "scopes": ["feedback:read"]})
    gateway = await world.service("gateway")
    (tmp_path / "export.csv").write_bytes(as_csv((1, "13/03/2024 10:00", "Order", 9, "")))
    (tmp_path / "map.toml").write_text(RESPONSES)
    order = Order(
        file=tmp_path / "export.csv", map_file=tmp_path / "map.toml", rejects=tmp_path / "rejects",
        api_key=made.json()["key"], base_url=f"http://{gateway.address}",
    )  # fmt: skip
    with pytest.raises(CannotRunError, match="feedback:write"):
        await asyncio.to_thread(carried_out, order)
