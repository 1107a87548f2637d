"""What profile learns from events: the blocks of the 360 view that other services fill."""

import asyncpg

from libs.common import clock
from libs.common.events import Batch, Handler
from plaudit.feedback.v1.feedback_events_pb2 import CaseChanged, ResponseRecorded
from plaudit.feedback.v1.feedback_pb2 import CaseState
from plaudit.scoring.v1.scoring_events_pb2 import ScoreChanged

from . import domain, store

_OVER = (CaseState.CASE_STATE_CLOSED, CaseState.CASE_STATE_SUPPRESSED)


async def on_response_recorded(conn: asyncpg.Connection, batch: Batch[ResponseRecorded]) -> None:
    """Keep each customer's latest answer; a customer not seen before becomes a stub."""
    named = [e for e in batch.events if e.payload.HasField("customer_id")]
    if named:
        ids = [e.payload.customer_id for e in named]
        await store.insert_stubs(conn, batch.tenant_id, ids, clock.now())
    answers = [
        (
            e.payload.customer_id,
            e.payload.response_id,
            e.payload.metric,
            e.payload.score if e.payload.HasField("score") else None,
            domain.utc(e.payload.occurred_at),
            e.recorded_at,
        )
        for e in named
    ]
    await store.save_answers(conn, batch.tenant_id, answers)


async def on_case_changed(conn: asyncpg.Connection, batch: Batch[CaseChanged]) -> None:
    """Keep where the customers' cases stand."""
    cases = [
        (
            e.payload.case_id,
            e.payload.customer_id,
            e.payload.state not in _OVER,
            clock.instant(e.payload.opened_at),
            clock.instant(e.payload.changed_at),
            e.payload.version,
        )
        for e in batch.events
        if e.payload.HasField("customer_id")
    ]
    await store.save_cases(conn, batch.tenant_id, cases)


async def on_score_changed(conn: asyncpg.Connection, batch: Batch[ScoreChanged]) -> None:
    """Keep each customer's latest score."""
    scores = [
        (
            e.payload.customer_id,
            e.payload.version,
            e.payload.value if e.payload.HasField("value") else None,
            e.payload.satisfaction,
            e.payload.loyalty,
            e.payload.advocacy,
            e.payload.influence,
            e.payload.model_version,
            clock.instant(e.payload.as_of),
        )
        for e in batch.events
    ]
    await store.save_scores(conn, batch.tenant_id, scores)


HANDLERS = (
    Handler(ResponseRecorded, on_response_recorded, stream=True),
    Handler(CaseChanged, on_case_changed),
    Handler(ScoreChanged, on_score_changed, stream=True),
)
