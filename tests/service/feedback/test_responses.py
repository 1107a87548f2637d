"""Answers: stored once, with what they cause, read back with their words."""

import uuid
from datetime import timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from libs.common import clock
from libs.common.errors import InvalidArgument, NotFound
from plaudit.common.v1.ingest_pb2 import (
    ITEM_STATUS_DUPLICATE,
    ITEM_STATUS_REJECTED,
    ITEM_STATUS_STORED,
)
from plaudit.event.v1.event_batch_pb2 import EventBatch
from plaudit.feedback.v1 import feedback_service_pb2 as pb
from plaudit.feedback.v1.feedback_events_pb2 import ResponseRecorded
from plaudit.feedback.v1.feedback_pb2 import (
    METRIC_CES,
    METRIC_CSAT,
    METRIC_NPS,
    RESPONSE_KIND_RELATIONSHIP,
    RESPONSE_KIND_TRANSACTIONAL,
    Response,
    Survey,
)
from tests.conftest import World

from .conftest import Feedback, ago, nps, stamp


async def _get(feedback: Feedback, response_id: str) -> pb.ResponseRecord:
    answer = await feedback.call("GetResponse", pb.GetResponseRequest(response_id=response_id))
    record: pb.ResponseRecord = answer.record
    return record


async def _events(world: World, tenant_id: uuid.UUID, subject: str) -> list[bytes]:
    conn = await world.connect("feedback", tenant_id)
    try:
        rows = await conn.fetch("select payload from outbox where subject = $1", subject)
    finally:
        await conn.close()
    return [event.payload for row in rows for event in EventBatch.FromString(row["payload"]).events]


async def test_an_answer_is_stored_once(feedback: Feedback) -> None:
    answer = nps(9, customer_id="c-1")
    first = await feedback.record(answer)
    second = await feedback.record(answer)
    assert [result.status for result in (*first, *second)] == [ITEM_STATUS_STORED, ITEM_STATUS_DUPLICATE]


async def test_a_repeat_answers_when_the_first_was_received(feedback: Feedback) -> None:
    answer = nps(9, customer_id="c-1")
    first = await feedback.record(answer)
    second = await feedback.record(answer)
    assert second[0].received_at == first[0].received_at


async def test_the_own_retry_of_a_request_is_stored_and_no_repeat(feedback: Feedback) -> None:
    answer = nps(9, customer_id="c-1")
    await feedback.record(answer, token=b"0123456789abcdef")
    again = await feedback.record(answer, token=b"0123456789abcdef")
    assert again[0].status == ITEM_STATUS_STORED


async def test_other_content_under_the_same_id_is_refused(feedback: Feedback) -> None:
    answer = nps(9, customer_id="c-1")
    await feedback.record(answer)
    answer.score = 8
    assert (await feedback.record(answer))[0].code == "ID_REUSED"


async def test_an_answer_is_read_back_with_its_words_and_defaults(feedback: Feedback) -> None:
    answer = nps(10, customer_id="c-1", verbatim="Lovely \N{PARTY POPPER}", moment="checkout", staff_id="s-1")
    await feedback.record(answer)
    record = await _get(feedback, answer.response_id)
    answer.kind = RESPONSE_KIND_TRANSACTIONAL
    answer.scale = "0-10"
    assert record.response == answer


async def test_an_absent_score_stays_absent(feedback: Feedback) -> None:
    answer = nps(None, customer_id="c-1", verbatim="no number, just words")
    await feedback.record(answer)
    assert not (await _get(feedback, answer.response_id)).response.HasField("score")


async def test_a_score_of_zero_is_an_answer(feedback: Feedback) -> None:
    answer = nps(0, customer_id="c-1")
    await feedback.record(answer)
    assert (await _get(feedback, answer.response_id)).response.HasField("score")


async def test_an_unknown_answer_is_not_found(feedback: Feedback) -> None:
    with pytest.raises(NotFound, match="RESPONSE_NOT_FOUND"):
        await _get(feedback, "nobody")


