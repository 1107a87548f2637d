"""Ids, texts and times that can be kept. Callers over HTTP have passed stricter checks; this is for the direct ones."""

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from plaudit.feedback.v1.feedback_pb2 import Mention, Response
from plaudit.feedback.v1.feedback_service_pb2 import (
    AcknowledgeCaseRequest,
    AddContactRequest,
    TransitionCaseRequest,
    UpdateCaseRequest,
)

from .moves import UPDATABLE
from .responses import MOST_CODE_POINTS, Problem

LONGEST_ID = 128
LONGEST_LABEL = 200
LONGEST_URL = 2_048
_FREE_TEXTS = frozenset(("verbatim", "text"))
_SECOND_NANOS = 1_000_000_000
_LONGEST_TEXT = 5_000
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799


def problem_with_form(fact: Response | Mention, own_id: str) -> Problem | None:
    """Tell what makes a fact unreadable, or None.

    Args:
        fact: as it came.
        own_id: the name of its own id's field.

    Returns:
        ID_INVALID, ITEM_TOO_LARGE, TEXT_INVALID, VALUE_INVALID or OCCURRED_AT_INVALID.
    """
    if not getattr(fact, own_id):
        return "ID_INVALID", f"/{own_id}", f"an id has 1 to {LONGEST_ID} characters"
    for field, value in fact.ListFields():
        if value.__class__ is str:
            # Nearly every text is short and plain, and passes whatever its field's own limit is.
            if 0 < len(value) <= LONGEST_ID and "\0" not in value:
                continue
            if problem := _problem_with_field(field.name, value):
                return problem
        elif field.enum_type is not None and value not in field.enum_type.values_by_number:
            return "VALUE_INVALID", f"/{field.name}", "not one of the values that this field takes"
    if not fact.HasField("occurred_at") or not 0 <= fact.occurred_at.nanos < _SECOND_NANOS:
        return "OCCURRED_AT_INVALID", "/occurred_at", "a fact needs the time at which it occurred"
    return None


def problem_with_request(request: Message) -> Problem | None:
    """Tell what of a request no database could look up, or None.

    Returns:
        TEXT_INVALID, ITEM_TOO_LARGE, TIME_INVALID or VALUE_INVALID (a page size below 0).
    """
    for field, value in request.ListFields():
        if isinstance(value, str) and (problem := problem_with_text(value, _LONGEST_TEXT, f"/{field.name}")):
            return problem
        if isinstance(value, Timestamp) and not _is_time(value):
            return "TIME_INVALID", f"/{field.name}", "a time lies in the years 1 to 9999"
        if field.name == "page_size" and value < 0:
            return "VALUE_INVALID", "/page_size", "a page has at least one item"
    return None


def problem_with_update(request: UpdateCaseRequest) -> Problem | None:
    """Tell why a case's fields cannot be changed so, or None: FIELD_UNKNOWN, ITEM_TOO_LARGE, TEXT_INVALID."""
    for name in request.update_mask.paths:
        if name not in UPDATABLE:
            return "FIELD_UNKNOWN", "", f"the fields that can be changed are {', '.join(UPDATABLE)}"
        longest = LONGEST_URL if name == "external_url" else LONGEST_LABEL
        if problem := problem_with_text(getattr(request, name), longest, f"/{name}"):
            return problem
    return None


def problem_with_step_texts(
    request: AcknowledgeCaseRequest | AddContactRequest | TransitionCaseRequest,
) -> Problem | None:
    """Tell which text of a step or contact cannot be kept, or None: ITEM_TOO_LARGE, TEXT_INVALID."""
    for field, value in request.ListFields():
        if field.type == FieldDescriptor.TYPE_STRING:
            longest = MOST_CODE_POINTS if field.name in {"note", "root_cause"} else LONGEST_LABEL
            if problem := problem_with_text(value, longest, f"/{field.name}"):
                return problem
    return None


def problem_with_id(value: str, pointer: str) -> Problem | None:
    """Tell why a text is no id that can be kept, or None."""
    if not 0 < len(value) <= LONGEST_ID:
        return "ID_INVALID", pointer, f"an id has 1 to {LONGEST_ID} characters"
    return problem_with_text(value, LONGEST_ID, pointer)


def problem_with_text(value: str, longest: int, pointer: str) -> Problem | None:
    """Tell why a text cannot be kept, or None; `longest` in code points."""
    if len(value) > longest:
        return "ITEM_TOO_LARGE", pointer, f"at most {longest} characters"
    if "\0" in value:
        return "TEXT_INVALID", pointer, "the character NUL is not allowed"
    return None


def _problem_with_field(name: str, value: str) -> Problem | None:
    if name.endswith("_id") and name != "staff_id":
        return problem_with_id(value, f"/{name}")
    return problem_with_text(value, MOST_CODE_POINTS if name in _FREE_TEXTS else LONGEST_LABEL, f"/{name}")


def _is_time(stamp: Timestamp) -> bool:
    return _FIRST_SECOND <= stamp.seconds <= _LAST_SECOND and 0 <= stamp.nanos < _SECOND_NANOS
