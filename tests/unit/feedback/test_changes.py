import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.feedback import domain

VECTORS = Path(__file__).resolve().parents[2] / "vectors"
CHANGES = json.loads((VECTORS / "changes.json").read_text())
DISCOVERIES = json.loads((VECTORS / "false_discoveries.json").read_text())["cases"]
ROWS = [
    pytest.param(metric, case, id=f"{metric}: {case['name']}")
    for metric in ("nps", "csat", "ces")
    for case in CHANGES[metric]
]


def counts_of(counts):
    return {int(score): num for score, num in counts.items()}


@pytest.mark.parametrize(("metric", "case"), ROWS)
def test_a_change_agrees_with_independent_arithmetic(metric, case):
    change = domain.CHANGES[metric](counts_of(case["before"]), counts_of(case["after"]))
    expected = (case["delta"], case["low"], case["high"], case["p_value"])
    assert change == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("metric", ["nps", "csat", "ces"])
def test_a_change_of_fewer_than_ten_answers_a_side_is_not_judged(metric):
    assert domain.CHANGES[metric]({5: 3, 4: 6}, {2: 50, 1: 50}).p_value is None


@pytest.mark.parametrize("metric", ["nps", "csat", "ces"])
def test_ten_answers_a_side_are_judged(metric):
    assert domain.CHANGES[metric]({5: 5, 4: 5}, {2: 5, 1: 5}).p_value is not None


@pytest.mark.parametrize("metric", ["nps", "csat", "ces"])
def test_there_is_no_change_from_nothing(metric):
    assert domain.CHANGES[metric]({}, {5: 20}) is None


def test_a_change_is_that_of_the_plain_values():
    assert domain.nps_change({10: 1, 0: 2}, {10: 2, 0: 1}).delta == pytest.approx(200 / 3)


def test_two_constant_means_that_differ_differ_for_certain():
    assert domain.ces_change({5: 10}, {6: 10}).p_value == 0


@given(
    st.lists(st.integers(0, 10), min_size=10, max_size=30),
    st.lists(st.integers(0, 10), min_size=10, max_size=30),
)
@settings(max_examples=40, deadline=None)
def test_different_people_with_one_answer_each_are_the_independent_test(before, after):
    clusters = [(1, domain.net_of(score), 0, 0) for score in before]
    clusters += [(0, 0, 1, domain.net_of(score)) for score in after]
    counts = [{score: scores.count(score) for score in scores} for scores in (before, after)]
    clustered = domain.nps_change_clustered(*counts, clusters)
    assert clustered == pytest.approx(domain.nps_change(*counts), abs=1e-9)


def test_the_same_people_moving_together_show_a_change_that_strangers_would_hide():
    before, after = {0: 10, 8: 10, 10: 10}, {0: 7, 8: 9, 10: 14}
    pairs = [(1, -1, 1, -1)] * 7 + [(1, -1, 1, 0)] * 3 + [(1, 0, 1, 0)] * 6 + [(1, 0, 1, 1)] * 4 + [(1, 1, 1, 1)] * 10
    paired = domain.nps_change_clustered(before, after, pairs)
    assert paired.delta == domain.nps_change(before, after).delta
    assert domain.nps_change(before, after).p_value > 0.05 > paired.p_value


def test_one_loud_account_is_far_weaker_evidence_than_forty_strangers():
    before, after = {0: 6, 8: 20, 10: 6}, {0: 46, 8: 20, 10: 6}
    others = [(1, 0, 1, 0)] * 20 + [(1, -1, 1, -1)] * 6 + [(1, 1, 1, 1)] * 6
    loud = domain.nps_change_clustered(before, after, [*others, (0, 0, 40, -40)])
    assert domain.nps_change(before, after).p_value < 0.0001
    assert loud.p_value > 0.04


def test_few_clusters_are_not_judged_however_many_their_answers():
    change = domain.nps_change_clustered({0: 100}, {10: 100}, [(100, -100, 100, 100)])
    assert change.p_value is None


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in DISCOVERIES])
def test_significance_is_controlled_over_all_tests_of_an_answer(case):
    assert domain.are_significant(case["p_values"]) == case["significant"]
