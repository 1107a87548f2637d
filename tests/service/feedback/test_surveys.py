"""Surveys: things that are replaced, archived and revived."""

import uuid
from typing import Any

import pytest

from libs.common import clock
from libs.common.errors import InvalidArgument, NotFound
from plaudit.common.v1.ingest_pb2 import ITEM_STATUS_STORED
from plaudit.feedback.v1 import feedback_service_pb2 as pb
from plaudit.feedback.v1.feedback_pb2 import METRIC_CSAT, METRIC_NPS, Survey
from tests.conftest import World

from .conftest import Feedback, nps, stamp


async def save(feedback: Feedback, **fields: Any) -> pb.SaveSurveyResponse:
    """Save a survey."""
    survey = Survey(**{"key": "s-1", "metric": METRIC_NPS, **fields})
    saved: pb.SaveSurveyResponse = await feedback.call("SaveSurvey", pb.SaveSurveyRequest(survey=survey))
    return saved


async def test_a_survey_is_made_and_then_replaced(feedback: Feedback) -> None:
    first = await save(feedback, question="How likely?", locales=["en", "pt-BR"])
    second = await save(feedback, metric=METRIC_CSAT)
    assert (first.created, second.created) == (True, False)
    assert list(first.survey.locales) == ["en", "pt-BR"]
    assert (second.survey.HasField("question"), list(second.survey.locales)) == (False, [])
    assert second.survey.created_at == first.survey.created_at


async def test_a_survey_is_archived_and_revived(feedback: Feedback) -> None:
    await save(feedback)
    await feedback.call("ArchiveSurvey", pb.ArchiveSurveyRequest(key="s-1"))
    again = await feedback.call("ArchiveSurvey", pb.ArchiveSurveyRequest(key="s-1"))
    found = await feedback.call("GetSurvey", pb.GetSurveyRequest(key="s-1"))
    assert found.survey.HasField("archived_at")
    assert found.survey == again.survey
    assert (await feedback.record(nps(9, survey="s-1")))[0].status == ITEM_STATUS_STORED
    assert not (await feedback.call("ListSurveys", pb.ListSurveysRequest())).surveys
    assert len((await feedback.call("ListSurveys", pb.ListSurveysRequest(archived=True))).surveys) == 1
    revived = await save(feedback)
    assert (revived.created, revived.survey.HasField("archived_at")) == (False, False)


async def test_an_unknown_survey_is_not_found(feedback: Feedback) -> None:
    with pytest.raises(NotFound, match="SURVEY_NOT_FOUND"):
        await feedback.call("ArchiveSurvey", pb.ArchiveSurveyRequest(key="nobody"))


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"metric": None}, "METRIC_MISSING", "/metric"),
        ({"scale": "1-5"}, "SCALE_UNSUPPORTED", "/scale"),
        ({"question": "q" * 1_001}, "ITEM_TOO_LARGE", "/question"),
        ({"key": ""}, "ID_INVALID", "/key"),
        ({"kind": 9}, "KIND_INVALID", "/kind"),
    ],
)
async def test_a_bad_survey_is_refused(feedback: Feedback, fields: dict[str, Any], code: str, pointer: str) -> None:
    with pytest.raises(InvalidArgument, match=code) as caught:
        await save(feedback, **fields)
    assert caught.value.metadata["pointer"] == pointer


async def test_surveys_are_listed_by_key_and_page(feedback: Feedback) -> None:
    for key in ("c", "a", "b"):
        await save(feedback, key=key)
    first = await feedback.call("ListSurveys", pb.ListSurveysRequest(page_size=2))
    token = first.next_page_token
    rest = await feedback.call("ListSurveys", pb.ListSurveysRequest(page_size=2, page_token=token))
    assert [survey.key for survey in (*first.surveys, *rest.surveys)] == ["a", "b", "c"]
    later = pb.ListSurveysRequest(updated_after=stamp(clock.now()))
    assert not (await feedback.call("ListSurveys", later)).surveys


async def test_saving_leaves_an_audit_row(feedback: Feedback, world: World) -> None:
    await save(feedback)
    conn = await world.connect("feedback", feedback.tenant_id)
    try:
        rows = await conn.fetch("select action, subject_kind, subject_id from audit")
    finally:
        await conn.close()
    assert [tuple(row) for row in rows] == [("SaveSurvey", "survey", "s-1")]


async def test_another_tenant_has_surveys_of_its_own(feedback: Feedback) -> None:
    await save(feedback)
    feedback.tenant_id = uuid.uuid4()
    assert (await save(feedback)).created
