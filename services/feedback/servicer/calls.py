"""What every call but the hot ones begins with: who calls, and whether what they ask can be looked up at all."""

from google.protobuf.message import Message

from libs.common import tenancy
from libs.common.errors import InvalidArgument
from libs.common.tenancy import Call, Context

from .. import domain


def checked(request: Message, context: Context) -> Call:
    """Return who calls, once the request's texts, times and numbers are such that a database takes them.

    Raises:
        InvalidArgument: TEXT_INVALID, ITEM_TOO_LARGE, TIME_INVALID or VALUE_INVALID.
    """
    call = tenancy.call_of(context)
    if problem := domain.problem_with_request(request):
        raise refused(problem)
    return call


def refused(problem: domain.Problem) -> InvalidArgument:
    """Return the refusal that a problem says."""
    code, pointer, detail = problem
    return InvalidArgument(code, detail, pointer=pointer)
