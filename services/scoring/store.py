"""Every SQL statement of the scoring service: set-based, one statement per table and batch."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple

import asyncpg

from libs.common import clock
from plaudit.profile.v1.profile_events_pb2 import CustomerChanged
from plaudit.scoring.v1.scoring_events_pb2 import ScoreChanged

from . import domain

# The numbers of plaudit.scoring.v1.Dimension.
_CODES = {dimension: code for code, dimension in enumerate(domain.DIMENSIONS, start=1)}

# Who reads the ledger leaves out what was taken back, whether that was said before or after the fact came.
_COUNTING = """s.tenant_id = $1 and s.counts_from <= $3 and not exists (
    select from voids v
    where v.tenant_id = s.tenant_id and v.source_kind = s.source_kind and v.source_id = s.source_id)"""

# What `ingest.claim` and `timers.schedule` do, with what they are done for, in one round trip.
_ADD_SIGNALS = """with input as (
    select * from unnest($4::text[], $5::text[], $6::text[], $7::smallint[], $8::int[], $9::timestamptz[],
        $10::timestamptz[]) as t(source_id, customer_id, signal, dimension, weight_micros, occurred_at, counts_from)),
taken as (
    insert into seen (tenant_id, kind, id, received_at) select $1, 'signal.' || $3, source_id, $2 from input
    on conflict do nothing returning id),
marked as (
    insert into timers (tenant_id, kind, id, due_at) select $1, $13, mark, $12 from unnest($11::text[]) as mark
    where exists (select from taken))
insert into signals (
    tenant_id, recorded_at, source_kind, source_id, customer_id, signal, dimension, weight_micros,
    occurred_at, counts_from, day)
select $1, $2, $3, input.source_id, input.customer_id, input.signal, input.dimension, input.weight_micros,
    input.occurred_at, least(input.counts_from, $2), (input.occurred_at at time zone 'UTC')::date
from input join taken on taken.id = input.source_id"""


async def add_signals(
    conn: asyncpg.Connection,
    tenant_id: uuid.UUID,
    source_kind: str,
    rows: Mapping[str, domain.Row],
    look: tuple[Sequence[str], datetime],
) -> None:
    """Append the signals whose sources were never seen; where there are any, have scores looked at again.

    A sender's clock may run ahead of ours: what is here counts at once.

    Args:
        conn: in a transaction under the tenant.
        tenant_id: whose facts.
        source_kind: of all these facts.
        rows: by the facts' ids.
        look: new timers' ids and when they are due.
    """
    values = [
        (source_id, customer_id, entry.signal, _CODES[entry.dimension], entry.weight, entry.occurred_at, counts_from)
        for source_id, (customer_id, entry, counts_from) in sorted(rows.items())
    ]
    columns = (list(column) for column in zip(*values, strict=True))
    await conn.execute(_ADD_SIGNALS, tenant_id, clock.now(), source_kind, *columns, *look, domain.LOOK)


async def add_voids(
    conn: asyncpg.Connection,
    tenant_id: uuid.UUID,
    source_kind: str,
    voided_at: Mapping[str, datetime],
) -> None:
    """Take facts back, whether or not they have come yet."""
    ids = sorted(voided_at)
    await conn.execute(
        """insert into voids (tenant_id, source_kind, source_id, voided_at)
           select $1, $2, t.* from unnest($3::text[], $4::timestamptz[]) as t on conflict do nothing""",
        tenant_id,
        source_kind,
        ids,
        [voided_at[source_id] for source_id in ids],
    )


_LIST_ROWS = f"""select s.source_kind, s.source_id, s.signal, s.dimension, s.occurred_at, s.weight_micros, s.counts_from
from signals s where s.customer_id = $2 and {_COUNTING}"""  # noqa: S608


async def list_rows(
    conn: asyncpg.Connection,
    tenant_id: uuid.UUID,
    customer_id: str,
    as_of: datetime,
) -> list[domain.Row]:
    """Return what counts for one customer as of a time, in no order."""
    records = await conn.fetch(_LIST_ROWS, tenant_id, customer_id, as_of)
    names = domain.DIMENSIONS
    return [
        domain.Row(
            customer_id, domain.Entry(kind, source_id, signal, names[code - 1], occurred_at, weight), counts_from
        )
        for kind, source_id, signal, code, occurred_at, weight, counts_from in records
    ]


_LIST_SUMS = f"""select s.customer_id, s.day, s.dimension, sum(s.weight_micros)::bigint
from signals s where s.customer_id = any($2) and {_COUNTING} group by 1, 2, 3"""  # noqa: S608


async def list_sums(
    conn: asyncpg.Connection,
    tenant_id: uuid.UUID,
    customer_ids: Sequence[str],
    as_of: datetime,
) -> dict[str, list[domain.Sum]]:
    """Fold many customers' ledgers at once; customers without a signal are left out."""
    sums: dict[str, list[domain.Sum]] = {}
    for customer_id, day, code, weight in await conn.fetch(_LIST_SUMS, tenant_id, customer_ids, as_of):
        sums.setdefault(customer_id, []).append(domain.Sum(day, domain.DIMENSIONS[code - 1], weight))
    return sums


