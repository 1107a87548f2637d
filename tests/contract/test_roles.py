"""Who may do what in the databases: row-level security everywhere, owners apart, and few look-ups before the tenant."""

import itertools
from typing import Any

import asyncpg
import pytest

from .conftest import SERVICES, Catalogue

PUMP = {
    "outbox": {"SELECT", "INSERT", "UPDATE"},
    "inbox": {"SELECT", "DELETE"},
    "dead_letter": {"SELECT", "INSERT", "UPDATE"},
    "timers": {"SELECT", "UPDATE"},
    "migrations": {"SELECT"},
}
"""All that the pump may do, in every service."""
MAINTENANCE = {
    ("ensure_partitions", "parent text, step text, present timestamp with time zone", "pump"),
    ("drop_partitions", "parent text, before timestamp with time zone", "pump"),
    ("recorded_partitions", "", "pump"),
}
LOOK_UPS = {"gateway": {("find_api_key", "wanted text", "app")}}
"""Functions that see every tenant's rows, beside the maintenance of partitions: (name, arguments, who may call it)."""
LOOKED_INTO = {"gateway": {"api_keys"}}
"""Tables that those functions read."""
LEDGERS = {
    "profile": {"activities", "voids"},
    "feedback": {"responses", "mentions", "triggers", "contacts", "case_steps"},
    "referral": set(),
    "scoring": {"signals", "voids"},
    "gateway": {"event_feed"},
}
"""What is appended and never altered, beside the outbox, the inbox, `seen`, the stored answers and the audit."""
APPENDED = {"outbox", "inbox", "seen", "idempotency", "audit"}

_OF_TENANT = "(tenant_id = (NULLIF(current_setting('app.tenant'::text, true), ''::text))::uuid)"
_TABLES = "relkind in ('r', 'p') and relnamespace = 'public'::regnamespace"
_UNGUARDED = f"select relname from pg_class where {_TABLES} and not (relrowsecurity and relforcerowsecurity)"
_SHARED = f"""select relname from pg_class c where {_TABLES}
and not exists (select from pg_attribute where attrelid = c.oid and attname = 'tenant_id' and attnotnull)"""
_UNKEYED = f"""select relname from pg_class c join pg_index x on x.indrelid = c.oid where {_TABLES} and indisprimary
and indkey[0] <> (select attnum from pg_attribute where attrelid = c.oid and attname = 'tenant_id')"""
_PARENTS = f"select relname from pg_class where {_TABLES} and not relispartition and relname <> 'migrations'"
_POLICIES = """select tablename, policyname, roles::text[], permissive, cmd, qual, with_check from pg_policies
where schemaname = 'public'"""
_ROLES = """select rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication from pg_roles
where rolname like $1 || '\\_%' order by 1"""
_MEMBERS = """select r.rolname, m.rolname from pg_auth_members a join pg_roles r on r.oid = a.roleid
join pg_roles m on m.oid = a.member where m.rolname = any($1)"""
_OWNED = """select relname::text from pg_class where pg_get_userbyid(relowner) = any($1)
union all select proname::text from pg_proc where pg_get_userbyid(proowner) = any($1)
union all select nspname::text from pg_namespace where pg_get_userbyid(nspowner) = any($1)
union all select datname::text from pg_database where pg_get_userbyid(datdba) = any($1)"""
_GRANTS = f"""select c.relname, g.privilege_type from pg_class c, aclexplode(c.relacl) g
where {_TABLES} and g.grantee = $1::regrole"""
_GRANTS_TO_ALL = f"select relname from pg_class c, aclexplode(c.relacl) g where {_TABLES} and g.grantee = 0"
_DEFINERS = """select proname, pg_get_function_identity_arguments(p.oid), proconfig,
(select array_agg(pg_get_userbyid(grantee) order by 1) from aclexplode(proacl) where grantee <> proowner)
from pg_proc p where prosecdef"""
_CREATORS = """select r.rolname from pg_roles r where r.rolname = any($1)
and (has_schema_privilege(r.oid, 'public', 'create') or has_database_privilege(r.oid, current_database(), 'create')
     or has_database_privilege(r.oid, current_database(), 'temp'))"""
_CONNECT = "select has_database_privilege($1, $2, 'connect')"
OTHERS = [(one, other) for one, other in itertools.product(SERVICES, SERVICES) if one != other]


def roles_of(service: str) -> list[str]:
    return [f"{service}_app", f"{service}_pump"]


async def granted(catalogue: Catalogue, service: str, role: str) -> dict[str, set[str]]:
    rows = sorted(await catalogue(service, _GRANTS, f"{service}_{role}"))
    return {table: {kind for _, kind in pairs} for table, pairs in itertools.groupby(rows, lambda row: row[0])}


@pytest.mark.parametrize("service", SERVICES)
async def test_row_level_security_is_forced_on_every_table(catalogue: Catalogue, service: str) -> None:
    assert await catalogue(service, _UNGUARDED) == ["migrations"]


@pytest.mark.parametrize("service", SERVICES)
async def test_every_table_but_one_has_a_tenant(catalogue: Catalogue, service: str) -> None:
    assert await catalogue(service, _SHARED) == ["migrations"]


@pytest.mark.parametrize("service", SERVICES)
async def test_every_key_begins_with_the_tenant(catalogue: Catalogue, service: str) -> None:
    assert await catalogue(service, _UNKEYED) == []


