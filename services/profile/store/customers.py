"""Customers: reading, saving in sets, archiving, and the tokens they are found by."""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from plaudit.profile.v1.profile_pb2 import Customer, Identity

from .. import domain

_COLUMNS = """customer_id, name, email, phone, locale, timezone, account_id, role, preferred_channel, acquired_at,
    goals::text as goals, traits::text as traits, identities::text as identities, source, source_updated_at, known,
    archived_at, created_at, updated_at, version"""
_GET = f"select {_COLUMNS} from customers where customer_id = any($1::text[])"  # noqa: S608
_LOCK = f"{_GET} order by customer_id for update"

# A stub is what a fact about an unseen customer leaves behind: version 0, not known.
_STUBS = """insert into customers (tenant_id, customer_id, created_at, updated_at)
select $1, i, $3, $3 from unnest($2::text[]) as u(i) on conflict do nothing"""

_SAVE = """update customers as c set
    name = i.name, email = i.email, phone = i.phone, locale = i.locale, timezone = i.timezone,
    account_id = i.account_id, role = i.role, preferred_channel = i.preferred_channel, acquired_at = i.acquired_at,
    goals = i.goals::jsonb, traits = i.traits::jsonb, identities = i.identities::jsonb, source = i.source,
    source_updated_at = i.source_updated_at, known = true, archived_at = i.archived_at, updated_at = i.updated_at,
    version = i.version
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
    $10::timestamptz[], $11::text[], $12::text[], $13::text[], $14::text[], $15::timestamptz[], $16::timestamptz[],
    $17::timestamptz[], $18::bigint[]) as i(customer_id, name, email, phone, locale, timezone, account_id, role,
    preferred_channel, acquired_at, goals, traits, identities, source, source_updated_at, archived_at, updated_at,
    version)
where c.customer_id = i.customer_id"""

_ARCHIVE = """update customers set archived_at = $2, updated_at = $2, version = version + 1 where customer_id = $1"""

_FORGET = """delete from customer_tokens as t using unnest($1::text[], $2::text[]) as i(token, customer_id)
where t.token = i.token and t.customer_id = i.customer_id"""
_FIND_BY = """insert into customer_tokens (tenant_id, token, customer_id)
select $1, i.token, i.customer_id from unnest($2::text[], $3::text[]) as i(token, customer_id) on conflict do nothing"""

_TEXTS = ("name", "email", "phone", "locale", "timezone", "account_id", "role", "preferred_channel")
_TIMES = ("acquired_at", "source_updated_at", "archived_at", "created_at", "updated_at")


async def get_customers(
    conn: asyncpg.Connection, customer_ids: Sequence[str], *, for_update: bool = False
) -> dict[str, Customer]:
    """Return the customers there are, by id; locked in the order of their ids where asked."""
    rows = await conn.fetch(_LOCK if for_update else _GET, sorted(set(customer_ids)))
    return {row["customer_id"]: customer_of(row) for row in rows}


async def insert_stubs(
    conn: asyncpg.Connection, tenant_id: uuid.UUID, customer_ids: Sequence[str], now: datetime
) -> None:
    """Make a stub of every customer that is not there yet."""
    await conn.execute(_STUBS, tenant_id, sorted(set(customer_ids)), now)


async def save_customers(
    conn: asyncpg.Connection,
    tenant_id: uuid.UUID,
    changes: Sequence[domain.Change],
    now: datetime,
) -> list[tuple[domain.Outcome, Customer | None]]:
    """Apply changes, no two of them of one customer; what changes nothing takes no lock and writes no row.

    Returns:
        What became of each change, in order, and the customer as it was before.
    """
    ids = [change.customer.customer_id for change in changes]
    before = await get_customers(conn, ids)
    outcomes = [domain.outcome_of(before.get(key), change, now) for key, change in zip(ids, changes, strict=True)]
    touched = [index for index, outcome in enumerate(outcomes) if outcome.is_change]
    if touched:
        # Decided again under the lock: somebody else may have been quicker.
        if missing := [ids[index] for index in touched if ids[index] not in before]:
            await insert_stubs(conn, tenant_id, missing, now)
        locked = await get_customers(conn, [ids[index] for index in touched], for_update=True)
        for index in touched:
            before[ids[index]] = locked[ids[index]]
            outcomes[index] = domain.outcome_of(locked[ids[index]], changes[index], now)
        saved = [outcome.customer for outcome in outcomes if outcome.is_change and outcome.customer]
        await _save(conn, saved)
        await _save_tokens(conn, tenant_id, [(before[customer.customer_id], customer) for customer in saved])
    return [(outcome, before.get(key)) for key, outcome in zip(ids, outcomes, strict=True)]


async def archive_customer(conn: asyncpg.Connection, customer: Customer, now: datetime) -> Customer:
    """Archive a locked customer; return it as it is then."""
    await conn.execute(_ARCHIVE, customer.customer_id, now)
    archived = Customer()
    archived.CopyFrom(customer)
    archived.archived_at.FromDatetime(now)
    archived.updated_at.FromDatetime(now)
    archived.version += 1
    return archived


async def _save(conn: asyncpg.Connection, saved: Sequence[Customer]) -> None:
    if saved:
        await conn.execute(_SAVE, *(list(column) for column in zip(*map(_values, saved), strict=True)))


async def _save_tokens(
    conn: asyncpg.Connection, tenant_id: uuid.UUID, pairs: Sequence[tuple[Customer, Customer]]
) -> None:
    gone: list[tuple[str, str]] = []
    new: list[tuple[str, str]] = []
    for before, after in pairs:
        old, wanted = domain.search_tokens(before), domain.search_tokens(after)
        gone += [(token, after.customer_id) for token in old - wanted]
        new += [(token, after.customer_id) for token in wanted - old]
    if gone:
        await conn.execute(_FORGET, *_columns(gone))
    if new:
        await conn.execute(_FIND_BY, tenant_id, *_columns(new))


def _columns(pairs: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    ordered = sorted(pairs)
    return [token for token, _ in ordered], [customer_id for _, customer_id in ordered]


def _values(customer: Customer) -> tuple[Any, ...]:
    """Return a customer as `_SAVE` takes it."""
    identities = [{"type": identity.type, "value": identity.value} for identity in customer.identities]
    return (
        customer.customer_id,
        *(domain.value_of(customer, field) for field in _TEXTS),
        domain.utc(customer.acquired_at) if customer.HasField("acquired_at") else None,
        customer.goals.decode() if customer.HasField("goals") else None,
        customer.traits.decode() if customer.HasField("traits") else None,
        json.dumps(identities),
        domain.value_of(customer, "source"),
        domain.utc(customer.source_updated_at) if customer.HasField("source_updated_at") else None,
        domain.utc(customer.archived_at) if customer.HasField("archived_at") else None,
        domain.utc(customer.updated_at),
        customer.version,
    )


def customer_of(row: Mapping[str, Any] | asyncpg.Record) -> Customer:
    """Return a row, whose JSON came as text, as the message."""
    customer = Customer(
        customer_id=row["customer_id"],
        known=row["known"],
        version=row["version"],
        **{field: row[field] for field in (*_TEXTS, "source")},
    )
    for field in _TIMES:
        if row[field] is not None:
            getattr(customer, field).FromDatetime(row[field])
    for field in ("goals", "traits"):
        if row[field] is not None:
            setattr(customer, field, domain.json_bytes(json.loads(row[field])))
    if row["identities"] != "[]":
        customer.identities.extend(Identity(**identity) for identity in json.loads(row["identities"]))
    return customer
