"""Makes a service's database and brings it to the newest numbered SQL file, once, under a lock.

`MIGRATE_DATABASE_URL=<owner dsn> python -m libs.common.migrate services.<name>` migrates one service.
"""

import asyncio
import hashlib
import importlib.util
import os
import re
import sys
from pathlib import Path

import asyncpg

from . import clock, faults

_COMMON = Path(__file__).parent / "migrations"
_LOCK = 0x506C6175646974


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
