"""Makes a service's database with its roles, and says whether its migrations are those of this code."""

import hashlib
from collections.abc import Mapping

import asyncpg

from libs.common import migrate

ROLES = ("owner", "app", "pump")


def head_of(package: str) -> str:
    """Return a digest of all migrations of a service: equal digests need no migration."""
    digest = hashlib.sha256()
    for name, sql in migrate.files_of(package):
        digest.update(f"{name}\0{sql}\0".encode())
    return digest.hexdigest()


async def bootstrap(admin_dsn: str, service: str, passwords: Mapping[str, str]) -> None:
    """Make a service's database with its owner, app and pump roles; again is no change but the passwords.

    The administrator may create roles and databases; there is one password for each of `ROLES`.
    """
    conn = await asyncpg.connect(admin_dsn, ssl=False if "127.0.0.1" in admin_dsn else None)
    try:
        for role in ROLES:
            name = f"{service}_{role}"
            verb = "alter" if await conn.fetchval("select 1 from pg_roles where rolname = $1", name) else "create"
            secret = passwords[role].replace("'", "''")
            await conn.execute(
                f"{verb} role {name} login nosuperuser nobypassrls nocreatedb nocreaterole password '{secret}'"
            )
        if not await conn.fetchval("select 1 from pg_database where datname = $1", service):
            # The administrator must be a member of the owner to hand the database over.
            await conn.execute(f"grant {service}_owner to current_user")
            await conn.execute(f"create database {service} owner {service}_owner")
        await conn.execute(f"revoke all on database {service} from public")
        await conn.execute(f"grant connect on database {service} to {service}_app, {service}_pump")
    finally:
        await conn.close()
