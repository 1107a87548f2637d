"""Who changed what: one row in the transaction of the change, with hashes of the thing before and after."""

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256

import asyncpg
from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncConnection

from plaudit.common.v1 import audit_service_pb2 as pb
from plaudit.common.v1 import audit_service_pb2_grpc as rpc

from . import clock, db, tenancy
from .tenancy import Call, Context

_INSERT = """insert into audit
    (tenant_id, audit_id, at, actor, request_id, action, subject_kind, subject_id, before_hash, after_hash)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"""
_LIST = """select audit_id, at, actor, request_id, action, subject_kind, subject_id from audit
where tenant_id = $1 and at >= $2 and at < $3 and (at, audit_id) < ($4, $5)
and ($6 = '' or actor = $6) and ($7 = '' or subject_kind = $7) and ($8 = '' or subject_id = $8)
order by at desc, audit_id desc limit $9"""
_END = datetime.max.replace(tzinfo=UTC)
Change = tuple[tuple[str, str], Message | None, Message | None]


async def record(
    conn: asyncpg.Connection | AsyncConnection,
    call: Call,
    action: str,
    subject: tuple[str, str],
    before: Message | None = None,
    after: Message | None = None,
) -> None:
    """Append one audit row; `record_all` says what the arguments are."""
    await record_all(conn, call, action, [(subject, before, after)])


async def record_all(
    conn: asyncpg.Connection | AsyncConnection, call: Call, action: str, changes: Sequence[Change]
) -> None:
    """Append the audit rows of one call in one round trip, in the changes' own transaction.

    A change is (kind, id) of what changed, the thing as it was, and as it is: only hashes are kept.
    """
    who = (call.actor, call.request_id, action)
    rows = [
        (call.tenant_id, clock.new_id("aud"), clock.now(), *who, *subject, _hash(old), _hash(new))
        for subject, old, new in changes
    ]
    await (await db.raw(conn)).executemany(_INSERT, rows)


def _hash(thing: Message | None) -> bytes | None:
    return None if thing is None else sha256(thing.SerializeToString(deterministic=True)).digest()


class AuditServicer(rpc.AuditServiceServicer):
    """Reads the audit rows of one process's database; the server adds it to every service."""

    def __init__(self, database: db.Database) -> None:
        self._db = database

    async def ListAudit(self, request: pb.ListAuditRequest, context: Context | Call) -> pb.ListAuditResponse:  # noqa: N802
        """List changes, newest first."""
        tenant_id = context.tenant_id if isinstance(context, Call) else tenancy.call_of(context).tenant_id
        start = clock.instant(getattr(request, "from"))
        end = clock.instant(request.to) if request.HasField("to") else _END
        after = clock.instant(request.after.at) if request.HasField("after") else _END
        asked = (start, end, after, request.after.audit_id, request.actor, request.subject_kind, request.subject_id)
        async with tenancy.hot(self._db, tenant_id) as conn:
            rows = await conn.fetch(_LIST, tenant_id, *asked, min(max(request.page_size, 0) or 50, 201))
        return pb.ListAuditResponse(entries=[pb.AuditEntry(**{**row, "at": clock.stamp(row["at"])}) for row in rows])
