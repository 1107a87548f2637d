"""The fast routes as operations of the application: listed in OpenAPI, and reached through it by the same handlers."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ... import edge
from ...edge import openapi
from .intake import LinesQuery
from .kinds import KINDS, Kind

router = edge.Router()

_REJECTION = {
    "type": "object",
    "properties": {
        "index": {"type": "integer"},
        "id": {"type": ["string", "null"]},
        "code": {"type": "string"},
        "pointer": {"type": "string"},
        "detail": {"type": "string"},
    },
}
_COUNTS = {
    "type": "object",
    "properties": {
        "stored": {"type": "integer"},
        "duplicates": {"type": "integer"},
        "rejected": {"type": "array", "items": _REJECTION, "maxItems": 1000},
        "rejected_total": {"type": "integer"},
    },
    "required": ["stored", "duplicates", "rejected", "rejected_total"],
}


class _Handed(Response):
    """An answer that the fast handler of the same path gives."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Hand over."""
        await edge.guarded(scope["app"].state.fast[scope["method"], scope["path"]], scope["exchange"], receive, send)


def _hand_over(name: str, text: str) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        del request
        return _Handed()

    endpoint.__name__ = name
    endpoint.__doc__ = text
    return endpoint


def _mount(kind: Kind) -> None:
    single = (
        f"Store one {kind.noun}. 201 when it is new, 200 with `duplicate: true` for a repeat; ids are taken for ever."
    )
    many = (
        f"Store up to 1,000 {kind.plural}, or any number as application/x-ndjson, one a line of at most 32 KiB. "
        "A bad item never costs the others. `history` loads the past and needs the scope `history:write`."
    )
    record = openapi.schema_of(kind.message)
    more = {"received_at": {"type": "string", "format": "date-time"}, "duplicate": {"type": "boolean"}}
    answer = {"allOf": [record, {"type": "object", "properties": more, "required": list(more)}]}
    batch = {
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": openapi.schema_of(kind.shape), "minItems": 1, "maxItems": 1000},
            "history": {"type": "boolean", "default": False},
        },
        "required": ["items"],
        "additionalProperties": False,
    }
    declare = router.operation(f"POST {kind.path}", scope=kind.scope, body=kind.shape, answer=answer, status=(201, 200))
    declare(_hand_over(f"record_{kind.noun}", single))
    declare = router.operation(
        f"POST {kind.path}/batch",
        scope=kind.scope,
        body={"application/json": batch, "application/x-ndjson": openapi.schema_of(kind.shape)},
        query=LinesQuery,
        answer=_COUNTS,
    )
    declare(_hand_over(f"record_{kind.plural}", many))


for _kind in KINDS:
    _mount(_kind)
