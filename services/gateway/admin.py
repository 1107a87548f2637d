"""What an operator does beside the API: `python -m services.gateway.admin create-tenant NAME | create-key | errors`."""

import argparse
import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Sequence

from libs.common import clock, db, tenancy
from libs.common.db import Database

from . import edge, problems, store
from .edge import keys
from .settings import Settings


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; it prints JSON with --json, otherwise lines for people."""
    asked = _parser().parse_args(arguments)
    if asked.command == "errors":
        print(problems.as_markdown(), end="")
        return
    settings = Settings()
    clock.use_file(settings.clock_file)
    if asked.command == "create-tenant":
        made = asyncio.run(
            _with_store(settings, lambda at: create_tenant(at, settings, asked.name, live=not asked.test))
        )
    else:
        scopes = edge.SCOPES if asked.scopes == "all" else tuple(asked.scopes.split(","))
        tenant_id = uuid.UUID(asked.tenant)
        made = asyncio.run(_with_store(settings, lambda at: create_key(at, settings, tenant_id, asked.name, scopes)))
    print(json.dumps(made) if asked.json else "\n".join(f"{name}: {value}" for name, value in made.items()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.gateway.admin", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    tenant = commands.add_parser("create-tenant", help="make a tenant with a first key of all scopes")
    tenant.add_argument("name")
    tenant.add_argument("--test", action="store_true", help="a test tenant: its keys begin with pl_test_")
    tenant.add_argument("--json", action="store_true")
    key = commands.add_parser("create-key", help="make a further key of a tenant")
    key.add_argument("--tenant", required=True)
    key.add_argument("--name", required=True)
    key.add_argument("--scopes", default="all", help="separated by commas; all by default")
    key.add_argument("--json", action="store_true")
    commands.add_parser("errors", help="write docs/errors.md to standard output")
    return parser


async def _with_store(settings: Settings, work: Callable[[Database], Awaitable[dict[str, str]]]) -> dict[str, str]:
    database = await db.connect(settings, "gateway-admin")
    try:
        return await work(database)
    finally:
        await database.close()


async def create_tenant(database: Database, settings: Settings, name: str, *, live: bool) -> dict[str, str]:
    """Make a tenant and its first key; return {"tenant_id", "api_key"}. The key is shown this once."""
    tenant_id = uuid.UUID(clock.new_uuid())
    async with tenancy.transaction(database, tenant_id) as conn:
        await store.insert_tenant(conn, tenant_id, name, live=live, now=clock.now())
    made = await create_key(database, settings, tenant_id, "first key", edge.SCOPES)
    return {"tenant_id": made["tenant_id"], "api_key": made["api_key"]}


async def create_key(
    database: Database,
    settings: Settings,
    tenant_id: uuid.UUID,
    name: str,
    scopes: Sequence[str],
) -> dict[str, str]:
    """Make a key; return {"tenant_id", "key_id", "api_key"}."""
    if unknown := set(scopes) - set(edge.SCOPES):
        message = f"no such scope: {', '.join(sorted(unknown))}"
        raise SystemExit(message)
    async with tenancy.transaction(database, tenant_id) as conn:
        live = await store.is_live(conn, tenant_id)
        if live is None:
            raise SystemExit("no such tenant")
        plain, key_id, secret = keys.generate(live=live)
        digest = keys.digest_of(settings.key_pepper.get_secret_value().encode(), secret)
        made = store.Key(tenant_id, key_id, name, frozenset(scopes), digest, clock.now(), None, None)
        await store.insert_key(conn, made)
    return {"tenant_id": str(tenant_id), "key_id": key_id, "api_key": plain}


if __name__ == "__main__":
    main()
