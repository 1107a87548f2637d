"""Reads under row-level security use indexes: asked of the planner as the app role, on tables of some size."""

import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from libs.common import clock, tenancy
from plaudit.profile.v1 import profile_service_pb2 as pb
from services.profile import store
from services.profile.store import activities as activity_rows
from services.profile.store import customers as customer_rows

TENANTS = 10
SINCE = datetime(2026, 3, 1, tzinfo=UTC)

FILL = (
    """insert into customers (tenant_id, customer_id, name, account_id, known, created_at, updated_at, version)
       select $1, 'c-' || i, 'name ' || i, 'acme-' || i % 100, true, $2, $2::timestamptz + i * interval '1 second', 1
       from generate_series(1, 1000) i""",
    """insert into customer_tokens (tenant_id, token, customer_id)
       select $1, 'name ' || i, 'c-' || i from generate_series(1, 1000) i where $2::timestamptz is not null""",
    """insert into views (tenant_id, customer_id, score_version, score_value, score_satisfaction, score_loyalty,
                          score_advocacy, score_influence, score_model, score_as_of)
       select $1, 'c-' || i, 1, i / 10.0, 0, 0, 0, 0, '1', $2 from generate_series(1, 1000) i""",
    """insert into customer_cases (tenant_id, case_id, customer_id, is_open, opened_at, changed_at, version)
       select $1, 'case_' || i, 'c-' || i, true, $2, $2, 1 from generate_series(1, 1000) i""",
    """insert into activities
           (tenant_id, activity_id, recorded_at, received_at, occurred_at, history, customer_id, type, has_act)
       select $1, 'a-' || i, $2, $2, $2::timestamptz + i * interval '1 second', false, 'c-' || i % 500,
           'usage.reported', false from generate_series(1, 2000) i""",
    """insert into voids (tenant_id, activity_id, reason, voided_at)
       select $1, 'a-' || i, '', $2 from generate_series(1, 1000) i""",
)


@pytest.fixture(scope="module")
async def filled(world):
    """Ten tenants with a thousand customers each; gives one of them."""
    tenants = [uuid.uuid4() for _ in range(TENANTS)]
    for tenant_id in tenants:
        conn = await world.connect("profile", tenant_id)
        for statement in FILL:
            await conn.execute(statement, tenant_id, clock.now())
        await conn.close()
    owner = await world.connect("profile", role="owner")
    await owner.execute("analyze")
    await owner.close()
    return tenants[0]


def scans_of(plan):
    """Return the tables of more than a few rows that a plan reads from end to end."""
    found = [plan["Relation Name"]] if plan["Node Type"] == "Seq Scan" and plan["Plan Rows"] > 1 else []
    return found + [scan for inner in plan.get("Plans", ()) for scan in scans_of(inner)]


def page(after=None, **filters):
    asked = pb.ListCustomersRequest(**filters)
    return lambda conn: store.list_views(conn, asked, after=after, limit=51, now=clock.now())


def ledger(before=None, **filters):
    asked = pb.ListActivitiesRequest(**filters)
    return lambda conn: store.list_activities(conn, asked, before=before, limit=51)


READS = {
    "one view": lambda conn: store.get_view(conn, "c-17", clock.now()),
    "all": page(),
    "all, further on": page(after=(None, "c-17")),
    "search": page(q="name 17"),
    "account": page(account_id="acme-7"),
    "high score": page(min_score=99.0),
    "changed": page(updated_after=clock.now() + timedelta(seconds=900)),
    "changed, further on": page(updated_after=SINCE, after=(clock.now() + timedelta(seconds=900), "c-17")),
    "archived": page(archived=True),
    "one activity": lambda conn: store.get_activity(conn, "a-17"),
    "activities": ledger(),
    "activities of one": ledger(customer_id="c-17"),
    "activities of one, further on": ledger(customer_id="c-17", before=(clock.now(), "a-17")),
    "activities between": ledger(**{"from": clock.now()}, to=clock.now() + timedelta(seconds=30)),
}


@pytest.mark.parametrize("name", READS)
async def test_a_read_uses_indexes(world, filled, name):
    database = (await world.service("profile")).deps.db
    asked = []

    def note(conn, cursor, statement, parameters, context, executemany):
        asked.append((statement, parameters))

    async with tenancy.transaction(database, filled) as conn:
        sa.event.listen(conn.sync_connection, "before_cursor_execute", note)
        await READS[name](conn)
        statement, parameters = asked[-1]
        plan = (await conn.exec_driver_sql(f"explain (format json) {statement}", parameters)).scalar_one()
        sa.event.remove(conn.sync_connection, "before_cursor_execute", note)
    plan = json.loads(plan) if isinstance(plan, str) else plan

    assert scans_of(plan[0]["Plan"]) == []


@pytest.mark.parametrize(
    ("statement", "arguments"),
    [
        (customer_rows._GET, [["c-17", "c-18"]]),
        (customer_rows._LOCK, [["c-17", "c-18"]]),
        (activity_rows._STEPS, [["c-17"], ["purchase.completed"]]),
    ],
)
async def test_a_set_is_read_by_its_keys(world, filled, statement, arguments):
    conn = await world.connect("profile", filled)
    plan = json.loads(await conn.fetchval(f"explain (format json) {statement}", *arguments))
    await conn.close()

    assert scans_of(plan[0]["Plan"]) == []
