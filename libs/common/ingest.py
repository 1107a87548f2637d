"""The hot path of facts: what was joined is written by one statement, each id once for ever, answered item by item."""

import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import asyncpg
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from plaudit.common.v1.ingest_pb2 import ITEM_STATUS_DUPLICATE, ITEM_STATUS_REJECTED, ITEM_STATUS_STORED, ItemResult

from . import clock, events, faults, tenancy
from .db import ACQUIRE_SECONDS, Database
from .errors import InvalidArgument
from .events.broker import MAX_MESSAGE_BYTES
from .events.emit import bell


@dataclass(frozen=True, eq=False)
class Stream:
    """How one kind of fact is stored."""

    kind: str
    """The noun, also the kind in `seen`."""
    table: str
    columns: Mapping[str, str]
    """The fact table's own columns and their SQL types; every fact has tenant_id, <kind>_id, occurred_at, received_at,
    recorded_at and history beside them."""
    subject: str
    """The full name of the event that tells of it."""
    also: str = ""
    """Further CTEs, each beginning with a comma, over `fresh` (the items that are new) and `t` (one row)."""
    also_needs: str = ""
    """The column that `also` makes rows of. There it is `fresh.unknown`: null where the row is known to be there."""


@dataclass(slots=True)
class Item:
    """One valid fact on its way into the table."""

    index: int
    id: str
    fingerprint: bytes
    request_token: bytes
    occurred_at: datetime
    received_at: datetime
    history: bool
    values: tuple[Any, ...]
    """In the order of the stream's columns."""
    event: Any
    """The payload message, which has `occurred_at`; or its bytes, with `stamp` beside them."""
    traceparent: str = ""
    stamp: Timestamp | None = None
    """`occurred_at` as it came."""
    row: Any = None
    """Whatever the service wants to find again after the write."""


def fingerprint(key: bytes, item: Message) -> bytes:
    """Return the 16-byte keyed hash of an item's content: equal for a repeat, however it came.

    The canonical form is the message in field order with absent fields left out; times are UTC, maps sorted.
    """
    return fingerprint_of(key, item.SerializeToString(deterministic=True))


def fingerprint_of(key: bytes, content: bytes) -> bytes:
    """Return the same of an item in its canonical form."""
    return blake2b(content, digest_size=16, key=key).digest()


@lru_cache(maxsize=256)
def stored(received_at: datetime) -> ItemResult:
    """Answer one item as new."""
    return ItemResult(status=ITEM_STATUS_STORED, received_at=clock.stamp(received_at))


def all_stored_at(answers: Mapping[int, ItemResult], count: int) -> Timestamp | None:
    """Return when all items were stored, where that is all there is to say of them."""
    if len(answers) != count or len(set(map(id, answers.values()))) != 1:
        return None
    one = next(iter(answers.values()))
    return one.received_at if one.status == ITEM_STATUS_STORED else None


def rejected(code: str, pointer: str, detail: str) -> ItemResult:
    """Answer one item as refused."""
    return ItemResult(status=ITEM_STATUS_REJECTED, code=code, pointer=pointer, detail=detail)


_REUSED = rejected("ID_REUSED", "", "this id was used before with other content; ids are taken for ever")
_RECEIPT = ("received_at", "history")


@lru_cache(maxsize=256)
def _statement(stream: Stream, used: tuple[str, ...], *, alike: bool, unknown: bool) -> str:
    """Return the statement for a batch that uses these of the stream's columns, and `also` where it has `unknown`.

    Items that are `alike` were received at once: that time and `history` need no arrays.
    """
    key = f"{stream.kind}_id"
    kinds = {key: "text", "occurred_at": "timestamptz", "received_at": "timestamptz", "history": "boolean"}
    kinds |= {name: stream.columns[name] for name in used}
    # $1 tenant, $2 kind, $3 recorded_at, $4 message id, $5 header, $6, $7 receipt, $8.. arrays; jsonb comes as text.
    arrays = {"fingerprint": "bytea", "request_token": "bytea", "frame": "bytea", **kinds}
    arrays |= {"unknown": "text"} if unknown else {}
    arrays = {name: kind.replace("jsonb", "text") for name, kind in arrays.items() if not alike or name not in _RECEIPT}
    unnest = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(arrays.values(), start=8))
    values = ", ".join(
        f"{'fresh' if name in arrays else 't'}.{name}{'::jsonb' if kind == 'jsonb' else ''}"
        for name, kind in kinds.items()
    )
    return f"""with t as materialized (
    select set_config('app.tenant', $1, true) as tenant, $6::timestamptz as received_at, $7::boolean as history),
input as (select * from unnest({unnest}) as i({", ".join(arrays)})),
taken as (
    insert into seen (tenant_id, kind, id, fingerprint, request_token, received_at)
    select t.tenant::uuid, $2, input.{key}, input.fingerprint, input.request_token,
        {"t" if alike else "input"}.received_at
    from t, input on conflict do nothing returning id),
fresh as (select input.* from input join taken on taken.id = input.{key}),
fact as (
    insert into {stream.table} (tenant_id, recorded_at, {", ".join(kinds)})
    select t.tenant::uuid, $3, {values} from t, fresh),
told as (
    insert into outbox (tenant_id, message_id, subject, payload, created_at)
    select t.tenant::uuid, $4, '{stream.subject}', $5::bytea || agg.frames, $3
    from t, (select string_agg(fresh.frame, ''::bytea) as frames from fresh) agg where agg.frames is not null)
{stream.also if unknown or not stream.also_needs else ""}
select id from taken"""


_SEEN = """select id, fingerprint, request_token, received_at from seen
where tenant_id = $1 and kind = $2 and id = any($3)"""


