"""What a customer's activities say about the stage of life."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.profile.v1.profile_pb2 import (
    LIFECYCLE_STAGE_ACTIVE,
    LIFECYCLE_STAGE_CHURNED,
    LIFECYCLE_STAGE_LAPSED,
    LIFECYCLE_STAGE_LEAD,
    LIFECYCLE_STAGE_NEW,
    LIFECYCLE_STAGE_QUIET,
)
from services.profile import domain
from services.profile.domain.activities import TYPES

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def days(n):
    return NOW - timedelta(days=n)


def step(kind, days_ago, activity_id="a-1", customer_id="c-1"):
    return domain.Step(customer_id, activity_id, kind, days(days_ago))


def stage(*steps, acquired_at=None):
    return domain.stage_of(acquired_at, domain.facts_of(steps).get("c-1", domain.Facts()), NOW)


@pytest.mark.parametrize("kind", sorted(TYPES - {"purchase.completed", "service_visit.completed"}))
def test_only_buying_visiting_and_subscribing_end_being_a_lead(kind):
    assert (stage(step(kind, 1)) == LIFECYCLE_STAGE_LEAD) == (not kind.startswith("subscription."))


@pytest.mark.parametrize(
    ("days_ago", "expected"),
    [
        (0, LIFECYCLE_STAGE_NEW),
        (90, LIFECYCLE_STAGE_NEW),
        (91, LIFECYCLE_STAGE_ACTIVE),
        (180, LIFECYCLE_STAGE_ACTIVE),
        (181, LIFECYCLE_STAGE_QUIET),
        (365, LIFECYCLE_STAGE_QUIET),
        (366, LIFECYCLE_STAGE_LAPSED),
    ],
)
def test_the_limits_of_the_stages_are_inclusive(days_ago, expected):
    assert stage(step("purchase.completed", days_ago)) == expected
    assert stage(acquired_at=days(days_ago)) == expected


@pytest.mark.parametrize(
    "kind", ["purchase.completed", "service_visit.completed", "subscription.renewed", "usage.reported"]
)
def test_being_seen_keeps_a_customer_active(kind):
    assert stage(step("purchase.completed", 400), step(kind, 10, "a-2")) == LIFECYCLE_STAGE_ACTIVE


@pytest.mark.parametrize("kind", ["subscription.upgraded", "support.opened", "newsletter.opened", "x.visit"])
def test_other_activities_do_not(kind):
    assert stage(step("purchase.completed", 400), step(kind, 10, "a-2")) == LIFECYCLE_STAGE_LAPSED


def test_a_cancellation_ends_it_until_the_next_purchase():
    cancelled = [step("subscription.started", 300), step("subscription.cancelled", 30, "a-2")]

    assert stage(*cancelled) == LIFECYCLE_STAGE_CHURNED
    assert stage(*cancelled, step("usage.reported", 1, "a-3")) == LIFECYCLE_STAGE_CHURNED
    assert stage(*cancelled, step("purchase.completed", 30, "a-3")) == LIFECYCLE_STAGE_CHURNED
    assert stage(*cancelled, step("purchase.completed", 29, "a-3")) == LIFECYCLE_STAGE_ACTIVE
    assert stage(*cancelled, step("subscription.started", 29, "a-3"), acquired_at=days(300)) == LIFECYCLE_STAGE_QUIET


def test_steps_of_one_instant_are_told_apart_by_id():
    both = [step("subscription.renewed", 30, "a-2"), step("subscription.cancelled", 30, "a-1")]

    assert stage(*both) == stage(*reversed(both)) == LIFECYCLE_STAGE_NEW


STEPS = st.lists(
    st.builds(
        step,
        st.sampled_from(sorted(TYPES)),
        st.integers(0, 500),
        st.sampled_from([f"a-{n}" for n in range(30)]),
        st.sampled_from(["c-1", "c-2"]),
    ),
    unique_by=lambda one: one.activity_id,
)


@given(STEPS, st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(steps, chance):
    shuffled = steps + steps[:3]
    chance.shuffle(shuffled)

    assert domain.facts_of(shuffled) == domain.facts_of(steps)


@pytest.mark.parametrize(
    ("score", "category"),
    [(0, "detractor"), (6, "detractor"), (7, "passive"), (8, "passive"), (9, "promoter"), (10, "promoter")],
)
def test_answers_fall_into_three_categories(score, category):
    assert domain.category_of(score) == category
