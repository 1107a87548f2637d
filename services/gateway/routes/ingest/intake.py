"""The handlers of one kind of fact: authenticate, check, join with what else is in flight, answer item by item."""

import asyncio
import random
import secrets
import time
import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec
from google.protobuf.message import Message

from libs.common import errors, faults
from plaudit.common.v1.ingest_pb2 import ITEM_STATUS_REJECTED, ITEM_STATUS_STORED, ItemContext, ItemResult

from ... import edge, problems
from ...edge.asgi import FastRoute
from ...edge.decode import MAX_ITEM_BYTES, items_of
from ...edge.exchange import Receive, Send, first, rest, timed_out
from ...edge.join import Joiner
from ...edge.rules import Refused, identifier
from .framing import Framing
from .kinds import KINDS, Kind
from .lines import Lines
from .tally import Tally

MAX_BATCH = 1_000
_GROUP = 256
"""Items of one caller that wait for the service at once."""
_PATIENCE_SECONDS = 5.0
"""How long a batch waits for room in a queue that is full."""
_NDJSON = b"application/x-ndjson"


class BatchIn(edge.Body):
    """Up to 1,000 items; a bad one never costs the others."""

    items: list[msgspec.Raw]
    history: bool = False
    """Load the past; needs the scope history:write."""


B = TypeVar("B", bound=BatchIn)


class LinesQuery(edge.Body):
    """The query of a batch or a stream of lines."""

    history: bool = False


class _Good(NamedTuple):
    """An item that the service may judge, and where it stood."""

    number: int
    id: str
    item: bytes


