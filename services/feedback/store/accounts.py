"""SQL of which account a customer belongs to: a copy of what profile says."""

from collections.abc import Iterable
from uuid import UUID

import asyncpg

from plaudit.profile.v1.profile_events_pb2 import CustomerChanged

_SAVE = """insert into customer_accounts as known (tenant_id, customer_id, account_id, version)
select distinct on (i.customer_id) $1::uuid, i.* from unnest($2::text[], $3::text[], $4::bigint[])
    as i(customer_id, account_id, version)
order by i.customer_id, i.version desc
on conflict (tenant_id, customer_id) do update set account_id = excluded.account_id, version = excluded.version
where known.version < excluded.version"""


async def save_accounts(conn: asyncpg.Connection, tenant_id: UUID, changes: Iterable[CustomerChanged]) -> None:
    """Keep the newest that is known of each customer's account, in whatever order it comes."""
    changed = list(changes)
    await conn.execute(
        _SAVE,
        tenant_id,
        [change.customer_id for change in changed],
        [change.account_id if change.HasField("account_id") else None for change in changed],
        [change.version for change in changed],
    )
