"""What an answer must be to be taken, and what its metric, kind and scale are where it leaves them to defaults."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from plaudit.feedback.v1.feedback_pb2 import (
    METRIC_CES,
    METRIC_CSAT,
    METRIC_NPS,
    METRIC_UNSPECIFIED,
    RESPONSE_KIND_RELATIONSHIP,
    RESPONSE_KIND_TRANSACTIONAL,
    RESPONSE_KIND_UNSPECIFIED,
    Mention,
    Metric,
    Response,
    ResponseKind,
    Survey,
)

Problem = tuple[str, str, str]
"""(code, pointer, detail): an UPPER_SNAKE reason, an RFC 6901 pointer and a sentence that never repeats the input."""

MOST_CODE_POINTS = 4_000
MOST_REACH = 2**53
_AHEAD_SECONDS = int(timedelta(hours=24).total_seconds())

SCALES: Mapping[int, Mapping[str, tuple[int, int]]] = {
    METRIC_NPS: {"0-10": (0, 10), "1-10": (1, 10)},
    METRIC_CSAT: {"1-5": (1, 5)},
    METRIC_CES: {"1-7": (1, 7)},
}
"""Metric -> its scales, the default first, each with its lowest and highest score, both inclusive."""


class Question(NamedTuple):
    """What an answer answers, defaults filled in."""

    metric: Metric.ValueType
    kind: ResponseKind.ValueType
    scale: str


def question_of(response: Response, survey: Survey | None) -> Question:
    """Return metric, kind and scale of an answer: its own, else the survey's, else the default.

    A kind that nobody gave is transactional when the answer names a moment or an activity, else relationship. A scale
    that nobody gave is the metric's first.

    Args:
        response: as it came.
        survey: the one it names; None if it names none.
    """
    metric = response.metric or (survey.metric if survey else METRIC_UNSPECIFIED)
    kind = response.kind or (survey.kind if survey else RESPONSE_KIND_UNSPECIFIED)
    if not kind:
        about_one = bool(response.moment or response.activity_id)
        kind = RESPONSE_KIND_TRANSACTIONAL if about_one else RESPONSE_KIND_RELATIONSHIP
    scale = response.scale or (survey.scale if survey else "") or next(iter(SCALES.get(metric, ())), "")
    return Question(metric, kind, scale)


def problem_with_response(response: Response, survey: Survey | None, now: datetime) -> Problem | None:
    """Tell why an answer cannot be taken, or None.

    Args:
        response: as it came, ids checked at the edge.
        survey: the one it names; None if it names none, or if there is no such survey. An archived one counts.
        now: aware; the time of receipt.

    Returns:
        SURVEY_UNKNOWN, METRIC_MISSING, METRIC_MISMATCH, SCALE_UNSUPPORTED, ANSWER_MISSING, SCORE_OUT_OF_RANGE,
        ITEM_TOO_LARGE or what `problem_with_occurred_at` returns.
    """
    if response.survey and survey is None:
        return "SURVEY_UNKNOWN", "/survey", "there is no such survey: PUT it first"
    metric, _, scale = question_of(response, survey)
    scales = SCALES.get(metric)
    if scales is None:
        return "METRIC_MISSING", "/metric", "a response needs a survey or a metric"
    if survey and metric != survey.metric:
        return "METRIC_MISMATCH", "/metric", "the metric differs from the survey's"
    if scale not in scales:
        return "SCALE_UNSUPPORTED", "/scale", f"the metric's scales are: {', '.join(scales)}"
    return _problem_with_answer(response, *scales[scale]) or problem_with_occurred_at(response.occurred_at, now)


def problem_with_mention(mention: Mention, now: datetime) -> Problem | None:
    """Tell why a mention cannot be taken, or None: REACH_OUT_OF_RANGE, ITEM_TOO_LARGE, or about its time."""
    if not 0 <= mention.reach <= MOST_REACH:
        return "REACH_OUT_OF_RANGE", "/reach", "reach is a number of people, 0 or more"
    if len(mention.text) > MOST_CODE_POINTS:
        return "ITEM_TOO_LARGE", "/text", f"a text has at most {MOST_CODE_POINTS} characters"
    return problem_with_occurred_at(mention.occurred_at, now)


def problem_with_occurred_at(occurred_at: Timestamp, now: datetime) -> Problem | None:
    """Tell why a fact cannot have occurred then, or None: good from 1970 to 24 hours after `now`."""
    seconds = occurred_at.seconds
    if seconds < 0:
        return "OCCURRED_AT_TOO_EARLY", "/occurred_at", "occurred_at must not be before 1970"
    if seconds + occurred_at.nanos / 1e9 > now.timestamp() + _AHEAD_SECONDS:
        return "OCCURRED_AT_IN_FUTURE", "/occurred_at", "occurred_at is more than 24 hours ahead"
    return None


def _problem_with_answer(response: Response, lowest: int, highest: int) -> Problem | None:
    has_score = response.HasField("score")
    if not has_score and not response.verbatim.strip():
        return "ANSWER_MISSING", "/score", "a response needs a score or a verbatim"
    if has_score and not lowest <= response.score <= highest:
        return "SCORE_OUT_OF_RANGE", "/score", f"a score on this scale is a whole number from {lowest} to {highest}"
    if len(response.verbatim) > MOST_CODE_POINTS:
        return "ITEM_TOO_LARGE", "/verbatim", f"a verbatim has at most {MOST_CODE_POINTS} characters"
    return None
