"""Brings the databases and the event stream to what this code needs, and skips both where they already are there."""

import asyncio
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import asyncpg

from deploy.local import databases, nats
from deploy.local.environment import Addresses, base_environment, role_dsn
from deploy.local.folder import REPOSITORY, SERVICES, Folder, Secrets, Trouble
from deploy.local.process import Launch, spawn
from libs.common import clock, migrate

STREAM = "EVENTS"
_MARK = "plaudit schema "


async def prepare_databases(folder: Folder, secrets: Secrets, addresses: Addresses) -> list[str]:
    """Make and migrate the databases that are not at the head of this code.

    A database carries the digest of what made it as its comment, so that one that was dropped, restored or made by
    other code is found out.

    Returns:
        The services that had to be migrated.
    """
    clock.use_file(folder.clock)
    wanted = {name: _mark(name, secrets) for name in SERVICES}
    try:
        admin = await asyncpg.connect(
            addresses.admin_dsn, ssl=False if addresses.embedded_postgres else None,
        )  # fmt: skip
    except (OSError, asyncpg.PostgresError) as error:
        message = f"PostgreSQL does not let the administrator in: {error}"
        raise Trouble(message) from error
    try:
        rows = await admin.fetch("select datname, shobj_description(oid, 'pg_database') as mark from pg_database")
        found = {row["datname"]: row["mark"] for row in rows}
        stale = [name for name in SERVICES if found.get(name) != wanted[name]]
        ends = await asyncio.gather(*(_migrate(name, secrets, addresses) for name in stale), return_exceptions=True)
        for end in ends:
            if end is not None:
                raise end
        for name in stale:
            await admin.execute(f"comment on database {name} is '{wanted[name]}'")
    finally:
        await admin.close()
    return stale


def _mark(name: str, secrets: Secrets) -> str:
    digest = hashlib.sha256(databases.head_of(f"services.{name}").encode())
    digest.update(Path(migrate.__file__).read_bytes())
    digest.update(json.dumps(secrets["roles"][name], sort_keys=True).encode())
    return _MARK + digest.hexdigest()


async def _migrate(name: str, secrets: Secrets, addresses: Addresses) -> None:
    passwords = secrets["roles"][name]
    await databases.bootstrap(addresses.admin_dsn, name, passwords)
    owner = role_dsn(addresses.admin_dsn, service=name, role="owner", password=passwords["owner"])
    try:
        await migrate.migrate(owner, f"services.{name}")
    except (SystemExit, asyncpg.PostgresError) as error:
        message = f"the database {name} could not be migrated: {error}"
        raise Trouble(message) from error


async def stream_is_made(addresses: Addresses, known: dict[str, Any]) -> bool:
    """Tell whether the stream and its durables are those that this code made before.

    Args:
        addresses: where the broker is.
        known: what `make_stream` returned.

    Raises:
        OSError, TimeoutError, EOFError: the broker is away.
    """
    facts = await nats.stream_facts(addresses.nats_url, STREAM)
    return facts is not None and facts | {"code": stream_code()} == known


async def make_stream(folder: Folder, addresses: Addresses) -> dict[str, Any]:
    """Make or update the stream and its durables.

    Returns:
        What tells them from others, for `stream_is_made`; empty where the step failed (its log says why).
    """
    argv = [sys.executable, "-m", "libs.common.events", *(f"services.{name}" for name in SERVICES)]
    env = base_environment(embedded_postgres=addresses.embedded_postgres)
    env |= {"NATS_URL": addresses.nats_url, "CLOCK_FILE": str(folder.clock)}
    run = await spawn(Launch(argv=argv, env=env, log=folder.log("stream"), cwd=str(REPOSITORY)))
    try:
        failed = await run.wait()
    except asyncio.CancelledError:
        run.kill()
        raise
    facts = None if failed else await nats.stream_facts(addresses.nats_url, STREAM)
    return facts | {"code": stream_code()} if facts else {}


def stream_code() -> str:
    """Return a digest of the code that decides what the stream and its durables are."""
    digest = hashlib.sha256()
    services = REPOSITORY / "services"
    places = [*services.glob("*/*.py"), *services.glob("*/consumers/*.py"), *_COMMON.glob("events/*.py")]
    for path in sorted(places):
        digest.update(path.read_bytes())
    return digest.hexdigest()


_COMMON = REPOSITORY / "libs" / "common"
