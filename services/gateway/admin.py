"""What an operator does beside the API: `python -m services.gateway.admin create-tenant NAME | create-key | errors`."""

import argparse
import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common import clock, db, tenancy
from libs.common.db import Database
from libs.common.settings import ServiceSettings

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
    dsn, pepper = settings.database_url.get_secret_value(), settings.key_pepper.get_secret_value()
    if asked.command == "create-tenant":
        made = asyncio.run(create_tenant(dsn=dsn, pepper=pepper, name=asked.name, is_test=asked.test))
    else:
        scopes = edge.SCOPES if asked.scopes == "all" else tuple(asked.scopes.split(","))
        tenant_id = uuid.UUID(asked.tenant)
        made = asyncio.run(create_key(dsn=dsn, pepper=pepper, tenant_id=tenant_id, name=asked.name, scopes=scopes))
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


@asynccontextmanager
async def _store(dsn: str) -> AsyncIterator[Database]:
    secret = SecretStr(dsn)
    settings = ServiceSettings(
        database_url=secret,
        pump_database_url=secret,
        service_credentials=SecretStr(""),
        fingerprint_key=SecretStr("a command stores no facts"),
    )
    database = await db.connect(settings, "gateway-admin")
    try:
        yield database
    finally:
        await database.close()


async def create_tenant(*, dsn: str, pepper: str, name: str, is_test: bool = False) -> dict[str, str]:
    """Make a tenant and its first key; return {"tenant_id", "api_key"}. The key is shown this once."""
    tenant_id = uuid.UUID(clock.new_uuid())
    async with _store(dsn) as database, tenancy.transaction(database, tenant_id) as conn:
        await store.insert_tenant(conn, tenant_id, name, live=not is_test, now=clock.now())
        made = await _insert_key(conn, pepper, tenant_id, "first key", edge.SCOPES)
    return {"tenant_id": made["tenant_id"], "api_key": made["api_key"]}


async def create_key(
    *,
    dsn: str,
    pepper: str,
    tenant_id: uuid.UUID,
    name: str,
    scopes: Sequence[str],
) -> dict[str, str]:
    """Make a key; return {"tenant_id", "key_id", "api_key"}."""
    if unknown := set(scopes) - set(edge.SCOPES):
        message = f"no such scope: {', '.join(sorted(unknown))}"
        raise SystemExit(message)
    async with _store(dsn) as database, tenancy.transaction(database, tenant_id) as conn:
        return await _insert_key(conn, pepper, tenant_id, name, scopes)


async def _insert_key(
    conn: AsyncConnection,
    pepper: str,
    tenant_id: uuid.UUID,
    name: str,
    scopes: Sequence[str],
) -> dict[str, str]:
    live = await store.is_live(conn, tenant_id)
    if live is None:
        raise SystemExit("no such tenant")
    plain, key_id, secret = keys.generate(live=live)
    digest = keys.digest_of(pepper.encode(), secret)
    await store.insert_key(conn, store.Key(tenant_id, key_id, name, frozenset(scopes), digest, clock.now(), None, None))
    return {"tenant_id": str(tenant_id), "key_id": key_id, "api_key": plain}


if __name__ == "__main__":
    main()