@pytest.mark.parametrize("service", SERVICES)
async def test_policies_are_the_tenant_the_pump_and_the_look_ups(catalogue: Catalogue, service: str) -> None:
    app, pump, owner = ([f"{service}_{role}"] for role in ("app", "pump", "owner"))
    tables = await catalogue(service, _PARENTS)
    expected = [(table, "tenant", app, "PERMISSIVE", "ALL", _OF_TENANT, _OF_TENANT) for table in tables]
    expected += [(table, "pump", pump, "PERMISSIVE", "ALL", "true", "true") for table in PUMP if table in tables]
    expected += [
        (table, "look_up", owner, "PERMISSIVE", "SELECT", "true", None) for table in LOOKED_INTO.get(service, ())
    ]
    assert sorted(map(str, await catalogue(service, _POLICIES))) == sorted(map(str, expected))


@pytest.mark.parametrize("service", SERVICES)
async def test_roles_have_no_powers(catalogue: Catalogue, service: str) -> None:
    expected = [(f"{service}_{role}", False, False, False, False, False) for role in ("app", "owner", "pump")]
    assert await catalogue(service, _ROLES, service) == expected


@pytest.mark.parametrize("service", SERVICES)
async def test_roles_are_members_of_nothing(catalogue: Catalogue, service: str) -> None:
    assert await catalogue(service, _MEMBERS, [*roles_of(service), f"{service}_owner"]) == []


@pytest.mark.parametrize("service", SERVICES)
async def test_app_and_pump_own_nothing(catalogue: Catalogue, service: str) -> None:
    assert await catalogue(service, _OWNED, roles_of(service)) == []


@pytest.mark.parametrize("service", SERVICES)
async def test_app_and_pump_create_nothing(catalogue: Catalogue, service: str) -> None:
    assert await catalogue(service, _CREATORS, roles_of(service)) == []


@pytest.mark.parametrize("service", SERVICES)
async def test_the_pump_reaches_delivery_and_timers_only(catalogue: Catalogue, service: str) -> None:
    assert await granted(catalogue, service, "pump") == PUMP


@pytest.mark.parametrize("service", SERVICES)
async def test_nothing_is_granted_to_everyone(catalogue: Catalogue, service: str) -> None:
    assert await catalogue(service, _GRANTS_TO_ALL) == []


@pytest.mark.parametrize("service", SERVICES)
async def test_the_app_appends_to_ledgers_and_never_alters_them(catalogue: Catalogue, service: str) -> None:
    grants = await granted(catalogue, service, "app")
    ledgers = LEDGERS[service] | APPENDED
    assert {table: grants[table] for table in ledgers} == {key: {"SELECT", "INSERT"} for key in ledgers}


@pytest.mark.parametrize("service", SERVICES)
async def test_the_app_changes_rows_and_never_tables(catalogue: Catalogue, service: str) -> None:
    kinds = set().union(*(await granted(catalogue, service, "app")).values())
    assert kinds <= {"SELECT", "INSERT", "UPDATE", "DELETE"}


@pytest.mark.parametrize("service", SERVICES)
async def test_partitions_are_reached_through_their_table_alone(catalogue: Catalogue, service: str) -> None:
    reached = {*await granted(catalogue, service, "app"), *await granted(catalogue, service, "pump")}
    assert reached <= {*await catalogue(service, _PARENTS), "migrations"}


@pytest.mark.parametrize("service", SERVICES)
async def test_functions_with_the_owners_rights_are_these(catalogue: Catalogue, service: str) -> None:
    found = await catalogue(service, _DEFINERS)
    expected = MAINTENANCE | LOOK_UPS.get(service, set())
    assert {(name, arguments, callers[0].removeprefix(f"{service}_")) for name, arguments, _, callers in found} == (
        expected
    )


@pytest.mark.parametrize("service", SERVICES)
async def test_functions_with_the_owners_rights_have_one_caller_each(catalogue: Catalogue, service: str) -> None:
    found = await catalogue(service, _DEFINERS)
    assert [name for name, _, _, callers in found if len(callers) != 1] == []


@pytest.mark.parametrize("service", SERVICES)
async def test_functions_with_the_owners_rights_fix_their_search_path(catalogue: Catalogue, service: str) -> None:
    paths = {"search_path=public, pg_temp", "search_path=pg_catalog, public"}
    found = await catalogue(service, _DEFINERS)
    assert [name for name, _, config, _ in found if len(config or ()) != 1 or not set(config) <= paths] == []


@pytest.mark.parametrize(("service", "other"), OTHERS)
async def test_no_role_may_connect_to_anothers_database(catalogue: Catalogue, service: str, other: str) -> None:
    roles = [*roles_of(service), f"{service}_owner"]
    assert [(await catalogue(other, _CONNECT, role, other))[0] for role in roles] == [False] * 3


async def test_connecting_to_anothers_database_fails(world: Any) -> None:
    dsn = world.dsn("feedback").removesuffix("/feedback") + "/profile"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(dsn)


async def test_the_app_sees_nothing_without_a_tenant(world: Any) -> None:
    conn = await world.connect("gateway")
    try:
        assert await conn.fetchval("select count(*) from tenants") == 0
    finally:
        await conn.close()


async def test_the_app_writes_nothing_for_another_tenant(world: Any, tenant: Any) -> None:
    conn = await world.connect("feedback", tenant)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await conn.execute(
                """insert into surveys (tenant_id, key, metric, locales, created_at, updated_at)
                   values (gen_random_uuid(), 'k', 'nps', '{}', now(), now())"""
            )
    finally:
        await conn.close()
