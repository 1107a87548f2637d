"""Events: what an old outbox row says is read for ever, nothing in one names a person, and somebody listens.

A new event, or a new field of one, fails here until `tests/vectors/events.json` has bytes that carry it: add a vector
{"hex": message.SerializeToString(deterministic=True).hex(), "content": MessageToDict(message)} and change none.
"""

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from libs.common import ingest
from plaudit.event.v1 import event_batch_pb2
from plaudit.feedback.v1 import feedback_events_pb2
from plaudit.profile.v1 import profile_events_pb2
from plaudit.referral.v1 import referral_events_pb2
from plaudit.scoring.v1 import scoring_events_pb2
from services.gateway import edge
from services.gateway.routes.ingest.kinds import KINDS

from .conftest import SERVICES

ENVELOPE = tuple(event_batch_pb2.DESCRIPTOR.message_types_by_name.values())
EVENTS = tuple(
    message
    for file in (feedback_events_pb2, profile_events_pb2, referral_events_pb2, scoring_events_pb2)
    for message in file.DESCRIPTOR.message_types_by_name.values()
)
VECTORS: dict[str, list[dict[str, Any]]] = json.loads(Path("tests/vectors/events.json").read_text())
FINGERPRINTS: list[dict[str, Any]] = json.loads(Path("tests/vectors/fingerprints.json").read_text())
SHAPES = {kind.noun: kind for kind in KINDS}

KEYS = {
    *("activity_id", "account_id", "ask_id", "case_id", "customer_id", "device_id", "id", "invitation_id"),
    *("mention_id", "response_id", "staff_id"),
    *("campaign", "channel", "currency", "key", "kind", "locale", "model_version", "moment", "preferred_channel"),
    *("scale", "site", "source", "survey", "team", "timezone", "type"),
}
"""Every text that an event may carry: ids, keys and codes, never what a person typed or what names one."""
TELLING = {
    *("address", "answer", "author", "birth", "birthday", "comment", "contact", "detail", "email", "evidence", "first"),
    *("goal", "goals", "identities", "identity", "incentive", "ip", "label", "last", "link", "mail", "name", "names"),
    *("note", "phone", "properties", "question", "reason", "role", "subject", "tag", "tags", "text", "title", "trait"),
    *("traits", "url", "value_text", "verbatim", "words"),
}
"""Words that no field of an event has in its name, unless it is a flag (`has_verbatim`)."""
UNHEARD = {
    "plaudit.feedback.v1.MentionRecorded": "mentions are counted where they are stored",
    "plaudit.referral.v1.ProgramChanged": "programs are read where they are stored",
}
"""Events without a consumer, and why; a consumer that is new gets them by a replay."""


def message_of(name: str) -> Any:
    found = next(message for message in (*ENVELOPE, *EVENTS) if message.full_name == name)
    return message_factory.GetMessageClass(found)


def decoded(name: str, vector: dict[str, Any]) -> dict[str, Any]:
    message = message_of(name).FromString(bytes.fromhex(vector["hex"]))
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def fields_of(message: Descriptor) -> Iterator[FieldDescriptor]:
    """Give the fields of a message and of the messages inside, but for times."""
    for field in message.fields:
        yield field
        inner = field.message_type
        if inner is not None and inner.full_name != "google.protobuf.Timestamp":
            yield from fields_of(inner)


def handled() -> dict[str, list[str]]:
    """Return the services that handle each subject."""
    by_subject: dict[str, list[str]] = {}
    for service in SERVICES:
        for handler in importlib.import_module(f"services.{service}.consumers").HANDLERS:
            by_subject.setdefault(handler.subject, []).append(service)
    return by_subject


# Old bytes.


@pytest.mark.parametrize("name", VECTORS)
def test_old_bytes_are_read_as_they_were_meant(name: str) -> None:
    vectors = VECTORS[name]
    assert [decoded(name, vector) for vector in vectors] == [vector["content"] for vector in vectors]


