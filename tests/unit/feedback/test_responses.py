from datetime import UTC, datetime, timedelta

import pytest

from plaudit.feedback.v1 import feedback_pb2 as pb
from services.feedback import domain

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
EFFORT = pb.Survey(key="after_visit", metric=pb.METRIC_CES, kind=pb.RESPONSE_KIND_TRANSACTIONAL)
STRICT = pb.Survey(key="yearly", metric=pb.METRIC_NPS, kind=pb.RESPONSE_KIND_RELATIONSHIP, scale="1-10")


def response(occurred_at=NOW, **fields):
    answer = pb.Response(**{"response_id": "r1", "metric": pb.METRIC_NPS, "score": 9, **fields})
    answer.occurred_at.FromDatetime(occurred_at)
    return answer


@pytest.mark.parametrize(
    ("fields", "survey"),
    [
        ({"score": 0}, None),
        ({"score": 10}, None),
        ({"score": 1, "scale": "1-10"}, None),
        ({"score": 5, "metric": pb.METRIC_CSAT}, None),
        ({"score": 7, "metric": pb.METRIC_CES, "scale": "1-7"}, None),
        ({"score": 7, "metric": None, "survey": "after_visit"}, EFFORT),
        ({"score": 7, "metric": pb.METRIC_CES, "survey": "after_visit"}, EFFORT),
        ({"score": None, "verbatim": "thank you"}, None),
        ({"verbatim": "x" * 4_000}, None),
    ],
)
def test_a_good_answer_is_taken(fields, survey):
    assert domain.problem_with_response(response(**fields), survey, NOW) is None


@pytest.mark.parametrize(
    ("fields", "survey", "code", "pointer"),
    [
        ({"survey": "nowhere"}, None, "SURVEY_UNKNOWN", "/survey"),
        ({"metric": None}, None, "METRIC_MISSING", "/metric"),
        ({"survey": "after_visit"}, EFFORT, "METRIC_MISMATCH", "/metric"),
        ({"scale": "0-5"}, None, "SCALE_UNSUPPORTED", "/scale"),
        ({"scale": "1-7"}, None, "SCALE_UNSUPPORTED", "/scale"),
        ({"scale": "1-10", "metric": pb.METRIC_CSAT}, None, "SCALE_UNSUPPORTED", "/scale"),
        ({"score": 11}, None, "SCORE_OUT_OF_RANGE", "/score"),
        ({"score": -1}, None, "SCORE_OUT_OF_RANGE", "/score"),
        ({"score": 0, "scale": "1-10"}, None, "SCORE_OUT_OF_RANGE", "/score"),
        ({"score": 0, "survey": "yearly"}, STRICT, "SCORE_OUT_OF_RANGE", "/score"),
        ({"score": 0, "metric": pb.METRIC_CSAT}, None, "SCORE_OUT_OF_RANGE", "/score"),
        ({"score": 8, "metric": pb.METRIC_CES}, None, "SCORE_OUT_OF_RANGE", "/score"),
        ({"score": None}, None, "ANSWER_MISSING", "/score"),
        ({"score": None, "verbatim": " \n"}, None, "ANSWER_MISSING", "/score"),
        ({"verbatim": "x" * 4_001}, None, "ITEM_TOO_LARGE", "/verbatim"),
    ],
)
def test_a_bad_answer_is_refused_with_its_field(fields, survey, code, pointer):
    assert domain.problem_with_response(response(**fields), survey, NOW)[:2] == (code, pointer)


@pytest.mark.parametrize(
    ("occurred_at", "code"),
    [
        (NOW + timedelta(hours=24), None),
        (NOW + timedelta(hours=24, seconds=1), "OCCURRED_AT_IN_FUTURE"),
        (datetime(1970, 1, 1, tzinfo=UTC), None),
        (datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC), "OCCURRED_AT_TOO_EARLY"),
    ],
)
def test_an_answer_is_from_1970_to_a_day_ahead(occurred_at, code):
    problem = domain.problem_with_response(response(occurred_at), None, NOW)
    assert (problem and problem[0]) == code


@pytest.mark.parametrize(
    ("fields", "survey", "kind"),
    [
        ({}, None, pb.RESPONSE_KIND_RELATIONSHIP),
        ({"moment": "unboxing"}, None, pb.RESPONSE_KIND_TRANSACTIONAL),
        ({"activity_id": "a1"}, None, pb.RESPONSE_KIND_TRANSACTIONAL),
        ({"moment": "renewal", "survey": "yearly"}, STRICT, pb.RESPONSE_KIND_RELATIONSHIP),
        ({"kind": pb.RESPONSE_KIND_TRANSACTIONAL, "survey": "yearly"}, STRICT, pb.RESPONSE_KIND_TRANSACTIONAL),
    ],
)
def test_a_kind_is_the_answers_or_the_surveys_or_follows_from_what_it_is_about(fields, survey, kind):
    assert domain.question_of(response(**fields), survey).kind == kind


@pytest.mark.parametrize(
    ("metric", "scale"), [(pb.METRIC_NPS, "0-10"), (pb.METRIC_CSAT, "1-5"), (pb.METRIC_CES, "1-7")]
)
def test_a_metric_has_a_default_scale(metric, scale):
    assert domain.question_of(response(metric=metric), None).scale == scale


def test_an_answer_takes_metric_and_scale_from_its_survey():
    question = domain.question_of(response(metric=None, survey="yearly"), STRICT)
    assert question == (pb.METRIC_NPS, pb.RESPONSE_KIND_RELATIONSHIP, "1-10")


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [({"reach": -1}, "/reach"), ({"reach": 2**53 + 1}, "/reach"), ({"text": "x" * 4_001}, "/text")],
)
def test_a_bad_mention_is_refused_with_its_field(fields, pointer):
    mention = pb.Mention(mention_id="m1", **fields)
    assert domain.problem_with_mention(mention, NOW)[1] == pointer


def test_a_mention_from_the_future_is_refused():
    mention = pb.Mention(mention_id="m1")
    mention.occurred_at.FromDatetime(NOW + timedelta(days=2))
    assert domain.problem_with_mention(mention, NOW)[0] == "OCCURRED_AT_IN_FUTURE"


def test_a_mention_without_text_and_reach_is_taken():
    assert domain.problem_with_mention(pb.Mention(mention_id="m1"), NOW) is None
