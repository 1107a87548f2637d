"""Stored answers: a request that carries a key takes effect once, and its repeats get the first answer."""

from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import TypeVar

import asyncpg
from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncConnection

from . import clock, db
from .errors import Aborted, InvalidArgument
from .tenancy import REPLAYED_KEY, Call, Context

R = TypeVar("R", bound=Message)

_FIND = "select fingerprint, answer from idempotency where tenant_id = $1 and method = $2 and key = $3"
_KEEP = (
    "insert into idempotency (tenant_id, key, method, fingerprint, answer, answered_at) values ($1, $2, $3, $4, $5, $6)"
)


async def once(
    conn: asyncpg.Connection | AsyncConnection,
    context: Context,
    call: Call,
    request: Message,
    answer_type: type[R],
    effect: Callable[[], Awaitable[R]],
) -> R:
    """Run an effect once per (tenant, request type, key); key, fingerprint and answer are stored in its transaction.

    Args:
        conn: the effect's own transaction, under the tenant.
        context: gets the trailing metadata that marks a repeated answer.
        call: its `idempotency_key`; empty runs the effect every time.
        request: what was asked; repeats must ask the same.
        answer_type: the message that `effect` returns.
        effect: what to do the first time. An error it raises stores nothing.

    Raises:
        Aborted: IDEMPOTENCY_KEY_IN_FLIGHT while the first request with the key is under way.
        InvalidArgument: IDEMPOTENCY_KEY_REUSED when the key came with another request.
    """
    if not call.idempotency_key:
        return await effect()
    raw = await db.raw(conn)
    method = request.DESCRIPTOR.full_name
    lock = f"{call.tenant_id}:{method}:{call.idempotency_key}"
    if not await raw.fetchval("select pg_try_advisory_xact_lock(hashtextextended($1, 0))", lock):
        raise Aborted("IDEMPOTENCY_KEY_IN_FLIGHT", "a request with this key is under way; ask again in a moment")
    asked = blake2b(request.SerializeToString(deterministic=True), digest_size=16).digest()
    found = await raw.fetchrow(_FIND, call.tenant_id, method, call.idempotency_key)
    if found is None:
        answer = await effect()
        kept = answer.SerializeToString()
        await raw.execute(_KEEP, call.tenant_id, call.idempotency_key, method, asked, kept, clock.now())
        return answer
    if found["fingerprint"] != asked:
        raise InvalidArgument("IDEMPOTENCY_KEY_REUSED", "this key was used with another body; take a new key")
    context.set_trailing_metadata(((REPLAYED_KEY, "true"),))
    return answer_type.FromString(found["answer"])
