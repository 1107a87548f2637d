"""MetricService over gRPC: NPS, CSAT and CES out of counted answers."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import asyncpg

from libs.common import tenancy
from libs.common.db import Database
from libs.common.errors import InvalidArgument
from libs.common.tenancy import Context
from plaudit.feedback.v1 import feedback_service_pb2 as pb
from plaudit.feedback.v1 import feedback_service_pb2_grpc as rpc
from plaudit.feedback.v1.feedback_pb2 import RESPONSE_KIND_RELATIONSHIP, RESPONSE_KIND_TRANSACTIONAL

from .. import domain, store
from .calls import checked, refused

_KINDS = {RESPONSE_KIND_RELATIONSHIP: "relationship", RESPONSE_KIND_TRANSACTIONAL: "transactional"}
_ALONE = "set transaction isolation level repeatable read, read only"
"""Every count of one answer is of the same moment, so that groups and series add up to the whole."""

Series = list[tuple[datetime, datetime, domain.Counts]]
Key = tuple[str | None, ...]
"""What is tested: () for the whole, (key,) for a group."""


class MetricServicer(rpc.MetricServiceServicer):
    def __init__(self, db: Database) -> None:
        self._db = db

    async def GetMetric(self, request: pb.GetMetricRequest, context: Context) -> pb.GetMetricResponse:
        call = checked(request, context)
        question = _question_of(request)
        async with tenancy.hot(self._db, call) as conn:
            await conn.execute(_ALONE)
            tally = await store.tally(conn, question)
            series = await _series_of(conn, question, request.interval) if request.interval else []
            compared = await _compared(conn, question, tally, series)
        p_values = [domain.p_value_of(question.metric, *sides) for sides in compared.values()]
        verdicts = dict(zip(compared, domain.are_significant(p_values), strict=True))
        return pb.GetMetricResponse(kpi=_kpi_of(request, tally, series, verdicts))


def _question_of(request: pb.GetMetricRequest) -> store.Question:
    from_at = getattr(request, "from").ToDatetime(UTC) if request.HasField("from") else None
    to_at = request.to.ToDatetime(UTC) if request.HasField("to") else None
    if request.metric not in domain.METRICS:
        raise InvalidArgument("METRIC_UNKNOWN", "there is no such metric here", pointer="/metric")
    if request.by not in store.BY:
        names = ", ".join(filter(None, store.BY))
        raise InvalidArgument("METRIC_BY_UNSUPPORTED", f"this metric is grouped by one of {names}", pointer="?by")
    _check_period(request.interval, from_at, to_at)
    return store.Question(request.metric, from_at, to_at, _KINDS.get(request.kind), request.by)


def _check_period(interval: str, from_at: datetime | None, to_at: datetime | None) -> None:
    if problem := domain.problem_with_period(interval or None, from_at, to_at):
        raise refused(problem)


async def _series_of(conn: asyncpg.Connection, question: store.Question, interval: str) -> Series:
    """Count every interval of the period, those without answers too."""
    counted = await store.tally_series(conn, question, interval)
    # Of its own intervals: of a customer's answers the whole period may count the last alone, each interval its last.
    seen = (min(counted), max(counted)) if counted else None
    span = domain.span_of(interval, question.from_at, question.to_at, seen)
    if span is None:
        return []
    _check_period(interval, *span)
    cuts = domain.series_of(interval, *span)
    return [(start, end, counted.get(domain.start_of(interval, start), {})) for start, end in cuts]


async def _compared(
    conn: asyncpg.Connection, question: store.Question, tally: store.Tally, series: Series
) -> dict[Key, domain.Sides]:
    """Count what is tested: the last two points of a series, else the period and the one before it; each group."""
    compared: dict[Key, domain.Sides] = {}
    if len(series) > 1:
        (start, _, before), (since, end, after) = series[-2:]
        whole = replace(question, from_at=start, to_at=end, by="")
        compared[()] = before, after, (await _clusters(conn, whole, since))[None]
    if question.from_at is None or question.to_at is None:
        return compared
    both = replace(question, from_at=domain.start_before(question.from_at, question.to_at))
    earlier = await store.tally(conn, replace(both, to_at=question.from_at))
    if not series:
        whole = replace(both, by="")
        clusters = await _clusters(conn, whole, question.from_at)
        compared[()] = earlier.counts, tally.counts, clusters[None]
    if question.by:
        clusters = await _clusters(conn, both, question.from_at)
        for key, counts in tally.groups.items():
            compared[key,] = earlier.groups[key], counts, clusters[key]
    return compared


async def _clusters(conn: asyncpg.Connection, question: store.Question, since: datetime) -> store.Clusters:
    """Return who answered on both sides of a time; only the test for NPS asks."""
    return await store.clusters_of(conn, question, since) if question.metric == "nps" else store.Clusters(list)


def _kpi_of(
    request: pb.GetMetricRequest, tally: store.Tally, series: Series, verdicts: dict[Key, bool | None]
) -> pb.Kpi:
    variant, estimate = domain.METRICS[request.metric]
    kpi = pb.Kpi(
        metric=request.metric,
        variant=variant,
        significant_change=verdicts.get(()),
        mixed=domain.mixed_of(tally.kinds, tally.scales, tally.collected),
        **_shown(estimate(tally.counts)),
        se=estimate(tally.counts).se,
    )
    if request.HasField("from"):
        getattr(kpi, "from").CopyFrom(getattr(request, "from"))
    if request.HasField("to"):
        kpi.to.CopyFrom(request.to)
    for start, end, counts in series:
        kpi.series.add(to=end, **{"from": start}, **_shown(estimate(counts)))
    for key in domain.sorted_keys(tally.groups) if request.by else ():
        verdict = verdicts.get((key,))
        kpi.groups.add(key=key, significant_change=verdict, **_shown(estimate(tally.groups[key])))
    return kpi


def _shown(estimate: domain.Estimate) -> dict[str, Any]:
    return {"n": estimate.n, "value": estimate.value, "low": estimate.low, "high": estimate.high}
