'''HTTP by noun: each module exposes `router`, an `edge.Router` of its operations, and is found by its name here.

A module looks like this; nothing else is needed for scope, problems, idempotency and OpenAPI:

```python
"""Cases over HTTP."""

from plaudit.feedback.v1 import feedback_pb2, feedback_service_pb2 as pb, feedback_service_pb2_grpc as rpc
from starlette.requests import Request
from starlette.responses import Response

from .. import edge

router = edge.Router()


class TransitionIn(edge.Body):                        # unknown fields, wrong types, NUL … are refused with pointers
    to: Literal["acknowledged", "in_progress"]        # the enum's words in small letters
    note: edge.FreeText | None = None
    at: edge.Time | None = None


@router.operation(
    "POST /v1/cases/{case_id}/transition", scope="feedback:write", body=TransitionIn, answer=feedback_pb2.Case
)
async def transition_case(request: Request, case_id: str) -> Response:
    """Move a case one step."""                       # the docstring is the operation's text in OpenAPI
    body = await edge.read(request, TransitionIn)
    message = edge.to_message(body, pb.TransitionCaseRequest, case_id=case_id)
    reply = await edge.call(request, edge.stub(request, rpc.CaseServiceStub).TransitionCase, message)
    return edge.answer(reply.case)                    # status=201, headers={"ETag": edge.etag(version)} where needed


class CaseQuery(edge.ListQuery):                      # limit and cursor are there; the rest are filters by name
    state: Literal["open", "closed"] | None = None
    from_: edge.QueryTime | None = msgspec.field(default=None, name="from")


@router.operation("GET /v1/cases", scope="feedback:read", query=CaseQuery, answer=feedback_pb2.Case, listed=True)
async def list_cases(request: Request) -> Response:
    """List cases, newest first."""
    asked = edge.query(request, CaseQuery)
    message = edge.listing(request, asked, pb.ListCasesRequest)         # sets page_size and page_token
    reply = await edge.call(request, edge.stub(request, rpc.CaseServiceStub).ListCases, message)
    return edge.page(request, asked, reply.cases, reply.next_page_token)
```

Merge patch: give fields the type `edge.Id | edge.Absent | None` and the default `edge.UNSET`; `edge.given(body)` lists
the named ones for an update mask. A refusal of your own: `raise problems.refused("/field", "CODE", "sentence")`. What a
service refuses needs nothing: its reason is the code, its `pointer` metadata the pointer, its other metadata members of
the problem; its code belongs into `problems.CATALOGUE`. Ids in the path are checked before the function runs.
`edge.versions_of(request.headers.get("if-match"))` reads If-Match.
'''

from collections.abc import Iterable
from importlib import import_module
from pkgutil import iter_modules

from ..edge import Router


def routers() -> Iterable[Router]:
    """Return the routers of this folder's modules, by name."""
    for module in sorted(iter_modules(__path__), key=lambda found: found.name):
        router = getattr(import_module(f"{__name__}.{module.name}"), "router", None)
        if router is not None:
            yield router
