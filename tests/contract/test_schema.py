"""The databases are what `tables.py` says, partitioned and durable as promised."""

import importlib
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.ext.asyncio import create_async_engine

from .conftest import SERVICES, Catalogue

DELIVERY = {"outbox", "inbox", "dead_letter", "seen", "timers", "jobs", "idempotency", "audit", "migrations"}
"""The tables of libs/common, of which no service's `tables.py` speaks."""
PARTITIONED = {
    "profile": {"activities": "recorded_at"},
    "feedback": {"responses": "recorded_at", "mentions": "recorded_at"},
    "referral": {},
    "scoring": {"signals": "recorded_at"},
    "gateway": {"event_feed": "recorded_at"},
}
"""What grows for ever, by the column that decides the partition; the outbox beside it in every service."""

_PARTITIONS = "select relname from pg_class where relispartition"
_COLLATED = """select c.relname || '.' || a.attname from pg_attribute a
join pg_class c on c.oid = a.attrelid join pg_collation o on o.oid = a.attcollation
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
and a.attnum > 0 and o.collname = 'C' and c.relname <> all($1)"""
_RANGES = """select c.relname, a.attname from pg_partitioned_table p join pg_class c on c.oid = p.partrelid
join pg_attribute a on a.attrelid = c.oid and a.attnum = p.partattrs[0] where p.partstrat = 'r'"""
_DEFAULTS = """select c.relname from pg_partitioned_table p join pg_class c on c.oid = p.partrelid
where p.partstrat = 'r' and p.partdefid <> 0"""
_AHEAD = """select p.relname from pg_inherits i join pg_class p on p.oid = i.inhparent
join pg_class c on c.oid = i.inhrelid join pg_partitioned_table t on t.partrelid = p.oid
where t.partstrat = 'r' and c.relname like '%_p20%' and pg_get_expr(c.relpartbound, c.oid) not like 'DEFAULT%'
group by p.relname having count(*) = 5"""
_UNIQUE = """select t.relname, i.relname from pg_index x join pg_class t on t.oid = x.indrelid
join pg_class i on i.oid = x.indexrelid join pg_partitioned_table p on p.partrelid = t.oid
where p.partstrat = 'r' and x.indisunique and not x.indisprimary"""
_DURABILITY = """select name, setting from pg_settings
where name in ('fsync', 'synchronous_commit', 'full_page_writes') order by name"""


def metadata_of(service: str) -> sa.MetaData:
    made: sa.MetaData = importlib.import_module(f"services.{service}.tables").metadata
    return made


async def inspected(world: Any, service: str, look: Any) -> Any:
    """Look at a database through a synchronous connection of SQLAlchemy's, as the owner."""
    url = sa.make_url(world.dsn(service, "owner")).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url, connect_args={"ssl": False})
    try:
        async with engine.connect() as conn:
            return await conn.run_sync(look)
    finally:
        await engine.dispose()


@pytest.mark.parametrize("service", SERVICES)
async def test_migrations_make_what_tables_say(world: Any, catalogue: Catalogue, service: str) -> None:
    ignored = DELIVERY | set(await catalogue(service, _PARTITIONS))

    def is_own(name: str | None, kind: str, _: Any) -> bool:
        return kind != "table" or name not in ignored

    def differences(conn: sa.Connection) -> Any:
        options = {"include_name": is_own, "compare_type": True, "compare_server_default": True}
        return compare_metadata(MigrationContext.configure(conn, opts=options), metadata_of(service))

    assert await inspected(world, service, differences) == []


@pytest.mark.parametrize("service", SERVICES)
async def test_primary_keys_are_what_tables_say(world: Any, service: str) -> None:
    tables = metadata_of(service).tables.values()

    def keys(conn: sa.Connection) -> dict[str, list[str]]:
        look = sa.inspect(conn)
        return {table.name: look.get_pk_constraint(table.name)["constrained_columns"] for table in tables}

    declared = {table.name: [column.name for column in table.primary_key] for table in tables}
    assert await inspected(world, service, keys) == declared


@pytest.mark.parametrize("service", SERVICES)
async def test_collations_are_what_tables_say(catalogue: Catalogue, service: str) -> None:
    columns = [column for table in metadata_of(service).tables.values() for column in table.columns]
    declared = {str(column) for column in columns if getattr(column.type, "collation", None) == "C"}
    assert set(await catalogue(service, _COLLATED, list(DELIVERY))) == declared


@pytest.mark.parametrize("service", SERVICES)
async def test_what_grows_for_ever_is_partitioned_by_time(catalogue: Catalogue, service: str) -> None:
    assert dict(await catalogue(service, _RANGES)) == {"outbox": "created_at", **PARTITIONED[service]}


@pytest.mark.parametrize("service", SERVICES)
async def test_every_partitioned_table_takes_any_time(catalogue: Catalogue, service: str) -> None:
    assert set(await catalogue(service, _DEFAULTS)) == {"outbox", *PARTITIONED[service]}


@pytest.mark.parametrize("service", SERVICES)
async def test_partitions_are_made_ahead(catalogue: Catalogue, service: str) -> None:
    assert set(await catalogue(service, _AHEAD)) == {"outbox", *PARTITIONED[service]}


@pytest.mark.parametrize("service", SERVICES)
async def test_no_unique_key_spans_partitions(catalogue: Catalogue, service: str) -> None:
    assert await catalogue(service, _UNIQUE) == []


async def test_what_is_committed_survives_a_crash(catalogue: Catalogue) -> None:
    expected = [("fsync", "on"), ("full_page_writes", "on"), ("synchronous_commit", "on")]
    assert await catalogue("feedback", _DURABILITY) == expected