async def is_seen(conn: asyncpg.Connection, tenant_id: uuid.UUID, customer_id: str) -> bool:
    """Say whether anything has ever spoken of a customer."""
    return bool(
        await conn.fetchval(
            """select exists (select from customers where tenant_id = $1 and customer_id = $2)
                   or exists (select from signals where tenant_id = $1 and customer_id = $2)""",
            tenant_id,
            customer_id,
        ),
    )


async def add_stubs(conn: asyncpg.Connection, tenant_id: uuid.UUID, customer_ids: Sequence[str]) -> None:
    """Remember customers of whom only facts speak so far."""
    await conn.execute(
        """insert into customers (tenant_id, customer_id, version, known)
           select $1, t.id, 0, false from unnest($2::text[]) as t(id) on conflict do nothing""",
        tenant_id,
        customer_ids,
    )


_SAVE_CUSTOMERS = """insert into customers (
    tenant_id, customer_id, version, known, account_id, acquired_at, archived_at, locale, timezone, preferred_channel)
select $1, t.* from unnest(
    $2::text[], $3::bigint[], $4::boolean[], $5::text[], $6::timestamptz[], $7::timestamptz[],
    $8::text[], $9::text[], $10::text[]) as t
on conflict (tenant_id, customer_id) do update set
    version = excluded.version, known = excluded.known, account_id = excluded.account_id,
    acquired_at = excluded.acquired_at, archived_at = excluded.archived_at, locale = excluded.locale,
    timezone = excluded.timezone, preferred_channel = excluded.preferred_channel
where customers.version < excluded.version"""


async def save_customers(conn: asyncpg.Connection, tenant_id: uuid.UUID, changes: Sequence[CustomerChanged]) -> None:
    """Take what profile says of customers, one change each, sorted by id; the highest version stays."""
    await conn.execute(
        _SAVE_CUSTOMERS,
        tenant_id,
        [change.customer_id for change in changes],
        [change.version for change in changes],
        [change.known for change in changes],
        [change.account_id if change.HasField("account_id") else None for change in changes],
        [change.acquired_at.ToDatetime(UTC) if change.HasField("acquired_at") else None for change in changes],
        [change.archived_at.ToDatetime(UTC) if change.HasField("archived_at") else None for change in changes],
        [change.locale if change.HasField("locale") else None for change in changes],
        [change.timezone if change.HasField("timezone") else None for change in changes],
        [change.preferred_channel if change.HasField("preferred_channel") else None for change in changes],
    )


_EVERYBODY = """select customer_id from signals where tenant_id = $1 and customer_id > $2
union select customer_id from customers where tenant_id = $1 and customer_id > $2
union select customer_id from scores where tenant_id = $1 and customer_id > $2"""
_SOME = """(select distinct customer_id from signals where tenant_id = $1 and customer_id > $2 order by 1 limit $3)
union (select customer_id from customers where tenant_id = $1 and customer_id > $2 order by 1 limit $3)
union (select customer_id from scores where tenant_id = $1 and customer_id > $2 order by 1 limit $3)
order by 1 limit $3"""


async def count_customers(conn: asyncpg.Connection, tenant_id: uuid.UUID) -> int:
    """Count whom scoring has ever heard of."""
    return int(await conn.fetchval(f"select count(*) from ({_EVERYBODY}) as t", tenant_id, ""))  # noqa: S608


async def list_customers(conn: asyncpg.Connection, tenant_id: uuid.UUID, after: str, limit: int) -> list[str]:
    """Return the ids of whom scoring has ever heard of, in order, from behind one on."""
    return [row["customer_id"] for row in await conn.fetch(_SOME, tenant_id, after, limit)]


class Told(NamedTuple):
    """What the others know of a score.

    Attributes:
        value: micro-points, or None.
        version: grows by one with every telling; 0 if nothing was told yet.
        dimensions: micro-points, in the order of `domain.DIMENSIONS`.
        model_version: of the model that it was computed by.
        moves_on: the UTC day on which time alone will have moved it by a point.
    """

    value: int | None
    version: int
    dimensions: tuple[int, ...] = (0,) * len(domain.DIMENSIONS)
    model_version: str = domain.MODEL_VERSION
    moves_on: date | None = None

    def is_exactly(self, score: domain.Score) -> bool:
        """Say whether a score is what was told, to the micro-point; without a value nothing is what no value is."""
        dimensions = tuple(score.dimensions.get(dimension, 0) for dimension in domain.DIMENSIONS)
        return (self.value, self.dimensions, self.model_version) == (score.value, dimensions, domain.MODEL_VERSION)


