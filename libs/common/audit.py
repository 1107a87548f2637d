"""Who changed what: one row in the transaction of the change, with hashes of the thing before and after."""

from collections.abc import Sequence
from hashlib import sha256

import asyncpg
from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncConnection

from . import clock, db
from .tenancy import Call

_INSERT = """insert into audit
    (tenant_id, audit_id, at, actor, request_id, action, subject_kind, subject_id, before_hash, after_hash)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"""


async def record(
    conn: asyncpg.Connection | AsyncConnection,
    call: Call,
    action: str,
    subject: tuple[str, str],
    before: Message | None = None,
    after: Message | None = None,
) -> None:
    """Append one audit row.

    Args:
        conn: the change's own transaction.
        call: who asked for it.
        action: the RPC's name, such as `TransitionCase`.
        subject: (kind, id) of what changed.
        before: the thing as it was; None where it was not there. Only a hash is kept, never a value.
        after: the thing as it is; None where it is gone.
    """
    await record_all(conn, call, action, [(subject, before, after)])


async def record_all(
    conn: asyncpg.Connection | AsyncConnection,
    call: Call,
    action: str,
    changes: Sequence[tuple[tuple[str, str], Message | None, Message | None]],
) -> None:
    """Append one audit row for each (subject, before, after) of one call, in one round trip."""
    who = (call.actor, call.request_id, action)
    rows = [
        (call.tenant_id, clock.new_id("aud"), clock.now(), *who, *subject, _hash(old), _hash(new))
        for subject, old, new in changes
    ]
    await (await db.raw(conn)).executemany(_INSERT, rows)


def _hash(thing: Message | None) -> bytes | None:
    return None if thing is None else sha256(thing.SerializeToString(deterministic=True)).digest()