class Intake:
    """Takes one kind of fact.

    Args:
        gateway: this process's wiring.
        kind: which kind.
    """

    def __init__(self, gateway: edge.Gateway, kind: Kind) -> None:
        self._gateway = gateway
        self._kind = kind
        self._call = gateway.peers.framed(kind.call, kind.reply)
        self._read = edge.reader(kind.shape, kind.message)
        self._framing = Framing(kind)
        self._seconds = gateway.settings.body_seconds
        self._joiner = Joiner(self._flush)
        self._partial = msgspec.json.Decoder(msgspec.defstruct("_Partial", [(kind.id_name, str)]))

    async def _flush(self, tenant_id: uuid.UUID, items: list[bytes], contexts: list[ItemContext]) -> list[ItemResult]:
        """Send facts to the service; each answer carries what was filled in, where the service says that."""
        if faults.FAULTS:
            faults.hit("gateway.before_rpc")
        metadata = self._gateway.peers.metadata(tenant_id, "flush-" + contexts[0].request_token.hex())
        reply = await self._gateway.peers.send(self._call, self._framing.request(items, contexts), metadata)
        if faults.FAULTS:
            faults.hit("gateway.after_rpc_before_reply")
        if reply.HasField("all_stored_at"):
            return [ItemResult(status=ITEM_STATUS_STORED, received_at=reply.all_stored_at)] * len(items)
        if len(reply.results) != len(items):
            raise errors.Unavailable("SERVICE_UNAVAILABLE", "a service gave no answer for every item")
        defaults = getattr(reply, "defaults", ())
        if len(defaults) != len(items):
            return list(reply.results)
        return [Filled(result, filled) for result, filled in zip(reply.results, defaults, strict=True)]  # type: ignore[misc]

    # Single.

    async def single(self, exchange: edge.Exchange, receive: Receive, send: Send) -> None:
        """Answer POST /v1/<facts>: 201 stored, 200 repeat, or a problem."""
        caller = await self._admit(exchange)
        if exchange.headers.get(b"content-type", b"").startswith(_NDJSON):
            await self._lines(exchange, caller, receive, send)
            return
        if exchange.scope["query_string"]:
            edge.decode_query(edge.params(exchange), edge.NoQuery)
        body = await exchange.body(receive, self._seconds)
        if len(body) > MAX_ITEM_BYTES:
            raise problems.refused("", "ITEM_TOO_LARGE", "an item has at most 32 KiB of JSON")
        _, item = self._read(body)
        context = ItemContext(request_token=exchange.token, traceparent=exchange.traceparent())
        (result,) = await self._joiner.submit(caller.tenant_id, [item.SerializeToString()], context)
        if result.status == ITEM_STATUS_REJECTED:
            raise problems.of_rejection(result.code, result.pointer, result.detail)
        stored = result.status == ITEM_STATUS_STORED
        record = self._record(item, result)
        record["received_at"] = edge.moment(result.received_at)
        record["duplicate"] = not stored
        await exchange.respond(send, 201 if stored else 200, msgspec.json.encode(record))

    @staticmethod
    def _record(item: Message, result: Any) -> dict[str, Any]:
        record = edge.to_json(item)
        if isinstance(result, Filled):
            record |= {name: value for name, value in edge.to_json(result.defaults).items() if value not in (None, "")}
        return record

    # Batches.

    async def batch(self, exchange: edge.Exchange, receive: Receive, send: Send) -> None:
        """Answer POST /v1/<facts>/batch, as JSON or as lines."""
        caller = await self._admit(exchange)
        if exchange.headers.get(b"content-type", b"").startswith(_NDJSON):
            await self._lines(exchange, caller, receive, send)
            return
        asked = batch_in(await exchange.body(receive, self._seconds), BatchIn)
        if not asked.items:
            raise problems.refused("/items", "BATCH_EMPTY", "a batch has at least one item")
        if len(asked.items) > MAX_BATCH:
            raise problems.refused("/items", "BATCH_TOO_LARGE", "a batch has at most 1,000 items")
        history = _history(exchange, caller, said=asked.history)
        tally = Tally()
        await self._group(caller.tenant_id, list(enumerate(asked.items)), tally, history=history)
        await exchange.respond(send, 200, msgspec.json.encode(tally.answer()))

    async def _group(
        self,
        tenant_id: uuid.UUID,
        raws: Sequence[tuple[int, bytes | msgspec.Raw | None]],
        tally: Tally,
        *,
        history: bool,
    ) -> None:
        """Check items, hand on the good ones, and count what became of each."""
        good: list[_Good] = []
        for count, (index, raw) in enumerate(raws):
            if count % _GROUP == _GROUP - 1:
                # A long batch must not keep the others' requests waiting.
                await asyncio.sleep(0)
            try:
                item_id, item = self._item(raw)
            except problems.Problem as problem:
                tally.refuse(index, self._id_in(raw), problem)
                continue
            good.append(_Good(index, item_id, item))
        while good:
            good = await self._firsts(tenant_id, good, tally, history=history)

    async def _firsts(self, tenant_id: uuid.UUID, good: Sequence[_Good], tally: Tally, *, history: bool) -> list[_Good]:
        """Hand on the first item of each id; return those of the same ids that say something else."""
        first: dict[str, _Good] = {}
        again = [one for one in good if first.setdefault(one.id, one) is not one]
        # A token of its own: with the whole request's, a repeat further down would pass for our own retry.
        context = ItemContext(request_token=secrets.token_bytes(16), history=history)
        results = await self._submit(tenant_id, [one.item for one in first.values()], context)
        tally.add(first.values(), results)
        answers = dict(zip(first, results, strict=True)) if again else {}
        for one in again:
            if one.item == first[one.id].item:
                # To the letter what was just answered: however many there are, nobody needs to be asked.
                tally.repeat(one.number, one.id, answers[one.id])
        return [one for one in again if one.item != first[one.id].item]

    def _item(self, raw: bytes | msgspec.Raw | None) -> tuple[str, bytes]:
        """Return an item's id, and the item as the message's bytes."""
        if raw is None or memoryview(raw).nbytes > MAX_ITEM_BYTES:
            raise problems.refused("", "ITEM_TOO_LARGE", "an item has at most 32 KiB of JSON")
        struct, message = self._read(raw)
        return getattr(struct, self._kind.id_name), message.SerializeToString()

    def _id_in(self, raw: bytes | msgspec.Raw | None) -> str | None:
        """Return the id of a refused item where it has a good one."""
        try:
            return identifier(getattr(self._partial.decode(raw or b""), self._kind.id_name))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Refused):
            return None

    async def _submit(self, tenant_id: uuid.UUID, items: list[bytes], context: ItemContext) -> list[ItemResult]:
        """Hand on items; a full queue is waited for, since the caller of a batch is itself the brake."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return await self._joiner.submit(tenant_id, items, context)
            except errors.Unavailable as error:
                if error.reason != "QUEUE_FULL" or time.monotonic() > until:
                    raise
            await asyncio.sleep(random.uniform(0.02, 0.1))  # noqa: S311

    # Lines.

    async def _lines(self, exchange: edge.Exchange, caller: edge.Caller, receive: Receive, send: Send) -> None:
        exchange.check_content(lambda kind: kind.partition(b";")[0].strip() == _NDJSON)
        history = _history(exchange, caller)
        tally = Tally()
        lines = Lines()
        group: list[tuple[int, bytes | None]] = []
        count = 0
        async for chunk in _chunks(receive, self._seconds):
            for line in lines.feed(chunk) if chunk is not None else lines.end():
                group.append((count, line))
                count += 1
                if len(group) == _GROUP:
                    await self._group(caller.tenant_id, group, tally, history=history)
                    group = []
        if group:
            await self._group(caller.tenant_id, group, tally, history=history)
        await exchange.respond(send, 200, msgspec.json.encode(tally.answer()))

    async def _admit(self, exchange: edge.Exchange) -> edge.Caller:
        exchange.check_accept()
        exchange.caller = await self._gateway.keyring.caller(exchange.authorization())
        exchange.caller.need(self._kind.scope)
        # Of no effect here, where ids do the work, but checked for its form.
        if b"idempotency-key" in exchange.headers:
            exchange.idempotency_key()
        return exchange.caller


class Filled:
    """An item's answer together with what the service filled in."""

    __slots__ = ("code", "defaults", "detail", "pointer", "received_at", "status")

    def __init__(self, result: ItemResult, defaults: Message) -> None:
        self.status = result.status
        self.code = result.code
        self.pointer = result.pointer
        self.detail = result.detail
        self.received_at = result.received_at
        self.defaults = defaults


