"""Makes a service's database and brings it to the newest numbered SQL file, once, under a lock.

`MIGRATE_DATABASE_URL=<owner dsn> python -m libs.common.migrate services.<name>` migrates one service.
"""

import asyncio
import hashlib
import importlib.util
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import asyncpg

from . import clock, faults

_COMMON = Path(__file__).parent / "migrations"
_LOCK = 0x506C6175646974
ROLES = ("owner", "app", "pump")


def files_of(package: str) -> list[tuple[str, str]]:
    """Return (name, SQL) of every migration of a service, the common ones first, in order."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        message = f"no such package: {package}"
        raise SystemExit(message)
    own = Path(spec.submodule_search_locations[0]) / "migrations"
    service = package.rpartition(".")[2]
    found = [("common", path) for path in sorted(_COMMON.glob("*.sql"))]
    found += [(service, path) for path in sorted(own.glob("*.sql"))]
    return [(f"{origin}/{path.stem}", path.read_text().replace("${service}", service)) for origin, path in found]


def head_of(package: str) -> str:
    """Return a digest of all migrations of a service: equal digests need no migration."""
    digest = hashlib.sha256()
    for name, sql in files_of(package):
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


async def migrate(dsn: str, package: str) -> int:
    """Apply what is missing with the owner's DSN, each file in its own transaction; return how many were applied."""
    service = package.rpartition(".")[2]
    conn = await asyncpg.connect(dsn, command_timeout=600)
    applied = 0
    try:
        await conn.execute("select pg_advisory_lock($1)", _LOCK)
        await conn.execute(
            """create table if not exists migrations
               (name text primary key, digest text not null, applied_at timestamptz not null)"""
        )
        await conn.execute(f"grant usage on schema public to {service}_app, {service}_pump")
        await conn.execute(f"grant select on migrations to {service}_app, {service}_pump")
        done = {row["name"]: row["digest"] for row in await conn.fetch("select name, digest from migrations")}
        for name, sql in files_of(package):
            digest = hashlib.sha256(sql.encode()).hexdigest()
            if name in done:
                if done[name] != digest:
                    message = f"{name} was changed after it had been applied: restore it and write a new file"
                    raise SystemExit(message)
                continue
            await _apply(conn, name, sql, digest)
            applied += 1
        await conn.execute("select ensure_partitions('outbox', 'day', $1)", clock.now())
        for row in await conn.fetch("select parent from recorded_partitions()"):
            await conn.execute("select ensure_partitions($1, 'month', $2)", row["parent"], clock.now())
    finally:
        await conn.close()
    return applied


async def _apply(conn: asyncpg.Connection, name: str, sql: str, digest: str) -> None:
    record = "insert into migrations values ($1, $2, $3)"
    if sql.startswith("-- no transaction"):
        # Such a file must be safe to run again: a crash between its end and the record repeats it.
        for statement in filter(None, (part.strip() for part in re.split(r";\s*\n", sql))):
            await conn.execute(statement)
        await conn.execute(record, name, digest, clock.now())
        return
    async with conn.transaction():
        await conn.execute(sql)
        faults.hit("migrate.mid")
        await conn.execute(record, name, digest, clock.now())


def main() -> None:
    """Migrate the packages named on the command line with the DSN of MIGRATE_DATABASE_URL."""
    if path := os.environ.get("CLOCK_FILE"):
        clock.use_file(Path(path))
    faults.arm(os.environ.get("FAULT", ""))
    for package in sys.argv[1:]:
        applied = asyncio.run(migrate(os.environ["MIGRATE_DATABASE_URL"], package))
        sys.stdout.write(f"{package}: {applied} migrations applied, at head\n")


if __name__ == "__main__":
    main()
