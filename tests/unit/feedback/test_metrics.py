import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.feedback import domain
from services.feedback.domain import distributions

VECTORS = Path(__file__).resolve().parents[2] / "vectors"
METRICS = json.loads((VECTORS / "metrics.json").read_text())
STUDENT = json.loads((VECTORS / "student.json").read_text())
FIELDS = ("n", "value", "se", "low", "high")

nps_counts = st.dictionaries(st.integers(0, 10), st.integers(0, 50), max_size=11)
ces_counts = st.dictionaries(st.integers(1, 7), st.integers(0, 50), max_size=7)


def counts_of(case):
    return {int(score): num for score, num in case["counts"].items()}


def expected(case):
    """The five numbers of a case; None is None, a number is near."""
    return tuple(None if case[field] is None else pytest.approx(case[field], rel=1e-12, abs=1e-9) for field in FIELDS)


def rows(metric):
    return [pytest.param(case, id=case["name"]) for case in METRICS[metric]]


@pytest.mark.parametrize(
    ("score", "category"),
    [
        (0, "detractor"),
        (1, "detractor"),
        (6, "detractor"),
        (7, "passive"),
        (8, "passive"),
        (9, "promoter"),
        (10, "promoter"),
    ],
)
def test_a_score_has_its_net_promoter_category(score, category):
    assert domain.category_of(score) == category


@pytest.mark.parametrize("case", rows("nps"))
def test_nps_agrees_with_independent_arithmetic(case):
    assert domain.nps(counts_of(case)) == expected(case)


@pytest.mark.parametrize("case", rows("csat"))
def test_csat_agrees_with_independent_arithmetic(case):
    assert domain.csat(counts_of(case)) == expected(case)


@pytest.mark.parametrize("case", rows("ces"))
def test_ces_agrees_with_independent_arithmetic(case):
    assert domain.ces(counts_of(case)) == expected(case)


@pytest.mark.parametrize("case", rows("ces_easy"))
def test_ces_easy_agrees_with_independent_arithmetic(case):
    assert domain.ces_easy(counts_of(case)) == expected(case)


@pytest.mark.parametrize("metric", ["nps", "csat", "ces"])
def test_no_answers_have_no_value_and_no_error(metric):
    _, estimate = domain.METRICS[metric]
    assert estimate({}) == (0, None, None, None, None)


def test_nps_is_the_exact_quotient_and_not_a_difference_of_rounded_shares():
    assert domain.nps({10: 7, 0: 3, 7: 11}).value == 400 / 21


@given(nps_counts)
@settings(max_examples=60, deadline=None)
def test_nps_turned_upside_down_changes_its_sign(counts):
    turned = {5: 0}
    turned[0] = sum(num for score, num in counts.items() if score >= 9)
    turned[7] = counts.get(7, 0) + counts.get(8, 0)
    turned[10] = sum(num for score, num in counts.items() if score <= 6)
    here, there = domain.nps(counts), domain.nps(turned)
    assert (there.value or 0) == -(here.value or 0)
    assert (there.high or 0) == pytest.approx(-(here.low or 0))


@given(nps_counts.filter(lambda counts: sum(counts.values()) > 0))
@settings(max_examples=60, deadline=None)
def test_an_nps_interval_has_a_width_and_stays_on_the_scale(counts):
    nps = domain.nps(counts)
    assert -100 <= nps.low < nps.high <= 100


@given(ces_counts.filter(lambda counts: sum(counts.values()) > 1))
@settings(max_examples=60, deadline=None)
def test_a_ces_interval_holds_its_mean(counts):
    ces = domain.ces(counts)
    assert 1 <= ces.low <= ces.value <= ces.high <= 7


@given(nps_counts.filter(lambda counts: sum(counts.values()) > 0))
@settings(max_examples=40, deadline=None)
def test_nps_with_one_answer_a_cluster_is_plain_nps(counts):
    singles = [(1, domain.net_of(score)) for score, num in counts.items() for _ in range(num)]
    assert domain.nps_clustered(counts, singles) == pytest.approx(domain.nps(counts), abs=1e-9)


def test_answers_of_one_account_that_agree_count_as_little_more_than_one():
    counts = {10: 50, 0: 50}
    plain = domain.nps(counts)
    clustered = domain.nps_clustered(counts, [(10, 10)] * 5 + [(10, -10)] * 5)
    assert clustered.value == plain.value
    assert clustered.se == pytest.approx(plain.se * 10**0.5)


@pytest.mark.parametrize(("df", "quantile"), STUDENT["quantile_95"])
def test_students_quantile_agrees_with_the_table(df, quantile):
    assert distributions.student_quantile_95(df) == pytest.approx(quantile, rel=1e-9)


@pytest.mark.parametrize(("t", "df", "p_value"), STUDENT["p_value"])
def test_students_p_value_agrees_with_the_table(t, df, p_value):
    assert distributions.student_p_value(t, df) == pytest.approx(p_value, rel=1e-9)
