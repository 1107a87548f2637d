"""NPS, CSAT and CES over a real ledger, against arithmetic of the tests' own."""

import math
import random
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.common.errors import InvalidArgument
from plaudit.feedback.v1 import feedback_service_pb2 as pb
from plaudit.feedback.v1.feedback_pb2 import (
    METRIC_CES,
    METRIC_CSAT,
    RESPONSE_KIND_RELATIONSHIP,
    RESPONSE_KIND_TRANSACTIONAL,
    Response,
)
from plaudit.profile.v1.profile_events_pb2 import CustomerChanged
from tests.conftest import World
from tests.service.messages import message

from .conftest import EPOCH, Feedback, nps, stamp

MARCH = datetime(2026, 3, 1, tzinfo=UTC)


async def kpi(feedback: Feedback, metric: str = "nps", **fields: Any) -> pb.Kpi:
    """Measure; `start` and `end` are the period."""
    period = {name: stamp(fields.pop(given)) for name, given in (("from", "start"), ("to", "end")) if given in fields}
    answer = await feedback.call("GetMetric", pb.GetMetricRequest(metric=metric, **fields, **period))  # type: ignore[arg-type]
    measured: pb.Kpi = answer.kpi
    return measured


async def load(feedback: Feedback, answers: Sequence[Response]) -> None:
    """Load answers as history, in calls of 256."""
    for start in range(0, len(answers), 256):
        await feedback.record(*answers[start : start + 256], history=True)


def net(scores: Sequence[int]) -> float:
    """Return the NPS of scores, the long way."""
    counts = Counter("p" if score >= 9 else "d" if score <= 6 else "n" for score in scores)
    return 100 * (counts["p"] - counts["d"]) / len(scores)


async def test_nothing_answered_has_no_value(feedback: Feedback) -> None:
    measured = await kpi(feedback)
    assert (measured.n, measured.metric, measured.variant) == (0, "nps", "promoters_minus_detractors")
    unset = [name for name in ("value", "se", "low", "high", "significant_change") if not measured.HasField(name)]  # type: ignore[arg-type]
    assert unset == ["value", "se", "low", "high", "significant_change"]


async def test_every_answer_counts_once_and_those_without_a_score_do_not(feedback: Feedback) -> None:
    scores = [random.Random(7).randint(0, 10) for _ in range(400)]
    answers = [nps(score, customer_id=f"c-{index % 50}", at=MARCH) for index, score in enumerate(scores)]
    silent = [nps(None, verbatim="no number", at=MARCH) for _ in range(30)]
    await load(feedback, [*answers, *silent, *answers])
    measured = await kpi(feedback)
    assert (measured.n, measured.value) == (400, pytest.approx(net(scores), abs=1e-12))


async def test_the_error_and_interval_are_those_of_the_formula(feedback: Feedback) -> None:
    scores = [10] * 50 + [8] * 30 + [3] * 20
    await load(feedback, [nps(score, at=MARCH) for score in scores])
    measured = await kpi(feedback)
    assert measured.se == pytest.approx(100 * math.sqrt((0.5 + 0.2 - 0.3**2) / 100), abs=1e-12)
    p, d = 50.75 / 103, 20.75 / 103
    half = 1.959963984540054 * math.sqrt((p + d - (p - d) ** 2) / 103)
    ends = (100 * (p - d - half), 100 * (p - d + half))
    assert (measured.low, measured.high) == (pytest.approx(ends[0], abs=1e-9), pytest.approx(ends[1], abs=1e-9))


async def test_csat_is_the_share_of_the_two_best(feedback: Feedback) -> None:
    answers = [
        Response(response_id=f"r-{index}", metric=METRIC_CSAT, score=score, occurred_at=stamp(MARCH))
        for index, score in enumerate([5, 4, 4, 3, 1])
    ]
    await load(feedback, answers)
    measured = await kpi(feedback, "csat")
    assert (measured.variant, measured.n, measured.value) == ("top_2_percent", 5, 60.0)


async def test_ces_is_the_mean(feedback: Feedback) -> None:
    answers = [
        Response(response_id=f"r-{index}", metric=METRIC_CES, score=score, occurred_at=stamp(MARCH))
        for index, score in enumerate([7, 6, 2])
    ]
    await load(feedback, answers)
    measured = await kpi(feedback, "ces")
    assert (measured.variant, measured.n, measured.value) == ("mean", 3, 5.0)


async def test_a_period_includes_its_start_and_not_its_end(feedback: Feedback) -> None:
    end = MARCH + timedelta(days=1)
    await load(feedback, [nps(10, at=MARCH), nps(0, at=end), nps(0, at=MARCH - timedelta(microseconds=1))])
    measured = await kpi(feedback, start=MARCH, end=end)
    assert (measured.n, measured.value) == (1, 100.0)