@pytest.mark.parametrize("name", VECTORS)
def test_old_bytes_hold_no_field_that_is_gone(name: str) -> None:
    messages = [message_of(name).FromString(bytes.fromhex(vector["hex"])) for vector in VECTORS[name]]
    for message in messages:
        message.DiscardUnknownFields()
    known = [message.SerializeToString(deterministic=True).hex() for message in messages]
    assert known == [vector["hex"] for vector in VECTORS[name]]


def test_every_message_has_bytes() -> None:
    assert set(VECTORS) == {message.full_name for message in (*ENVELOPE, *EVENTS)}


@pytest.mark.parametrize("message", [*ENVELOPE, *EVENTS], ids=lambda message: message.name)
def test_every_field_is_in_some_bytes(message: Descriptor) -> None:
    seen = {name for vector in VECTORS[message.full_name] for name in vector["content"]}
    assert seen == {field.name for field in message.fields}


@pytest.mark.parametrize("message", EVENTS, ids=lambda message: message.name)
def test_an_event_is_named_in_the_past(message: Descriptor) -> None:
    assert message.name.endswith("ed")


# Nothing personal.


@pytest.mark.parametrize("message", EVENTS, ids=lambda message: message.name)
def test_an_event_carries_ids_keys_and_numbers_only(message: Descriptor) -> None:
    texts = {field.name for field in fields_of(message) if field.type == FieldDescriptor.TYPE_STRING}
    assert texts - KEYS == set()


@pytest.mark.parametrize("message", EVENTS, ids=lambda message: message.name)
def test_an_event_has_no_bytes_and_no_maps(message: Descriptor) -> None:
    opaque = {"google.protobuf.Struct", "google.protobuf.Any", "google.protobuf.Value"}
    fields = [field for field in fields_of(message) if field.type == FieldDescriptor.TYPE_BYTES or field.message_type]
    assert [
        field.name
        for field in fields
        if field.message_type is None
        or field.message_type.full_name in opaque
        or field.message_type.GetOptions().map_entry
    ] == []


@pytest.mark.parametrize("message", EVENTS, ids=lambda message: message.name)
def test_no_field_of_an_event_sounds_personal(message: Descriptor) -> None:
    named = {field.name for field in fields_of(message) if field.type != FieldDescriptor.TYPE_BOOL}
    assert {name for name in named if TELLING & set(name.split("_"))} == set()


# Somebody listens.


@pytest.mark.parametrize("name", [message.full_name for message in EVENTS])
def test_an_event_is_heard_or_known_to_be_unheard(name: str) -> None:
    assert (name in handled()) is (name not in UNHEARD)


def test_what_is_handled_is_an_event() -> None:
    assert set(handled()) <= {message.full_name for message in EVENTS}


def test_nobody_handles_an_event_twice() -> None:
    assert [subject for subject, services in handled().items() if len(services) != len(set(services))] == []


# Fingerprints: a change here makes every repeat look like other content.


@pytest.mark.parametrize("vector", FINGERPRINTS, ids=lambda vector: vector["name"])
def test_the_fingerprint_of_a_fact_is_what_it_was(vector: dict[str, Any]) -> None:
    kind = SHAPES[vector["kind"]]
    item = edge.to_message(edge.decode(vector["body"].encode(), kind.shape), kind.message)
    assert ingest.fingerprint(b"a key of the test's", item).hex() == vector["fingerprint"]


def test_every_kind_of_fact_has_a_fingerprint() -> None:
    assert {vector["kind"] for vector in FINGERPRINTS} == set(SHAPES)


@pytest.mark.parametrize("kind", SHAPES)
def test_the_same_content_has_one_fingerprint_however_it_is_written(kind: str) -> None:
    by_content: dict[str, set[str]] = {}
    for vector in (one for one in FINGERPRINTS if one["kind"] == kind):
        by_content.setdefault(vector["content"], set()).add(vector["fingerprint"])
    assert [len(found) for found in by_content.values()] == [1] * len(by_content)


@pytest.mark.parametrize("kind", SHAPES)
def test_other_content_has_another_fingerprint(kind: str) -> None:
    found = {(one["content"], one["fingerprint"]) for one in FINGERPRINTS if one["kind"] == kind}
    assert len({fingerprint for _, fingerprint in found}) == len({content for content, _ in found})