NOTHING = Told(None, 0)


async def lock_scores(conn: asyncpg.Connection, tenant_id: uuid.UUID) -> None:
    """Let no other process tell of this tenant's scores until the transaction ends.

    What is read after this call is at least as new as what any earlier holder of the lock has read.
    """
    await conn.execute("select pg_advisory_xact_lock(hashtextextended('scores ' || $1::text, 0))", str(tenant_id))


_LIST_TOLD = """select customer_id, value_micros, version, model_version, moves_on,
    satisfaction_micros, loyalty_micros, advocacy_micros, influence_micros
from scores where tenant_id = $1 and customer_id = any($2)"""


async def list_told(conn: asyncpg.Connection, tenant_id: uuid.UUID, customer_ids: Sequence[str]) -> dict[str, Told]:
    """Return what was told of many customers; those of whom nothing was are left out."""
    rows = await conn.fetch(_LIST_TOLD, tenant_id, customer_ids)
    return {
        customer_id: Told(value, version, tuple(dimensions), model_version, moves_on)
        for customer_id, value, version, model_version, moves_on, *dimensions in rows
    }


_SAVE_SCORES = """insert into scores (
    tenant_id, model_version, as_of, customer_id, value_micros, satisfaction_micros, loyalty_micros, advocacy_micros,
    influence_micros, version, moves_on)
select $1, $2, $3, t.* from unnest(
    $4::text[], $5::int[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::date[]) as t
on conflict (tenant_id, customer_id) do update set
    value_micros = excluded.value_micros, satisfaction_micros = excluded.satisfaction_micros,
    loyalty_micros = excluded.loyalty_micros, advocacy_micros = excluded.advocacy_micros,
    influence_micros = excluded.influence_micros, model_version = excluded.model_version, as_of = excluded.as_of,
    version = excluded.version, moves_on = excluded.moves_on"""


async def save_scores(
    conn: asyncpg.Connection,
    tenant_id: uuid.UUID,
    moved: Mapping[str, domain.News],
    as_of: datetime,
) -> None:
    """Keep what is being told of each customer. The caller holds the tenant's lock."""
    scores = [news.score for news in moved.values()]
    await conn.execute(
        _SAVE_SCORES,
        tenant_id,
        domain.MODEL_VERSION,
        as_of,
        list(moved),
        [score.value for score in scores],
        *([score.dimensions.get(dimension, 0) for score in scores] for dimension in domain.DIMENSIONS),
        [news.version for news in moved.values()],
        [news.moves_on for news in moved.values()],
    )


async def plan_drift(conn: asyncpg.Connection, tenant_id: uuid.UUID, days: Mapping[str, date | None]) -> None:
    """Keep when time alone will have moved scores of which nothing is told now. The caller holds the tenant's lock."""
    await conn.execute(
        """update scores s set moves_on = t.day from unnest($2::text[], $3::date[]) as t(customer_id, day)
           where s.tenant_id = $1 and s.customer_id = t.customer_id""",
        tenant_id,
        list(days),
        list(days.values()),
    )


async def list_drifting(conn: asyncpg.Connection, tenant_id: uuid.UUID, by: date, limit: int) -> list[str]:
    """Return whose scores time alone has moved by a day, the longest overdue first."""
    query = "select customer_id from scores where tenant_id = $1 and moves_on <= $2 order by moves_on limit $3"
    return [row["customer_id"] for row in await conn.fetch(query, tenant_id, by, limit)]


async def next_drift(conn: asyncpg.Connection, tenant_id: uuid.UUID) -> date | None:
    """Return the next day on which time alone will have moved a score."""
    query = "select moves_on from scores where tenant_id = $1 and moves_on is not null order by moves_on limit 1"
    day: date | None = await conn.fetchval(query, tenant_id)
    return day


def to_events(moved: Mapping[str, domain.News], as_of: datetime) -> list[ScoreChanged]:
    """Return the events that tell of scores."""
    stamp = clock.stamp(as_of)
    return [
        ScoreChanged(
            customer_id=customer_id,
            value=None if score.value is None else score.value / domain.POINT,
            model_version=domain.MODEL_VERSION,
            as_of=stamp,
            version=version,
            **{dimension: micros / domain.POINT for dimension, micros in score.dimensions.items() if micros},
        )
        for customer_id, (score, version, _) in moved.items()
    ]