async def test_groups_are_sorted_and_the_rest_comes_last(feedback: Feedback) -> None:
    await load(
        feedback,
        [
            *(nps(10, moment="unboxing", at=MARCH) for _ in range(3)),
            *(nps(0, moment="checkout", at=MARCH) for _ in range(2)),
            nps(8, at=MARCH),
        ],
    )
    measured = await kpi(feedback, by="moment")
    groups = [(group.key if group.HasField("key") else None, group.n, group.value) for group in measured.groups]
    assert groups == [("checkout", 2, -100.0), ("unboxing", 3, 100.0), (None, 1, 0.0)]
    assert sum(group.n for group in measured.groups) == measured.n


@pytest.mark.parametrize("by", ["segment", "theme", "customer_id", "score; drop table responses"])
async def test_what_cannot_be_grouped_by_is_refused(feedback: Feedback, by: str) -> None:
    with pytest.raises(InvalidArgument, match="METRIC_BY_UNSUPPORTED"):
        await kpi(feedback, by=by)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"metric": "advocacy_rate"}, "METRIC_UNKNOWN"),
        ({"interval": "hour"}, "INTERVAL_UNKNOWN"),
        ({"start": MARCH, "end": MARCH - timedelta(days=1)}, "PERIOD_"),
        ({"interval": "day", "start": EPOCH, "end": MARCH}, "SERIES_TOO_LONG"),
    ],
)
async def test_what_cannot_be_measured_is_refused(feedback: Feedback, fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidArgument, match=reason):
        await kpi(feedback, **fields)


async def test_a_series_has_no_gaps_and_adds_up(feedback: Feedback) -> None:
    await load(feedback, [nps(10, at=MARCH), nps(0, at=MARCH + timedelta(days=3))])
    measured = await kpi(feedback, interval="day")
    points = [(point.n, point.value if point.HasField("value") else None) for point in measured.series]
    assert points == [(1, 100.0), (0, None), (0, None), (1, -100.0)]
    assert measured.series[0].to == getattr(measured.series[1], "from")


async def test_weeks_begin_on_monday_and_are_cut_at_the_period(feedback: Feedback) -> None:
    await load(feedback, [nps(10, at=MARCH + timedelta(days=1))])
    measured = await kpi(feedback, interval="week", start=MARCH, end=MARCH + timedelta(days=10))
    starts = [getattr(point, "from").ToDatetime().day for point in measured.series]
    assert ([point.n for point in measured.series], starts) == ([0, 1, 0], [1, 2, 9])


async def test_a_relationship_counts_each_customers_latest(feedback: Feedback) -> None:
    kind = RESPONSE_KIND_RELATIONSHIP
    await load(
        feedback,
        [
            nps(0, customer_id="c-1", kind=kind, at=MARCH),
            nps(10, customer_id="c-1", kind=kind, at=MARCH + timedelta(days=1)),
            nps(0, customer_id="c-1", kind=RESPONSE_KIND_TRANSACTIONAL, at=MARCH + timedelta(days=2)),
            nps(8, customer_id="c-2", kind=kind, at=MARCH),
            nps(0, kind=kind, at=MARCH),
            nps(0, kind=kind, at=MARCH),
        ],
    )
    measured = await kpi(feedback, kind=kind)
    assert (measured.n, measured.value) == (4, -25.0)
    early = await kpi(feedback, kind=kind, start=MARCH, end=MARCH + timedelta(days=1))
    assert (early.n, early.value) == (4, -75.0)


async def test_a_relationships_series_begins_with_its_first_answer(feedback: Feedback) -> None:
    kind = RESPONSE_KIND_RELATIONSHIP
    days = (0, 40, 70)
    await load(feedback, [nps(10, customer_id="c-1", kind=kind, at=MARCH + timedelta(days=day)) for day in days])
    measured = await kpi(feedback, kind=kind, interval="month")
    starts = [getattr(point, "from").ToDatetime().month for point in measured.series]
    assert (measured.n, [point.n for point in measured.series], starts) == (1, [1, 1, 1], [3, 4, 5])


async def test_a_kind_counts_its_own_answers_alone(feedback: Feedback) -> None:
    await load(feedback, [nps(10, moment="checkout", at=MARCH), nps(0, at=MARCH)])
    assert (await kpi(feedback, kind=RESPONSE_KIND_TRANSACTIONAL)).value == 100.0


