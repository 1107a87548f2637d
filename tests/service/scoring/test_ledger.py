"""The ledger as the app role sees it: found by index, told apart by tenant, rebuilt by a replay."""

import uuid
from datetime import timedelta

import asyncpg
import pytest

from libs.common import clock, tenancy
from libs.common.events import emit, request_replay
from plaudit.scoring.v1 import scoring_service_pb2 as pb
from services.scoring import store

from ..messages import message
from .conftest import LONG_AGO, activity, response

ROWS = """insert into signals (tenant_id, recorded_at, occurred_at, counts_from, day, weight_micros, dimension,
                              customer_id, signal, source_kind, source_id)
select $1, $2, $2, $2, ($2::timestamptz)::date, 1000000, 1, 'c' || (i % 2000), 'nps.promoter', 'response', 'r' || i
from generate_series(1, 20000) i"""
VOIDS = "insert into voids select $1, 'activity', 'a' || i, $2 from generate_series(1, 5000) i"


@pytest.fixture
async def conn(world, tenant):
    opened = await world.connect("scoring", tenant)
    yield opened
    await opened.close()


@pytest.fixture
async def full(world, conn, tenant):
    """A ledger that is large enough for the planner to care."""
    now = clock.now()
    await conn.execute(ROWS, tenant, now)
    await conn.execute(VOIDS, tenant, now)
    owner = await world.connect("scoring", role="owner")
    await owner.execute("analyze signals")
    await owner.execute("analyze voids")
    await owner.close()


@pytest.mark.parametrize(
    ("sql", "customers"), [(store._LIST_ROWS, "c7"), (store._LIST_SUMS, [f"c{number}" for number in range(50)])]
)
async def test_the_ledger_is_read_by_index(full, conn, tenant, sql, customers):
    rows = await conn.fetch(f"explain {sql}", tenant, customers, clock.now())
    plan = "\n".join(row[0] for row in rows)
    # An empty partition costs nothing, however it is read.
    filled = clock.now().strftime("signals_p%Y%m01")
    assert filled in plan
    assert f"Seq Scan on {filled}" not in plan


async def test_whether_a_customer_was_seen_is_read_by_index(full, conn, tenant):
    assert await store.is_seen(conn, tenant, "c7")
    assert not await store.is_seen(conn, tenant, "nobody")


async def test_the_app_role_alters_nothing_in_the_ledger(full, conn):
    for statement in ("update signals set weight_micros = 0", "delete from signals", "delete from voids"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await conn.execute(statement)


async def test_another_tenant_has_an_empty_ledger(full, world):
    other = await world.connect("scoring", uuid.uuid4())
    assert [await other.fetchval(f"select count(*) from {table}") for table in ("signals", "voids", "scores")] == [
        0,
        0,
        0,
    ]
    await other.close()


async def test_a_row_of_another_tenant_is_refused(conn):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await conn.execute(VOIDS, uuid.uuid4(), clock.now())


async def test_the_same_message_again_changes_nothing(publish, scores, metadata, world, tenant, eventually, ledger_of):
    await world.service("scoring")
    once = message(tenant, [response("r1", "ann", 9), response("r2", "ann", 4)])
    last = message(tenant, [activity("a1", "ann", "purchase.completed")])
    await publish(once, once, once, last)
    await eventually(lambda: _is(ledger_of(tenant), 3))
    request = pb.GetScoreRequest(customer_id="ann", as_of=LONG_AGO)
    first = await scores.GetScore(request, metadata=metadata(tenant), timeout=5)
    await publish(once, message(tenant, [activity("a2", "bob", "purchase.completed")]))
    await eventually(lambda: _is(ledger_of(tenant), 4))
    assert await scores.GetScore(request, metadata=metadata(tenant), timeout=5) == first


async def test_a_replay_of_everything_ends_in_the_same_scores(world, scores, metadata, tenant, eventually, ledger_of):
    feedback = await world.service("feedback")
    await _record(feedback, tenant, [response(f"r{n}", f"c{n % 3}", n % 11) for n in range(40)])
    await eventually(lambda: _is(ledger_of(tenant), 40))
    before = await _scores(scores, metadata, tenant)
    await request_replay(world.stack.addresses.nats_url, clock.now() - timedelta(hours=1))
    marker = uuid.uuid4()
    await _record(feedback, marker, [response("r", "c", 1)])
    await eventually(lambda: _is(ledger_of(marker), 1))
    await eventually(lambda: _republished(world, tenant))
    assert await _scores(scores, metadata, tenant) == before
    assert await ledger_of(tenant) == 40


async def _record(feedback, tenant_id, payloads):
    async with tenancy.hot(feedback.deps.db, tenant_id) as conn:
        await emit(conn, tenant_id, payloads)


async def _republished(world, tenant_id):
    conn = await world.connect("feedback", tenant_id)
    rows = await conn.fetch("select replays, published_at from outbox where tenant_id = $1", tenant_id)
    await conn.close()
    return rows and all(row["replays"] and row["published_at"] for row in rows)


async def _scores(scores, metadata, tenant_id):
    found = []
    for customer_id in ("c0", "c1", "c2"):
        request = pb.GetScoreRequest(customer_id=customer_id, as_of=LONG_AGO)
        answer = await scores.GetScore(request, metadata=metadata(tenant_id), timeout=5)
        found.append(answer.SerializeToString(deterministic=True))
    return found


async def _is(count, wanted):
    return await count == wanted