async def test_another_tenant_finds_nothing(feedback: Feedback) -> None:
    answer = nps(9)
    await feedback.record(answer)
    feedback.tenant_id = uuid.uuid4()
    with pytest.raises(NotFound, match="RESPONSE_NOT_FOUND"):
        await _get(feedback, answer.response_id)


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"survey": "never-put"}, "SURVEY_UNKNOWN", "/survey"),
        ({"survey": "a\0b"}, "TEXT_INVALID", "/survey"),
        ({"metric": None}, "METRIC_MISSING", "/metric"),
        ({"scale": "1-5"}, "SCALE_UNSUPPORTED", "/scale"),
        ({"scale": "1-10", "score": 0}, "SCORE_OUT_OF_RANGE", "/score"),
        ({"score": 11}, "SCORE_OUT_OF_RANGE", "/score"),
        ({"score": -1}, "SCORE_OUT_OF_RANGE", "/score"),
        ({"metric": METRIC_CSAT, "score": 6}, "SCORE_OUT_OF_RANGE", "/score"),
        ({"metric": METRIC_CES, "score": 0}, "SCORE_OUT_OF_RANGE", "/score"),
        ({"score": None}, "ANSWER_MISSING", "/score"),
        ({"verbatim": "x" * 4_001}, "ITEM_TOO_LARGE", "/verbatim"),
        ({"verbatim": "a\0b"}, "TEXT_INVALID", "/verbatim"),
        ({"moment": "m" * 201}, "ITEM_TOO_LARGE", "/moment"),
        ({"customer_id": ""}, "ID_INVALID", "/customer_id"),
        ({"customer_id": "c" * 3_000}, "ID_INVALID", "/customer_id"),
        ({"response_id": ""}, "ID_INVALID", "/response_id"),
        ({"occurred_at": None}, "OCCURRED_AT_INVALID", "/occurred_at"),
        ({"kind": 9}, "VALUE_INVALID", "/kind"),
    ],
)
async def test_a_bad_answer_is_refused_alone(
    feedback: Feedback, fields: dict[str, object], code: str, pointer: str
) -> None:
    given = {"response_id": "r-bad", "metric": METRIC_NPS, "score": 5, "occurred_at": stamp(ago()), **fields}
    bad = Response(**given)  # type: ignore[arg-type]
    good = nps(9)
    results = await feedback.record(bad, good)
    assert [results[0].status, results[1].status] == [ITEM_STATUS_REJECTED, ITEM_STATUS_STORED]
    assert (results[0].code, results[0].pointer) == (code, pointer)


async def test_a_day_ahead_is_taken_and_more_is_not(feedback: Feedback) -> None:
    near = nps(9, at=clock.now() + timedelta(hours=23))
    far = nps(9, at=clock.now() + timedelta(hours=25))
    results = await feedback.record(near, far)
    assert [results[0].status, results[1].code] == [ITEM_STATUS_STORED, "OCCURRED_AT_IN_FUTURE"]


async def test_1970_is_taken_and_before_is_not(feedback: Feedback) -> None:
    first, before = nps(9), nps(9)
    first.occurred_at.seconds, first.occurred_at.nanos = 0, 0
    before.occurred_at.seconds, before.occurred_at.nanos = -1, 0
    results = await feedback.record(first, before)
    assert [results[0].status, results[1].code] == [ITEM_STATUS_STORED, "OCCURRED_AT_TOO_EARLY"]


async def test_more_than_256_answers_are_refused_together(feedback: Feedback) -> None:
    with pytest.raises(InvalidArgument, match="BATCH_TOO_LARGE"):
        await feedback.record(*(nps(9) for _ in range(257)))


async def test_the_survey_fills_in_what_an_answer_leaves_out(feedback: Feedback) -> None:
    survey = Survey(key="csat-1", metric=METRIC_CSAT, kind=RESPONSE_KIND_RELATIONSHIP, scale="1-5")
    await feedback.call("SaveSurvey", pb.SaveSurveyRequest(survey=survey))
    answer = Response(response_id="r-1", survey="csat-1", score=4, moment="checkout", occurred_at=stamp(ago()))
    await feedback.record(answer)
    kept = (await _get(feedback, "r-1")).response
    assert (kept.metric, kept.kind, kept.scale) == (METRIC_CSAT, RESPONSE_KIND_RELATIONSHIP, "1-5")


async def test_the_answer_says_what_was_filled_in(feedback: Feedback) -> None:
    items = [pb.ResponseItem(response=nps(9, moment="checkout")), pb.ResponseItem(response=nps(99))]
    answer = await feedback.call("RecordResponses", pb.RecordResponsesRequest(items=items))
    filled = pb.ResponseDefaults(metric=METRIC_NPS, kind=RESPONSE_KIND_TRANSACTIONAL, scale="0-10")
    assert list(answer.defaults) == [filled, pb.ResponseDefaults()]


async def test_an_answer_that_differs_from_its_survey_is_refused(feedback: Feedback) -> None:
    survey = Survey(key="csat-1", metric=METRIC_CSAT)
    await feedback.call("SaveSurvey", pb.SaveSurveyRequest(survey=survey))
    results = await feedback.record(nps(9, survey="csat-1"))
    assert results[0].code == "METRIC_MISMATCH"