async def record(
    db: Database,
    tenant_id: uuid.UUID,
    stream: Stream,
    items: Sequence[Item],
    then: Callable[[asyncpg.Connection, list[Item]], Awaitable[None]] | None = None,
    known: Collection[str] = (),
) -> dict[int, ItemResult]:
    """Store facts, each once for ever, with their events, in one transaction.

    Args:
        db: the service's pools.
        tenant_id: whose facts.
        stream: how this kind is stored.
        items: valid items, at most 256; the same id may stand among them twice.
        then: more work for the items that were new, in the same transaction; costs three round trips more.
        known: values that the stream's `also` need not look at, since it did before.

    Returns:
        The answer to each item by its `index`.
    """
    first: dict[str, Item] = {}
    repeats = [item for item in items if first.setdefault(item.id, item) is not item]
    if not first:
        return {}
    # Sorted, so that two batches that share ids never wait for each other in a circle.
    batch = [first[key] for key in sorted(first)]
    new = await _write(db, tenant_id, stream, batch, then, known)
    bell.ring()
    met = await _met(db, tenant_id, stream.kind, [item.id for item in batch if item.id not in new])
    faults.hit("svc.after_commit_before_reply")
    answers = {i.index: stored(i.received_at) if i.id in new else _compare(i, met.get(i.id)) for i in batch}
    for item in repeats:
        original = first[item.id]
        same = item.id in new and original.fingerprint == item.fingerprint
        repeat = ItemResult(status=ITEM_STATUS_DUPLICATE, received_at=clock.stamp(original.received_at))
        answers[item.index] = repeat if same else _compare(item, met.get(item.id))
    return answers


async def _met(db: Database, tenant_id: uuid.UUID, kind: str, ids: list[str]) -> dict[str, asyncpg.Record]:
    """Look ids up that conflicted: the snapshot of the statement that met them may not see them."""
    if not ids:
        return {}
    async with tenancy.hot(db, tenant_id) as conn:
        return {row["id"]: row for row in await conn.fetch(_SEEN, tenant_id, kind, ids)}


def _compare(item: Item, row: asyncpg.Record | None) -> ItemResult:
    if row is None or row["fingerprint"] != item.fingerprint:
        return _REUSED
    own_retry = bool(item.request_token) and row["request_token"] == item.request_token
    status = ITEM_STATUS_STORED if own_retry else ITEM_STATUS_DUPLICATE
    return ItemResult(status=status, received_at=clock.stamp(row["received_at"]))


async def _write(
    db: Database,
    tenant_id: uuid.UUID,
    stream: Stream,
    batch: list[Item],
    then: Callable[[asyncpg.Connection, list[Item]], Awaitable[None]] | None,
    known: Collection[str],
) -> set[str]:
    """Run the statement, alone where nothing else is to be done in its transaction; return the ids that were new."""
    sql, arguments = _prepared(tenant_id, stream, batch, known)
    if then is None:
        async with db.hot.acquire(timeout=ACQUIRE_SECONDS) as conn:
            faults.hit("svc.before_commit")
            return {row["id"] for row in await conn.fetch(sql, *arguments)}
    async with tenancy.hot(db, tenant_id) as conn:
        new = {row["id"] for row in await conn.fetch(sql, *arguments)}
        if fresh := [item for item in batch if item.id in new]:
            await then(conn, fresh)
        faults.hit("svc.before_commit")
    return new


def _prepared(tenant_id: uuid.UUID, stream: Stream, batch: list[Item], known: Collection[str]) -> tuple[str, list[Any]]:
    now = clock.now()
    recorded_at = clock.stamp(now)
    message_id, head = events.header(tenant_id)
    prefix = f"evt_{message_id.replace('-', '')}_"
    frames = [
        events.frame(
            item.event, f"{prefix}{number:03d}", item.stamp or item.event.occurred_at, recorded_at, item.traceparent
        )
        for number, item in enumerate(batch)
    ]
    if sum(map(len, frames)) > MAX_MESSAGE_BYTES - 4096:
        raise InvalidArgument("BATCH_TOO_LARGE", "the items of one call have at most 250 KiB", pointer="/items")
    columns = zip(stream.columns, zip(*(item.values for item in batch), strict=True), strict=True)
    said = {name: list(values) for name, values in columns if any(value is not None for value in values)}
    unknown = [None if value in known else value for value in said.get(stream.also_needs, ())]
    has_unknown = any(value is not None for value in unknown)
    one = batch[0]
    alike = all(item.received_at is one.received_at and item.history == one.history for item in batch)
    arguments = [
        str(tenant_id),
        stream.kind,
        now,
        message_id,
        head,
        one.received_at,
        one.history,
        [item.fingerprint for item in batch],
        [item.request_token or None for item in batch],
        frames,
        [item.id for item in batch],
        [item.occurred_at for item in batch],
        *(() if alike else ([item.received_at for item in batch], [item.history for item in batch])),
        *said.values(),
        *((unknown,) if has_unknown else ()),
    ]
    return _statement(stream, tuple(said), alike=alike, unknown=has_unknown), arguments


_CLAIM = """insert into seen (tenant_id, kind, id, received_at) select $1, $2, i, $4 from unnest($3::text[]) as u(i)
on conflict do nothing returning id"""


async def claim(conn: asyncpg.Connection, tenant_id: uuid.UUID, kind: str, ids: Sequence[str]) -> set[str]:
    """Take ids for ever, in the transaction of what they cause; return those that nobody had taken before."""
    return {row["id"] for row in await conn.fetch(_CLAIM, tenant_id, kind, sorted(set(ids)), clock.now())}
