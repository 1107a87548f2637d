"""Structs to messages and back, by name."""

from typing import Literal

import msgspec
import pytest

from plaudit.feedback.v1 import feedback_pb2
from plaudit.profile.v1 import profile_pb2
from services.gateway import edge
from services.gateway.routes.ingest.kinds import KINDS


class CaseIn(edge.Body):
    """A part of a case."""

    case_id: edge.Id
    state: Literal["open", "waiting_customer"] | None = None
    owner: edge.Label | edge.Absent | None = edge.UNSET


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.plural)
def test_the_fields_of_a_fact_are_those_of_its_message(kind):
    written = {field.encode_name for field in msgspec.structs.fields(kind.shape)}
    assert written == {field.name for field in kind.message.DESCRIPTOR.fields}


def test_a_word_is_its_enums_number_and_back():
    message = edge.to_message(CaseIn(case_id="c", state="waiting_customer"), feedback_pb2.Case)
    assert message.state == feedback_pb2.CASE_STATE_WAITING_CUSTOMER
    assert edge.to_json(message)["state"] == "waiting_customer"


def test_an_unspecified_word_is_null():
    assert edge.to_json(feedback_pb2.Case())["state"] is None


def test_a_word_that_only_a_newer_service_knows_is_null():
    assert edge.to_json(feedback_pb2.Case(state=99))["state"] is None


def test_absent_and_null_are_left_out():
    message = edge.to_message(CaseIn(case_id="c", owner=None), feedback_pb2.Case)
    assert not message.HasField("owner")


def test_a_patch_tells_null_from_absent():
    assert edge.given(edge.decode(b'{"case_id":"c"}', CaseIn)) == ["case_id", "state"]
    assert edge.given(edge.decode(b'{"case_id":"c","owner":null}', CaseIn)) == ["case_id", "state", "owner"]


def test_every_field_is_answered_and_null_where_it_has_no_value():
    found = edge.to_json(profile_pb2.Activity(activity_id="a"))
    assert set(found) == {field.name for field in profile_pb2.Activity.DESCRIPTOR.fields}
    assert found["customer_id"] is None
    assert found["occurred_at"] is None


def test_zero_and_false_are_values():
    message = feedback_pb2.Response(score=0, solicited=False)
    found = edge.to_json(message)
    assert (found["score"], found["solicited"], found["contact_ok"]) == (0, False, None)


def test_json_is_carried_as_it_is():
    message = profile_pb2.Activity(properties=b'{"a":1}')
    assert msgspec.json.encode(edge.to_json(message)["properties"]) == b'{"a":1}'


def test_nested_and_repeated_messages_come_through():
    case = feedback_pb2.Case(triggers=[feedback_pb2.Trigger(kind="response", id="r")])
    case.clocks.resolution.breached = True
    found = edge.to_json(case)
    assert found["triggers"] == [{"kind": "response", "id": "r", "at": None}]
    assert found["clocks"]["resolution"]["breached"] is True
    assert found["contacts"] == []


def test_lists_of_two_answers_are_not_one():
    first, second = edge.to_json(feedback_pb2.Case()), edge.to_json(feedback_pb2.Case())
    assert first["triggers"] is not second["triggers"]


def test_a_struct_with_a_field_of_its_own_is_an_error():
    class Stray(edge.Body):
        stray: edge.Id = "x"

    with pytest.raises(TypeError, match=r"Stray\.stray is no field"):
        edge.to_message(Stray(), feedback_pb2.Case)


def test_times_are_answered_in_utc_to_the_microsecond():
    message = feedback_pb2.Response()
    message.occurred_at.FromJsonString("2026-01-02T03:04:05.123456Z")
    assert msgspec.json.encode(edge.to_json(message)["occurred_at"]) == b'"2026-01-02T03:04:05.123456Z"'