async def test_the_event_carries_no_words(feedback: Feedback, world: World) -> None:
    await feedback.record(nps(10, customer_id="c-1", verbatim="my secret words"))
    (payload,) = await _events(world, feedback.tenant_id, ResponseRecorded.DESCRIPTOR.full_name)
    event = ResponseRecorded.FromString(payload)
    assert (event.customer_id, event.score, event.has_verbatim) == ("c-1", 10, True)
    assert b"secret" not in payload


async def test_a_repeat_tells_nobody(feedback: Feedback, world: World) -> None:
    answer = nps(10)
    await feedback.record(answer)
    await feedback.record(answer, nps(9))
    assert len(await _events(world, feedback.tenant_id, ResponseRecorded.DESCRIPTOR.full_name)) == 2


async def test_history_was_received_when_it_occurred(feedback: Feedback) -> None:
    answer = nps(9, at=ago(days=900))
    results = await feedback.record(answer, history=True)
    assert results[0].received_at == answer.occurred_at


async def test_answers_are_listed_newest_first_by_page(feedback: Feedback) -> None:
    answers = [nps(9, customer_id="c-1", at=ago(hours=hours)) for hours in (3, 1, 2)]
    await feedback.record(*answers, nps(9, customer_id="c-2"))
    first = await feedback.call("ListResponses", pb.ListResponsesRequest(customer_id="c-1", page_size=2))
    rest = await feedback.call(
        "ListResponses",
        pb.ListResponsesRequest(customer_id="c-1", page_size=2, page_token=first.next_page_token),
    )
    listed = [record.response.response_id for record in (*first.records, *rest.records)]
    assert listed == [answers[index].response_id for index in (1, 2, 0)]
    assert not rest.next_page_token


async def test_a_period_is_half_open(feedback: Feedback) -> None:
    start, middle = ago(hours=2), ago(hours=1)
    inside, outside = nps(9, at=start), nps(9, at=middle)
    await feedback.record(inside, outside)
    request = pb.ListResponsesRequest(to=stamp(middle), **{"from": stamp(start)})  # type: ignore[arg-type]
    listed = await feedback.call("ListResponses", request)
    assert [record.response.response_id for record in listed.records] == [inside.response_id]


@pytest.mark.parametrize("token", ["x", "!!!", "AAAAAAAA", "A" * 5_000])
async def test_a_made_up_cursor_is_refused(feedback: Feedback, token: str) -> None:
    with pytest.raises(InvalidArgument, match="CURSOR_INVALID"):
        await feedback.call("ListResponses", pb.ListResponsesRequest(page_token=token))


async def test_the_cursor_of_another_filter_is_refused(feedback: Feedback) -> None:
    await feedback.record(nps(9, customer_id="c-1"), nps(9, customer_id="c-1"))
    page = await feedback.call("ListResponses", pb.ListResponsesRequest(customer_id="c-1", page_size=1))
    other = pb.ListResponsesRequest(customer_id="c-2", page_size=1, page_token=page.next_page_token)
    with pytest.raises(InvalidArgument, match="CURSOR_INVALID"):
        await feedback.call("ListResponses", other)


async def test_a_repeat_stays_one_whatever_became_of_its_survey(feedback: Feedback) -> None:
    await feedback.call("SaveSurvey", pb.SaveSurveyRequest(survey=Survey(key="s-1", metric=METRIC_NPS)))
    answer = Response(response_id="r-1", survey="s-1", score=9, occurred_at=stamp(ago()))
    stored = await feedback.record(answer)
    await feedback.call("SaveSurvey", pb.SaveSurveyRequest(survey=Survey(key="s-1", metric=METRIC_CSAT)))
    new = Response(response_id="r-2", survey="s-1", score=9, occurred_at=answer.occurred_at)
    results = await feedback.record(answer, new)
    assert (results[0].status, results[0].received_at) == (ITEM_STATUS_DUPLICATE, stored[0].received_at)
    assert results[1].code == "SCORE_OUT_OF_RANGE"


@pytest.mark.parametrize(
    "request_",
    [
        pb.ListResponsesRequest(customer_id="a\0b"),
        pb.ListResponsesRequest(page_size=-1),
        pb.ListResponsesRequest(to=Timestamp(seconds=10**15)),
        pb.ListResponsesRequest(updated_after=Timestamp(nanos=-1)),
    ],
)
async def test_what_no_database_can_look_up_is_refused(feedback: Feedback, request_: pb.ListResponsesRequest) -> None:
    with pytest.raises(InvalidArgument, match="_INVALID"):
        await feedback.call("ListResponses", request_)
