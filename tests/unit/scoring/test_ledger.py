"""Ledger rows, folds, drift and the points of a history."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from plaudit.feedback.v1.feedback_events_pb2 import ResponseRecorded
from plaudit.feedback.v1.feedback_pb2 import METRIC_NPS
from plaudit.profile.v1.profile_events_pb2 import ActivityRecorded
from plaudit.scoring.v1.scoring_service_pb2 import INTERVAL_DAY, INTERVAL_MONTH, INTERVAL_UNSPECIFIED, INTERVAL_WEEK
from services.scoring import domain
from services.scoring.domain import POINT

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def answer(**more):
    fields = {"response_id": "r", "customer_id": "ann", "metric": METRIC_NPS, "score": 9, "occurred_at": NOON}
    return ResponseRecorded(**{**fields, **more})


def entry(weight, dimension=domain.SATISFACTION, at=NOON, source_id="r"):
    return domain.Entry(domain.RESPONSE, source_id, "nps.promoter", dimension, at, weight)


def test_an_answer_becomes_a_row_of_its_customer():
    row = domain.row_of_answer(answer(received_at=NOON + timedelta(days=3)))
    assert row.customer_id == "ann"
    assert row.entry == entry(20 * POINT)
    assert row.counts_from == NOON


def test_an_answer_dated_ahead_counts_from_its_receipt():
    received_at = NOON - timedelta(hours=20)
    assert domain.row_of_answer(answer(received_at=received_at)).counts_from == received_at


@pytest.mark.parametrize("fact", [answer(customer_id=None), answer(customer_id=""), answer(score=None)])
def test_an_answer_of_nobody_or_without_a_score_is_no_row(fact):
    assert domain.row_of_answer(fact) is None


def test_a_score_of_zero_is_an_answer():
    assert domain.row_of_answer(answer(score=0)).entry.weight == -25 * POINT


@pytest.mark.parametrize(("kind", "customer_id"), [("x.other", "ann"), ("purchase.completed", None)])
def test_an_activity_without_a_signal_or_a_customer_is_no_row(kind, customer_id):
    fact = ActivityRecorded(activity_id="a", customer_id=customer_id, type=kind, occurred_at=NOON)
    assert domain.row_of_activity(fact) is None


def test_totals_equal_the_score_with_evidence():
    rng = random.Random(5)
    entries, sums = [], {}
    for number in range(400):
        at = NOON - timedelta(hours=rng.randrange(9_000))
        dimension = rng.choice(domain.DIMENSIONS)
        weight = rng.choice([20, -25, 3, -4]) * POINT
        entries.append(entry(weight, dimension, at, f"r{number}"))
        sums[at.date(), dimension] = sums.get((at.date(), dimension), 0) + weight
    full = domain.score_of(entries, NOON)
    totals = domain.totals_of((domain.Sum(*place, weight) for place, weight in sums.items()), NOON)
    assert (totals.value, totals.dimensions) == (full.value, full.dimensions)


def test_totals_of_nothing_are_absent():
    assert domain.totals_of((), NOON) == domain.UNKNOWN


@pytest.mark.parametrize(
    ("told", "value", "moved"),
    [
        (None, None, False),
        (None, 50 * POINT, True),
        (50 * POINT, None, True),
        (50 * POINT, 51 * POINT, True),
        (50 * POINT, 49 * POINT, True),
        (50 * POINT, 51 * POINT - 1, False),
        (0, 0, False),
    ],
)
def test_a_score_has_moved_by_a_point_or_by_its_being(told, value, moved):
    assert domain.has_moved(told, value) is moved


@pytest.mark.parametrize("above", [20, -25, 3, 300, -70, 1.5])
def test_the_wait_ends_on_the_first_day_that_moves_the_score(above):
    weight = round(above * POINT)
    told = domain.score_of([entry(weight)], NOON).value
    days = domain.days_until_moved({domain.SATISFACTION: weight}, told)
    assert domain.has_moved(told, domain.score_of([entry(weight)], NOON + timedelta(days=days)).value)
    assert not domain.has_moved(told, domain.score_of([entry(weight)], NOON + timedelta(days=days - 1)).value)


@pytest.mark.parametrize(("above", "told"), [(0, 50), (0.5, 50.5), (3, None), (-0.9, 49.1)])
def test_what_can_never_move_by_a_point_waits_for_nothing(above, told):
    value = None if told is None else round(told * POINT)
    assert domain.days_until_moved({domain.LOYALTY: round(above * POINT)}, value) is None


def test_points_count_what_was_there_by_then():
    rows = [
        domain.Row("ann", entry(20 * POINT), NOON),
        domain.Row("ann", entry(-4 * POINT, domain.LOYALTY, NOON + timedelta(days=1)), NOON + timedelta(days=1)),
    ]
    instants = [NOON - timedelta(seconds=1), NOON, NOON + timedelta(days=1)]
    values = [score.value for _, score in domain.points_of(rows, instants)]
    last = domain.score_of([row.entry for row in rows], instants[-1]).value
    assert values == [None, 70 * POINT, last]


@pytest.mark.parametrize(
    ("interval", "days"),
    [
        (INTERVAL_DAY, ["2026-03-05", "2026-03-06", "2026-03-07"]),
        (INTERVAL_UNSPECIFIED, ["2026-03-05", "2026-03-06", "2026-03-07"]),
        (INTERVAL_WEEK, ["2026-03-09", "2026-03-16", "2026-03-23"]),
        (INTERVAL_MONTH, ["2026-04-01", "2026-05-01", "2026-06-01"]),
    ],
)
def test_intervals_end_at_midnights(interval, days):
    found = domain.boundaries(NOON, NOON + timedelta(days=400), interval, 3)
    assert [at.isoformat() for at in found] == [f"{day}T00:00:00+00:00" for day in days]


def test_the_last_point_is_the_end_itself():
    end = NOON + timedelta(days=1)
    assert domain.boundaries(NOON, end, INTERVAL_DAY, 9) == [datetime(2026, 3, 5, tzinfo=UTC), end]


def test_an_end_on_a_boundary_stands_once():
    end = datetime(2026, 3, 6, tzinfo=UTC)
    assert domain.boundaries(NOON, end, INTERVAL_DAY, 9) == [datetime(2026, 3, 5, tzinfo=UTC), end]


def test_marks_name_each_customer_once_and_fit_an_index():
    customer_ids = [f"{number:0>128}" for number in range(40)]
    marks = domain.marks_of(customer_ids, "abcd1234")
    assert domain.customers_of([*marks, customer_ids[0]]) == sorted(customer_ids)
    assert max(map(len, marks)) < 2_500
