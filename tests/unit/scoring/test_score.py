import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.feedback.v1.feedback_pb2 import METRIC_CES, METRIC_CSAT, METRIC_NPS
from plaudit.profile.v1.profile_events_pb2 import ActivityRecorded
from services.scoring import domain

VECTORS = json.loads((Path(__file__).resolve().parents[2] / "vectors" / "scores.json").read_text())
CASES = [pytest.param(case, id=case["name"]) for case in VECTORS["cases"]]
AS_OF = datetime.fromisoformat(VECTORS["as_of"]).replace(hour=12, tzinfo=UTC)

entries = st.lists(
    st.builds(
        domain.Entry,
        st.just("activity"),
        st.uuids().map(str),
        st.just("x"),
        st.sampled_from(domain.DIMENSIONS),
        st.integers(-1_000, 72_000).map(lambda minutes: AS_OF - timedelta(minutes=minutes * 7)),
        st.sampled_from([-30, -25, -12, -4, -2, 0, 2, 3, 4, 10, 15, 20]).map(lambda points: points * domain.POINT),
    ),
    max_size=25,
)


def entries_of(case):
    return [
        domain.Entry(
            "activity",
            row["id"],
            "x",
            row["dimension"],
            datetime.fromisoformat(row["occurred_at"]),
            round(float(row["points"]) * domain.POINT),
        )
        for row in case["entries"]
    ]


@pytest.mark.parametrize("case", CASES)
def test_a_score_agrees_with_decimal_arithmetic(case):
    score = domain.score_of(entries_of(case), AS_OF)
    expected = case["expected"]
    assert score.value == expected["value"]
    assert score.dimensions == expected["dimensions"]
    assert {item.id: item.contribution for item in score.evidence if item.id} == expected["contributions"]
    assert sum(item.contribution for item in score.evidence if item.signal == "clamp") == expected["clamp"]


@given(entries)
@settings(max_examples=80, deadline=None)
def test_evidence_dimensions_and_value_add_up_exactly(ledger):
    score = domain.score_of(ledger, AS_OF)
    clamp = sum(item.contribution for item in score.evidence if item.signal == "clamp")
    assert sum(item.contribution for item in score.evidence) == (score.value or 0)
    assert {
        dimension: sum(item.contribution for item in score.evidence if item.dimension == dimension)
        for dimension in score.dimensions
    } == score.dimensions
    assert (score.value or 0) == sum(score.dimensions.values()) + clamp + (50 * domain.POINT if ledger else 0)