async def test_what_is_mixed_is_named(feedback: Feedback) -> None:
    await load(feedback, [nps(10, at=MARCH)])
    assert list((await kpi(feedback)).mixed) == []
    await load(feedback, [nps(10, moment="checkout", scale="1-10", channel="phone", at=MARCH)])
    assert list((await kpi(feedback)).mixed) == ["kinds", "scales", "staff_collected"]


async def test_a_great_change_is_significant_and_a_small_one_is_not(feedback: Feedback) -> None:
    before, end = MARCH - timedelta(days=5), MARCH + timedelta(days=10)
    await load(feedback, [nps(0 if index % 2 else 10, moment="m", at=before) for index in range(60)])
    await load(feedback, [nps(10, moment="m", at=MARCH) for _ in range(60)])
    fell = await kpi(feedback, start=MARCH, end=end, by="moment")
    assert (fell.significant_change, fell.groups[0].significant_change) == (True, True)
    series = await kpi(feedback, interval="month")
    assert series.significant_change
    same = await kpi(feedback, start=MARCH, end=MARCH + timedelta(days=2))
    assert not same.HasField("significant_change")


async def test_under_ten_a_side_nothing_is_said(feedback: Feedback) -> None:
    await load(feedback, [nps(0, at=MARCH - timedelta(days=1)) for _ in range(9)])
    await load(feedback, [nps(10, at=MARCH) for _ in range(50)])
    measured = await kpi(feedback, start=MARCH, end=MARCH + timedelta(days=2))
    assert not measured.HasField("significant_change")


async def test_people_who_repeat_are_paired(feedback: Feedback) -> None:
    earlier, later = MARCH - timedelta(days=1), MARCH
    scores = [(0, 7), (7, 9)] * 12
    await load(feedback, [nps(old, customer_id=f"c-{i}", at=earlier) for i, (old, _) in enumerate(scores)])
    await load(feedback, [nps(new, customer_id=f"c-{i}", at=later) for i, (_, new) in enumerate(scores)])
    paired = await kpi(feedback, start=MARCH, end=MARCH + timedelta(days=2))
    feedback.tenant_id = uuid.uuid4()
    few = scores[:12]
    await load(feedback, [nps(old, at=earlier) for old, _ in few])
    await load(feedback, [nps(new, at=later) for _, new in few])
    strangers = await kpi(feedback, start=MARCH, end=MARCH + timedelta(days=2))
    assert (paired.significant_change, paired.value, strangers.value) == (True, 50.0, 50.0)


async def test_an_account_is_one_voice(
    feedback: Feedback, world: World, publish: Callable[..., Awaitable[None]], eventually: Callable[..., Awaitable[Any]]
) -> None:
    people = [f"c-{number}" for number in range(30)]
    await load(feedback, [nps(0, customer_id=person, at=MARCH - timedelta(days=1)) for person in people])
    await load(feedback, [nps(10, customer_id=person, at=MARCH) for person in people])
    period = {"start": MARCH, "end": MARCH + timedelta(days=2)}
    assert (await kpi(feedback, **period)).significant_change
    newer = [CustomerChanged(customer_id=person, version=2, account_id="acme") for person in people]
    older = [CustomerChanged(customer_id=person, version=1) for person in people]
    await publish(message(feedback.tenant_id, newer), message(feedback.tenant_id, [*older, *newer]))

    async def is_clustered() -> bool:
        return not (await kpi(feedback, **period)).HasField("significant_change")

    assert await eventually(is_clustered)


async def test_nobody_counts_anothers_answers(feedback: Feedback) -> None:
    await load(feedback, [nps(10, at=MARCH)])
    feedback.tenant_id = uuid.uuid4()
    assert (await kpi(feedback)).n == 0


async def test_a_relationship_is_compared_by_each_customers_latest_on_a_side(feedback: Feedback) -> None:
    kind = RESPONSE_KIND_RELATIONSHIP
    earlier = [nps(0, customer_id=f"c-{i}", kind=kind, at=MARCH - timedelta(hours=1)) for i in range(12)]
    twice = [nps(0, customer_id=f"c-{i}", kind=kind, at=MARCH) for i in range(12)]
    later = [nps(10, customer_id=f"c-{i}", kind=kind, at=MARCH + timedelta(hours=1)) for i in range(12)]
    await load(feedback, [*earlier, *twice, *later])
    measured = await kpi(feedback, kind=kind, by="moment", start=MARCH, end=MARCH + timedelta(days=2))
    assert (measured.n, measured.value, measured.significant_change) == (12, 100.0, True)
    assert [(group.n, group.significant_change) for group in measured.groups] == [(12, True)]