async def _chunks(receive: Receive, seconds: float) -> Any:
    message = await first(receive, seconds)
    yield message.get("body", b"")
    if message.get("more_body"):
        following = rest(receive)
        while True:
            try:
                async with asyncio.timeout(seconds):
                    chunk = await anext(following, None)
            except TimeoutError:
                raise timed_out() from None
            if chunk is None:
                break
            yield chunk
    yield None


def batch_in(body: bytes, shape: type[B]) -> B:
    """Cut a batch into items; one that holds half a character is refused alone."""
    try:
        return edge.decode(body, shape)
    except problems.Problem as problem:
        if problem.status != 400 or (cut := items_of(body)) is None:
            raise
    asked = edge.decode(cut[1], shape)
    asked.items = cut[0]
    return asked


def _history(exchange: edge.Exchange, caller: edge.Caller, *, said: bool = False) -> bool:
    """Say whether a batch loads the past, by its own word or by the query's. 403 SCOPE_MISSING, 422."""
    asked = edge.decode_query(edge.params(exchange), LinesQuery).history if exchange.scope["query_string"] else False
    if said or asked:
        caller.need("history:write")
    return said or asked


def fast_routes(gateway: edge.Gateway) -> dict[tuple[str, str], FastRoute]:
    """Return the handler of every fact's two routes."""
    found: dict[tuple[str, str], FastRoute] = {}
    for kind in KINDS:
        intake = Intake(gateway, kind)
        found["POST", kind.path] = intake.single
        found["POST", f"{kind.path}/batch"] = intake.batch
    return found