@given(entries, st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_the_order_of_the_ledger_does_not_matter(ledger, random):
    shuffled = ledger[:]
    random.shuffle(shuffled)
    assert domain.score_of(shuffled, AS_OF) == domain.score_of(ledger, AS_OF)


@given(entries)
@settings(max_examples=40, deadline=None)
def test_every_share_is_within_a_micro_point_of_its_own_decayed_weight(ledger):
    score = domain.score_of(ledger, AS_OF)
    weights = {entry.id: entry for entry in ledger}
    errors = [
        abs(item.contribution - weights[item.id].weight * domain.decay_factor(AS_OF.toordinal() - day.toordinal()))
        for item in score.evidence
        if item.id and (day := item.occurred_at.date())
    ]
    assert max(errors, default=0) < 1


def test_a_customer_without_a_signal_has_no_score():
    assert domain.score_of([], AS_OF) == (None, {}, ())


def test_a_customer_with_a_signal_of_no_weight_has_fifty():
    entry = domain.Entry("activity", "a1", "subscription.started", "loyalty", AS_OF, 0)
    score = domain.score_of([entry], AS_OF)
    assert score.value == 50 * domain.POINT
    assert [(item.signal, item.contribution) for item in score.evidence] == [
        ("base", 50 * domain.POINT),
        ("subscription.started", 0),
    ]


def test_the_base_and_the_clamp_name_no_source_and_no_dimension():
    ledger = [domain.Entry("response", f"r{i}", "nps.promoter", "satisfaction", AS_OF, 20_000_000) for i in range(5)]
    score = domain.score_of(ledger, AS_OF)
    first, *_, last = score.evidence
    assert first == ("base", None, None, None, None, 50 * domain.POINT)
    assert last == ("clamp", None, None, None, None, -50 * domain.POINT)


def test_a_day_is_the_day_in_utc_wherever_it_was_written():
    here = domain.Entry("response", "r1", "nps.promoter", "satisfaction", AS_OF - timedelta(days=90), 20_000_000)
    there = here._replace(occurred_at=datetime.fromisoformat("2026-04-02T01:30:00+14:00"))
    assert domain.score_of([there], AS_OF).value == domain.score_of([here], AS_OF).value == 60 * domain.POINT


@pytest.mark.parametrize(
    ("metric", "score", "points"),
    [
        (METRIC_NPS, 10, 20),
        (METRIC_NPS, 9, 20),
        (METRIC_NPS, 8, 3),
        (METRIC_NPS, 7, 3),
        (METRIC_NPS, 6, -25),
        (METRIC_NPS, 0, -25),
        (METRIC_CSAT, 5, 8),
        (METRIC_CSAT, 4, 8),
        (METRIC_CSAT, 3, 0),
        (METRIC_CSAT, 2, -12),
        (METRIC_CSAT, 1, -12),
        (METRIC_CES, 7, 5),
        (METRIC_CES, 6, 5),
        (METRIC_CES, 5, 0),
        (METRIC_CES, 4, 0),
        (METRIC_CES, 3, -8),
        (METRIC_CES, 1, -8),
    ],
)
def test_an_answer_weighs_by_its_class(metric, score, points):
    signal = domain.signal_of_answer(metric, score)
    assert (signal.weight, signal.dimension) == (points * domain.POINT, "satisfaction")


def test_an_answer_without_a_score_is_no_signal():
    assert domain.signal_of_answer(METRIC_NPS, None) is None


@pytest.mark.parametrize(
    ("activity_type", "points"),
    [
        ("service_visit.completed", 3),
        ("purchase.completed", 2),
        ("subscription.started", 0),
        ("subscription.renewed", 6),
        ("subscription.upgraded", 8),
        ("subscription.downgraded", -8),
        ("subscription.cancelled", -30),
        ("support.opened", -4),
        ("support.resolved", 4),
        ("device.alert", -2),
        ("device.recovered", 2),
    ],
)
def test_an_activity_weighs_by_its_type_and_is_loyalty(activity_type, points):
    signal = domain.signal_of_activity(ActivityRecorded(type=activity_type, incentivised=True, solicited=False))
    assert signal == (activity_type, "loyalty", points * domain.POINT)


@pytest.mark.parametrize(
    "activity_type",
    [
        "usage.reported",
        "milestone.reached",
        "newsletter.opened",
        "social.liked",
        "reference.offered",
        "x.anything",
    ],
)
def test_other_activities_are_no_signal_even_when_verified(activity_type):
    assert domain.signal_of_activity(ActivityRecorded(type=activity_type, verified=True)) is None


@pytest.mark.parametrize("activity_type", sorted(domain.ACTS))
def test_an_act_is_a_signal_once_verified(activity_type):
    assert domain.signal_of_activity(ActivityRecorded(type=activity_type)) is None
    signal = domain.signal_of_activity(ActivityRecorded(type=activity_type, verified=True))
    assert signal == (activity_type, "advocacy", 10 * domain.POINT)


@pytest.mark.parametrize(
    ("flags", "points"),
    [
        ({}, 10),
        ({"solicited": True}, 10),
        ({"solicited": False}, 15),
        ({"incentivised": True}, 3),
        ({"incentivised": True, "solicited": False}, 3),
        ({"incentivised": False, "solicited": False}, 15),
        ({"has_incentive": True}, 3),
        ({"has_incentive": True, "incentivised": False}, 10),
    ],
)
def test_a_verified_act_weighs_by_whether_it_was_paid_or_asked_for(flags, points):
    activity = ActivityRecorded(type="review.published", verified=True, **flags)
    assert domain.signal_of_activity(activity).weight == points * domain.POINT


@pytest.mark.parametrize(("pays", "points"), [(True, 3), (False, 10)])
def test_a_converted_referral_is_influence(pays, points):
    signal = domain.signal_of_referral(pays_referrer=pays)
    assert signal == ("referral.converted", "influence", points * domain.POINT)


def test_decay_halves_every_ninety_days_and_never_grows():
    assert [domain.decay_factor(age) for age in (-5, 0, 90, 180)] == [1, 1, 0.5, 0.25]
