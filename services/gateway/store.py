"""Every SQL statement of the gateway: tenants, API keys and the event feed."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common import errors, tenancy
from libs.common.db import ACQUIRE_SECONDS, Database

from .tables import api_keys, tenants


@dataclass(frozen=True, slots=True)
class Key:
    """An API key as it is kept: everything but its secret."""

    tenant_id: uuid.UUID
    key_id: str
    name: str
    scopes: frozenset[str]
    digest: bytes
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


EVENT_TYPES = ("case.closed", "case.contacted", "case.opened", "case.reopened", "customer.changed", "response.received")
"""The types of public events."""


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """One public event."""

    event_id: str
    type: str
    occurred_at: datetime
    data: dict[str, Any]
    seq: int = 0


def _key(row: Any) -> Key:
    return Key(
        row.tenant_id,
        row.key_id,
        row.name,
        frozenset(row.scopes),
        row.digest,
        row.created_at,
        row.expires_at,
        row.revoked_at,
    )


async def answers(db: Database) -> bool:
    """Say whether the store answers at all."""
    try:
        async with db.hot.acquire(timeout=1) as conn:
            await conn.execute("select 1", timeout=1)
    except errors.TRANSIENT:
        return False
    return True


async def find_key(db: Database, key_id: str) -> tuple[Key, bool] | None:
    """Return a key and whether its tenant is live, before any tenant is known; None where there is no such key."""
    async with db.hot.acquire(timeout=ACQUIRE_SECONDS) as conn:
        found = await conn.fetchrow("select tenant_id, key_id from find_api_key($1)", key_id)
    if found is None:
        return None
    async with tenancy.transaction(db, found["tenant_id"]) as conn:
        query = sa.select(api_keys, tenants.c.live).join(tenants, tenants.c.tenant_id == api_keys.c.tenant_id)
        row = (await conn.execute(query.where(api_keys.c.key_id == found["key_id"]))).one_or_none()
    return (_key(row), row.live) if row else None


async def insert_tenant(conn: AsyncConnection, tenant_id: uuid.UUID, name: str, *, live: bool, now: datetime) -> None:
    """Add a tenant; the transaction is already under its id."""
    await conn.execute(tenants.insert().values(tenant_id=tenant_id, name=name, live=live, created_at=now))


async def is_live(conn: AsyncConnection, tenant_id: uuid.UUID) -> bool | None:
    """Say whether a tenant is live; None where there is no such tenant."""
    return (await conn.execute(sa.select(tenants.c.live).where(tenants.c.tenant_id == tenant_id))).scalar_one_or_none()


async def insert_key(conn: AsyncConnection, key: Key) -> None:
    """Add a key."""
    await conn.execute(
        api_keys.insert().values(
            tenant_id=key.tenant_id,
            key_id=key.key_id,
            name=key.name,
            scopes=sorted(key.scopes),
            digest=key.digest,
            created_at=key.created_at,
            expires_at=key.expires_at,
        ),
    )


async def get_key(conn: AsyncConnection, key_id: str, *, for_update: bool = False) -> Key | None:
    """Return one key of the tenant, or None."""
    query = sa.select(api_keys).where(api_keys.c.key_id == key_id)
    row = (await conn.execute(query.with_for_update() if for_update else query)).one_or_none()
    return _key(row) if row else None


async def list_keys(conn: AsyncConnection, after: str, limit: int) -> list[Key]:
    """Return keys by id, revoked ones among them, from behind an id on."""
    query = sa.select(api_keys).where(api_keys.c.key_id > after).order_by(api_keys.c.key_id).limit(limit)
    return [_key(row) for row in await conn.execute(query)]


async def revoke_key(conn: AsyncConnection, key_id: str, now: datetime) -> None:
    """Make a key useless from now on; a second time changes nothing."""
    query = api_keys.update().where(api_keys.c.key_id == key_id, api_keys.c.revoked_at.is_(None))
    await conn.execute(query.values(revoked_at=now))


async def hand_over_key(conn: AsyncConnection, key_id: str, to: str, until: datetime) -> None:
    """Let a key live no longer than `until`, since another takes its place."""
    ends = sa.func.least(sa.func.coalesce(api_keys.c.expires_at, until), until)
    await conn.execute(api_keys.update().where(api_keys.c.key_id == key_id).values(expires_at=ends, rotated_to=to))


_TAKE_SEQ = """insert into feed_heads (tenant_id, seq) values ($1, $2)
on conflict (tenant_id) do update set seq = feed_heads.seq + excluded.seq returning seq"""
_ADD = """insert into event_feed (tenant_id, seq, recorded_at, event_id, type, occurred_at, data)
select $1, s, $3, e, t, o, d::jsonb from unnest($2::bigint[], $4::text[], $5::text[], $6::timestamptz[], $7::text[])
as i(s, e, t, o, d)"""


async def add_to_feed(
    conn: asyncpg.Connection,
    tenant_id: uuid.UUID,
    events: Sequence[FeedEvent],
    now: datetime,
) -> None:
    """Append events to the tenant's feed; the head row's lock is held to the end of the transaction."""
    if not events:
        return
    last: int = await conn.fetchval(_TAKE_SEQ, tenant_id, len(events))
    await conn.execute(
        _ADD,
        tenant_id,
        list(range(last - len(events) + 1, last + 1)),
        now,
        [event.event_id for event in events],
        [event.type for event in events],
        [event.occurred_at for event in events],
        [json.dumps(event.data) for event in events],
    )


_READ = """select seq, event_id, type, occurred_at, data from event_feed
where tenant_id = $1 and seq > $2 and seq <= $3 and ($4::text[] is null or type = any($4)) order by seq limit $5"""


async def read_feed(
    db: Database,
    tenant_id: uuid.UUID,
    after: int,
    types: Sequence[str] | None,
    limit: int,
) -> tuple[list[FeedEvent], int]:
    """Return the events behind a sequence number, and the number to go on from.

    What is at or below the head when it is read was committed before it, so nothing ever appears behind that number.
    """
    async with tenancy.hot(db, tenant_id) as conn:
        head: int = await conn.fetchval("select seq from feed_heads where tenant_id = $1", tenant_id) or 0
        if head <= after:
            return [], after
        rows = await conn.fetch(_READ, tenant_id, after, head, types, limit)
    found = [FeedEvent(r["event_id"], r["type"], r["occurred_at"], json.loads(r["data"]), r["seq"]) for r in rows]
    return found, found[-1].seq if len(found) == limit else head
