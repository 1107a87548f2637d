"""Many customers at once over HTTP: a batch, or any number as lines, in constant memory."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from google.protobuf.field_mask_pb2 import FieldMask
from starlette.requests import Request
from starlette.responses import Response

from plaudit.profile.v1 import profile_service_pb2 as pb
from plaudit.profile.v1 import profile_service_pb2_grpc as rpc
from plaudit.profile.v1.profile_pb2 import Customer

from .. import edge, problems
from ..edge import openapi
from ..edge.decode import MAX_ITEM_BYTES
from ..edge.exchange import first, rest, timed_out
from ..edge.rules import Refused, identifier
from .customers import CustomerPatchIn
from .ingest.intake import BatchIn, LinesQuery, batch_in
from .ingest.lines import Lines

router = edge.Router()

MAX_BATCH = 1_000
MAX_REJECTIONS = 1_000
_GROUP, _GROUP_BYTES = 256, 200 * 1024
_NDJSON = b"application/x-ndjson"

Raw = bytes | msgspec.Raw | None


class CustomerItemIn(CustomerPatchIn, kw_only=True):
    """One customer to merge: absent leaves a field as it is, null clears it."""

    customer_id: edge.Id


class CustomerBatchIn(BatchIn):
    """Up to 1,000 customers; a bad one never costs the others. `history` changes nothing about a customer."""


class _Named(msgspec.Struct):
    customer_id: str


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
        "created": {"type": "integer"},
        "updated": {"type": "integer"},
        "unchanged": {"type": "integer"},
        "rejected": {"type": "array", "items": _REJECTION, "maxItems": MAX_REJECTIONS},
        "rejected_total": {"type": "integer"},
    },
    "required": ["created", "updated", "unchanged", "rejected", "rejected_total"],
}
_BODIES = {
    "application/json": {
        "type": "object",
        "properties": {
            "items": {
                "type": "array",
                "items": openapi.schema_of(CustomerItemIn),
                "minItems": 1,
                "maxItems": MAX_BATCH,
            },
            "history": {"type": "boolean", "default": False},
        },
        "required": ["items"],
        "additionalProperties": False,
    },
    "application/x-ndjson": openapi.schema_of(CustomerItemIn),
}


@dataclass
class _Tally:
    """Counts customers by what became of them."""

    counts: dict[int, int] = field(default_factory=dict)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    rejected_total: int = 0

    def reject(self, index: int, customer_id: str | None, code: str, pointer: str, detail: str) -> None:
        """Count one that was refused, and list the first thousand of them."""
        self.rejected_total += 1
        if len(self.rejected) < MAX_REJECTIONS:
            found = {"index": index, "id": customer_id, "code": code, "pointer": pointer, "detail": detail}
            self.rejected.append(found)

    def answer(self) -> dict[str, Any]:
        """Return the counts as they are answered."""
        return {
            "created": self.counts.get(pb.SAVE_STATUS_CREATED, 0),
            "updated": self.counts.get(pb.SAVE_STATUS_UPDATED, 0),
            "unchanged": self.counts.get(pb.SAVE_STATUS_UNCHANGED, 0),
            "rejected": sorted(self.rejected, key=lambda found: int(found["index"])),
            "rejected_total": self.rejected_total,
        }


@router.operation("POST /v1/customers/batch", scope="profile:write", body=_BODIES, query=LinesQuery, answer=_COUNTS)
async def save_customers(request: Request) -> Response:
    """Merge up to 1,000 customers, or any number as application/x-ndjson, one a line of at most 32 KiB.

    Customers that are not there are made; what is unchanged, or older by `source_updated_at`, costs nothing. A bad item
    never costs the others. Items of one customer take effect in their order.
    """
    tally = _Tally()
    _check_history(request, said=edge.query(request, LinesQuery).history)
    if request.headers.get("content-type", "").encode().startswith(_NDJSON):
        await _lines(request, tally)
        return edge.answer(tally.answer())
    receive: Any = request.receive
    body = await edge.exchange(request).body(receive, edge.gateway(request).settings.body_seconds)
    asked = batch_in(body, CustomerBatchIn)
    _check_history(request, said=asked.history)
    if not asked.items:
        raise problems.refused("/items", "BATCH_EMPTY", "a batch has at least one item")
    if len(asked.items) > MAX_BATCH:
        raise problems.refused("/items", "BATCH_TOO_LARGE", "a batch has at most 1,000 items")
    group = _Group(request, tally)
    for index, raw in enumerate(asked.items):
        await group.add(index, raw)
    await group.flush()
    return edge.answer(tally.answer())


def _check_history(request: Request, *, said: bool) -> None:
    caller = edge.exchange(request).caller
    assert caller is not None
    if said:
        caller.need("history:write")


async def _lines(request: Request, tally: _Tally) -> None:
    edge.exchange(request).check_content(lambda kind: kind.partition(b";")[0].strip() == _NDJSON)
    group, lines, count = _Group(request, tally), Lines(), 0
    async for chunk in _chunks(request):
        for line in lines.feed(chunk) if chunk is not None else lines.end():
            await group.add(count, line)
            count += 1
    await group.flush()


async def _chunks(request: Request) -> AsyncIterator[bytes | None]:
    """Yield the body as it comes, and None at its end."""
    seconds = edge.gateway(request).settings.body_seconds
    receive: Any = request.receive
    message = await first(receive, seconds)
    yield message.get("body", b"")
    following = rest(receive) if message.get("more_body") else None
    while following is not None:
        try:
            async with asyncio.timeout(seconds):
                chunk = await anext(following, None)
        except TimeoutError:
            raise timed_out() from None
        if chunk is None:
            break
        yield chunk
    yield None


class _Group:
    """Collects good items, and sends them on before they are too many or too large for one call."""

    def __init__(self, request: Request, tally: _Tally) -> None:
        self._request = request
        self._tally = tally
        self._items: list[tuple[int, pb.CustomerItem]] = []
        self._bytes = 0

    async def add(self, index: int, raw: Raw) -> None:
        """Check one item; a bad one is counted at once."""
        try:
            item = _item(raw)
        except problems.Problem as problem:
            pointer = problem.faults[0].pointer if problem.faults else ""
            self._tally.reject(index, _id_in(raw), problem.code, pointer, problem.detail)
            return
        size = item.ByteSize()
        if self._items and (len(self._items) == _GROUP or self._bytes + size > _GROUP_BYTES):
            await self.flush()
        self._items.append((index, item))
        self._bytes += size

    async def flush(self) -> None:
        """Send on what is there."""
        if not self._items:
            return
        items, self._items, self._bytes = self._items, [], 0
        method = edge.stub(self._request, rpc.CustomerServiceStub).SaveCustomers
        reply = await edge.call(self._request, method, pb.SaveCustomersRequest(items=[item for _, item in items]))
        self._count(items, reply.results)

    def _count(self, items: Sequence[tuple[int, pb.CustomerItem]], results: Sequence[pb.SaveResult]) -> None:
        for (index, item), result in zip(items, results, strict=True):
            if result.status == pb.SAVE_STATUS_REJECTED:
                customer_id = item.customer.customer_id
                self._tally.reject(index, customer_id, result.code, result.pointer, result.detail)
            else:
                self._tally.counts[result.status] = self._tally.counts.get(result.status, 0) + 1


def _item(raw: Raw) -> pb.CustomerItem:
    if raw is None or memoryview(raw).nbytes > MAX_ITEM_BYTES:
        raise problems.refused("", "ITEM_TOO_LARGE", "an item has at most 32 KiB of JSON")
    body = edge.decode(raw, CustomerItemIn)
    paths = [name for name in edge.given(body) if name != "customer_id"]
    return pb.CustomerItem(customer=edge.to_message(body, Customer), update_mask=FieldMask(paths=paths))


def _id_in(raw: Raw) -> str | None:
    """Return the id of a refused item where it has a good one."""
    try:
        return identifier(msgspec.json.decode(raw or b"", type=_Named).customer_id)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Refused):
        return None
