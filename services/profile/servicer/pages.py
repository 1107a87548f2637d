"""What the methods of this service share at their edge: refusals, filters, positions in lists."""

from datetime import datetime

from libs.common.errors import InvalidArgument
from plaudit.profile.v1.profile_service_pb2 import ListActivitiesRequest, ListCustomersRequest

from .. import domain

MOST_ITEMS = 256


def refuse(*problems: domain.Problem | None) -> None:
    """Raise the first problem there is.

    Raises:
        InvalidArgument: with the problem's code.
    """
    for problem in filter(None, problems):
        raise InvalidArgument(problem.code, problem.detail, pointer=problem.pointer)


def problem_with_filters(request: ListCustomersRequest | ListActivitiesRequest) -> domain.Problem | None:
    """Check the words that a list is filtered by."""
    for field, value in request.ListFields():
        is_word = isinstance(value, str) and field.name != "page_token"
        if is_word and (problem := domain.problem_with_free_text(value, f"?{field.name}")):
            return problem
    return None


def position_after(token: str) -> tuple[datetime | None, str] | None:
    """Read the position (time, id) that a page token stands for; None without a token.

    Raises:
        InvalidArgument: CURSOR_INVALID.
    """
    if not token:
        return None
    position = domain.position_of(token, 2)
    at = domain.time_of(position[0]) if position else None
    if position is None or at is None:
        raise InvalidArgument("CURSOR_INVALID", "not a cursor of this list", pointer="?cursor")
    return at, position[1]


def id_after(token: str) -> tuple[datetime | None, str] | None:
    """Read the position (None, id) that a page token stands for; None without a token.

    Raises:
        InvalidArgument: CURSOR_INVALID.
    """
    if not token:
        return None
    position = domain.position_of(token, 1)
    if position is None:
        raise InvalidArgument("CURSOR_INVALID", "not a cursor of this list", pointer="?cursor")
    return None, position[0]
