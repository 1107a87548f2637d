"""Which ids, texts and times can be kept."""

from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from plaudit.feedback.v1.feedback_pb2 import METRIC_NPS, Mention, Response, Survey
from plaudit.feedback.v1.feedback_service_pb2 import AddContactRequest, TransitionCaseRequest, UpdateCaseRequest
from services.feedback import domain

AT = Timestamp(seconds=1_700_000_000)


def problem_with(**fields: Any) -> tuple[str, str] | None:
    """Return code and pointer of what is wrong with an answer."""
    given = {"response_id": "r-1", "occurred_at": AT, **fields}
    problem = domain.problem_with_form(Response(**given), "response_id")
    return problem and problem[:2]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"customer_id": "c" * 128},
        {"staff_id": "s" * 200},
        {"moment": "m" * 200},
        {"verbatim": "v" * 4_000},
        {"verbatim": ""},
        {"metric": METRIC_NPS},
        {"score": 0, "solicited": False},
    ],
)
def test_what_can_be_kept(fields: dict[str, Any]) -> None:
    assert problem_with(**fields) is None


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"response_id": ""}, "ID_INVALID", "/response_id"),
        ({"response_id": "r" * 129}, "ID_INVALID", "/response_id"),
        ({"response_id": "r\0"}, "TEXT_INVALID", "/response_id"),
        ({"customer_id": ""}, "ID_INVALID", "/customer_id"),
        ({"staff_id": "s" * 201}, "ITEM_TOO_LARGE", "/staff_id"),
        ({"channel": "c" * 201}, "ITEM_TOO_LARGE", "/channel"),
        ({"verbatim": "v" * 4_001}, "ITEM_TOO_LARGE", "/verbatim"),
        ({"verbatim": "\0"}, "TEXT_INVALID", "/verbatim"),
        ({"metric": 77}, "VALUE_INVALID", "/metric"),
        ({"occurred_at": None}, "OCCURRED_AT_INVALID", "/occurred_at"),
        ({"occurred_at": Timestamp(nanos=-1)}, "OCCURRED_AT_INVALID", "/occurred_at"),
        ({"occurred_at": Timestamp(nanos=10**9)}, "OCCURRED_AT_INVALID", "/occurred_at"),
    ],
)
def test_what_cannot(fields: dict[str, Any], code: str, pointer: str) -> None:
    assert problem_with(**fields) == (code, pointer)


def test_a_mentions_own_id_is_asked_for() -> None:
    problem = domain.problem_with_form(Mention(occurred_at=AT), "mention_id")
    assert problem is not None
    assert problem[:2] == ("ID_INVALID", "/mention_id")


def test_only_three_fields_of_a_case_can_be_changed() -> None:
    request = UpdateCaseRequest(case_id="case_1")
    request.update_mask.paths.extend(["owner", "external_ref", "external_url"])
    assert domain.problem_with_update(request) is None
    request.update_mask.paths.append("team")
    assert (domain.problem_with_update(request) or ("",))[0] == "FIELD_UNKNOWN"


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [({"owner": "o" * 201}, "/owner"), ({"external_url": "u" * 2_049}, "/external_url")],
)
def test_a_cases_texts_have_limits(fields: dict[str, Any], pointer: str) -> None:
    request = UpdateCaseRequest(case_id="case_1", **fields)
    request.update_mask.paths.extend(fields)
    problem = domain.problem_with_update(request)
    assert problem is not None
    assert problem[:2] == ("ITEM_TOO_LARGE", pointer)


@pytest.mark.parametrize(
    ("request_", "pointer"),
    [
        (TransitionCaseRequest(note="n" * 4_001), "/note"),
        (TransitionCaseRequest(by="b" * 201), "/by"),
        (AddContactRequest(channel="c" * 201), "/channel"),
    ],
)
def test_a_steps_texts_have_limits(request_: Any, pointer: str) -> None:
    problem = domain.problem_with_step_texts(request_)
    assert problem is not None
    assert problem[:2] == ("ITEM_TOO_LARGE", pointer)


def test_a_survey_has_limits() -> None:
    survey = Survey(key="s-1", metric=METRIC_NPS, scale="0-10", locales=["en"] * 64)
    assert domain.problem_with_survey(survey) is None
    survey.locales.append("en")
    assert (domain.problem_with_survey(survey) or ("",))[0] == "ITEM_TOO_LARGE"
