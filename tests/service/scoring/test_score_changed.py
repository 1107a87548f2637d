"""ScoreChanged: told when a score moves by a point, by facts or by time alone."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.common import clock
from plaudit.event.v1.event_batch_pb2 import EventBatch
from plaudit.profile.v1.profile_events_pb2 import ActivityVoided
from plaudit.scoring.v1.scoring_events_pb2 import ScoreChanged
from services.scoring.timers import on_due_drift, on_due_score

from .conftest import activity, response


@pytest.fixture
async def told(world: Any, tenant: uuid.UUID) -> AsyncIterator[Any]:
    """Read what the outbox tells of the test's tenant, oldest version first."""
    conn = await world.connect("scoring", tenant)

    async def read() -> list[ScoreChanged]:
        subject = ScoreChanged.DESCRIPTOR.full_name
        rows = await conn.fetch("select payload from outbox where tenant_id = $1 and subject = $2", tenant, subject)
        batches = [EventBatch.FromString(row["payload"]) for row in rows]
        found = [ScoreChanged.FromString(event.payload) for batch in batches for event in batch.events]
        return sorted(found, key=lambda change: (change.customer_id, change.version))

    yield read
    await conn.close()


@pytest.fixture
async def app(world: Any, tenant: uuid.UUID) -> AsyncIterator[Any]:
    """A connection of scoring's app role, under the test's tenant."""
    conn = await world.connect("scoring", tenant)
    yield conn
    await conn.close()


async def test_a_first_score_is_told_with_its_dimensions(tell, told, eventually):
    now = clock.now()
    await tell(response("r1", "ann", 10, at=now), response("r2", "bob", 3, at=now))
    ann, bob = await eventually(lambda: _all(told(), 2))
    assert (ann.customer_id, ann.value, ann.satisfaction, ann.version) == ("ann", 70, 20, 1)
    assert (bob.customer_id, bob.value, bob.satisfaction, bob.version) == ("bob", 25, -25, 1)


async def test_a_score_that_loses_its_last_signal_is_told_as_absent(tell, told, eventually):
    await tell(activity("a1", "ann", "subscription.cancelled", at=clock.now()))
    await eventually(lambda: _all(told(), 1))
    await tell(ActivityVoided(activity_id="a1", customer_id="ann", voided_at=clock.now()))
    last = (await eventually(lambda: _all(told(), 2)))[-1]
    assert not last.HasField("value")
    assert last.version == 2


async def test_a_move_by_less_than_a_point_is_not_told(tell, told, eventually, app, tenant):
    now = clock.now()
    await tell(activity("a1", "ann", "purchase.completed", at=now))
    await eventually(lambda: _all(told(), 1))
    first = await _moves_on(app, tenant)
    await tell(activity("a2", "ann", "purchase.completed", at=now - timedelta(days=200)))
    await eventually(lambda: _is_other(_moves_on(app, tenant), first))
    assert len(await told()) == 1


async def test_time_alone_is_told_on_the_day_it_has_moved_the_score(tell, told, eventually, app, tenant):
    await tell(response("r1", "ann", 10, at=clock.now()))
    await eventually(lambda: _all(told(), 1))
    day = await _moves_on(app, tenant)
    at = datetime(day.year, day.month, day.day, tzinfo=UTC)
    assert await _drifts_at(app, tenant) == [at]
    await on_due_drift(app, tenant, [], at - timedelta(seconds=1))
    assert len(await told()) == 1
    await on_due_drift(app, tenant, [], at)
    last = (await told())[-1]
    assert last.version == 2
    assert 18 < last.value - 50 <= 19
    assert await _moves_on(app, tenant) > day
    assert len(await _drifts_at(app, tenant)) == 2


async def test_more_drifting_than_one_transaction_takes_come_next(tell, told, eventually, app, tenant, monkeypatch):
    monkeypatch.setattr("services.scoring.timers.DRIFTING_AT_ONCE", 2)
    now = clock.now()
    await tell(*(response(f"r{number}", f"c{number}", 10, at=now) for number in range(5)))
    await eventually(lambda: _all(told(), 5))
    later = now + timedelta(days=30)
    for wanted in (7, 9, 10, 10):
        await on_due_drift(app, tenant, [], later)
        assert len(await told()) == wanted


async def test_a_repeated_wake_tells_nothing(tell, told, eventually, app, tenant):
    await tell(response("r1", "ann", 10, at=clock.now()))
    await eventually(lambda: _all(told(), 1))
    await on_due_score(app, tenant, ["ann", "ann/bob//0", "ann//1"], clock.now())
    assert len(await told()) == 1


async def _all(told, wanted):
    found = await told
    return found if len(found) >= wanted else None


async def _moves_on(app, tenant):
    return await app.fetchval("select moves_on from scores where tenant_id = $1 and customer_id = 'ann'", tenant)


async def _drifts_at(app, tenant):
    rows = await app.fetch("select due_at from timers where tenant_id = $1 and kind = 'drift' order by 1", tenant)
    return [row["due_at"] for row in rows]


async def _is_other(found, first):
    return await found != first
