"""Every read finds its rows by an index, row-level security and all: only leakproof operators reach one."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from plaudit.feedback.v1 import feedback_service_pb2 as pb
from services.feedback.store import kpis, pages
from services.feedback.tables import case_steps, cases, contacts, mentions, responses, triggers
from tests.conftest import World

AT = datetime(2026, 3, 1, tzinfo=UTC)
LISTED = pb.ListResponsesRequest(customer_id="c-1")
RESPONSES = pages.Page(LISTED, [responses.c.occurred_at, responses.c.response_id], descending=True)
LISTED.page_token = RESPONSES.cut([("a", AT), ("b", AT)] * 51, lambda _: [AT, "r-1"])[1]
NEXT = pages.Page(LISTED, [responses.c.occurred_at, responses.c.response_id], descending=True)
OPEN = cases.c.state.not_in(["closed", "suppressed"])


FILL = """
insert into responses (tenant_id, response_id, recorded_at, received_at, occurred_at, history, customer_id, metric,
    kind, scale, score)
select $1, 'r-' || n, now(), now(), $2::timestamptz + n * interval '1 minute', true, 'c-' || n % 5000, 'nps',
    'relationship', '0-10', n % 11 from generate_series(1, 20000) n;
insert into mentions (tenant_id, mention_id, recorded_at, received_at, occurred_at, history, campaign)
select $1, 'm-' || n, now(), now(), $2::timestamptz + n * interval '1 minute', true, 'p-' || n % 500
    from generate_series(1, 20000) n;
insert into cases (tenant_id, case_id, customer_id, team, owner, urgency, state, do_not_contact, opened_at, updated_at,
    version, due_at, external_ref)
select $1, 'case_' || n, 'c-' || n, 'default', 's-' || n % 100, 'normal',
    case when n % 50 = 0 then 'open' else 'closed' end,
    false, now(), $2::timestamptz + n * interval '1 minute', 1, $2::timestamptz + n * interval '1 hour', 'T-' || n
    from generate_series(1, 20000) n;
insert into triggers (tenant_id, kind, id, at, case_id, reason)
select $1, 'response', 'r-' || n, $2::timestamptz + n * interval '1 minute',
    case when n % 2 = 0 then 'case_' || n end,
    case when n % 2 = 1 then 'TOO_OLD' end from generate_series(1, 20000) n;
insert into contacts (tenant_id, case_id, num, at, by, channel, outcome)
select $1, 'case_' || n, 1, now(), 's-1', 'phone', 'reached' from generate_series(1, 20000) n;
insert into case_steps (tenant_id, case_id, num, to_state, at)
select $1, 'case_' || n, 1, 'open', now() from generate_series(1, 20000) n"""


@pytest.fixture(scope="module")
async def crowded(world: World) -> uuid.UUID:
    """A tenant with enough rows that a plan says something."""
    await world.service("feedback")
    tenant_id = uuid.uuid4()
    start = datetime(2026, 2, 20, tzinfo=UTC)
    conn = await world.connect("feedback", tenant_id)
    owner = await world.connect("feedback", role="owner")
    try:
        for statement in FILL.split(";"):
            names = ("$1", "$2") if "$2" in statement else ("$1",)
            await conn.execute(statement, *(tenant_id, start)[: len(names)])
        await owner.execute("analyze responses, mentions, cases, triggers, contacts, case_steps")
    finally:
        await conn.close()
        await owner.close()
    return tenant_id


async def plan_of(conn: asyncpg.Connection, sql: str, arguments: Sequence[object] = ()) -> str:
    """Return how PostgreSQL would run a statement that may not read whole tables."""
    async with conn.transaction():
        await conn.execute("set local enable_seqscan = off; set local plan_cache_mode = force_generic_plan")
        return "\n".join(row[0] for row in await conn.fetch(f"explain {sql}", *arguments))


@pytest.mark.parametrize(
    ("query", "column"),
    [
        (sa.select(responses).where(responses.c.response_id == "r-1"), "response_id"),
        (RESPONSES.apply(sa.select(responses)), "tenant_id"),
        (NEXT.apply(sa.select(responses).where(responses.c.customer_id == "c-1")), "occurred_at"),
        (sa.select(responses).where(responses.c.customer_id == "c-1"), "customer_id"),
        (sa.select(responses).where(responses.c.occurred_at >= AT.replace(day=5)), "occurred_at"),
        (sa.select(mentions).where(mentions.c.mention_id == "m-1"), "mention_id"),
        (sa.select(mentions).where(mentions.c.campaign == "spring"), "campaign"),
        (sa.select(mentions).where(mentions.c.occurred_at >= AT.replace(day=5)), "occurred_at"),
        (sa.select(cases).where(cases.c.case_id == "case_1"), "case_id"),
        (sa.select(cases).where(cases.c.customer_id == "c-1", OPEN), "customer_id"),
        (sa.select(cases).where(cases.c.state == "acknowledged"), "state"),
        (sa.select(cases).where(cases.c.owner == "s-1"), "owner"),
        (sa.select(cases).where(cases.c.external_ref == "T-9"), "external_ref"),
        (sa.select(cases).where(cases.c.due_at < AT.replace(month=2, day=21)), "due_at"),
        (sa.select(cases).where(cases.c.updated_at > AT.replace(day=5)), "updated_at"),
        (sa.select(triggers).where(triggers.c.id == "r-1", triggers.c.case_id.is_not(None)), "id"),
        (sa.select(triggers).where(triggers.c.case_id == "case_1"), "case_id"),
        (sa.select(triggers).where(triggers.c.at >= AT.replace(day=5), triggers.c.reason.is_not(None)), "at"),
        (sa.select(contacts).where(contacts.c.case_id == "case_1"), "case_id"),
        (sa.select(case_steps).where(case_steps.c.case_id == "case_1"), "case_id"),
    ],
)
async def test_a_read_uses_an_index(world: World, crowded: uuid.UUID, query: sa.Select[object], column: str) -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    sql = str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    conn = await world.connect("feedback", crowded)
    try:
        plan = await plan_of(conn, sql)
    finally:
        await conn.close()
    conditions = [line for line in plan.splitlines() if "Index Cond" in line]
    assert conditions
    assert all("tenant_id" in line for line in conditions)
    assert any(column in line for line in conditions), plan
    assert "Seq Scan" not in plan, plan


@pytest.mark.parametrize("kind", [None, "relationship"])
async def test_a_kpi_reads_its_period_by_index(world: World, crowded: uuid.UUID, kind: str | None) -> None:
    question = kpis.Question("nps", AT, AT.replace(day=2), kind, "moment")
    sql, arguments = kpis.picked(question)
    conn = await world.connect("feedback", crowded)
    try:
        plan = await plan_of(conn, sql, arguments)
    finally:
        await conn.close()
    assert "Seq Scan" not in plan, plan
    assert all("occurred_at" in line for line in plan.splitlines() if "Index Cond" in line), plan
