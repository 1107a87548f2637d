"""`plaudit doctor`: looks at the machine and at the stack, and says what to do about what is wrong."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import asyncpg

from deploy.local import clock, nats, postgres
from deploy.local.environment import service_environment
from deploy.local.folder import SERVICES, Folder, Trouble, load_secrets, read_state, supervisor_pid
from deploy.local.operations import addresses_of
from deploy.local.output import say
from deploy.local.ports import Ports
from deploy.local.process import leftovers

_FREE_BYTES = 1_073_741_824
_OLDEST_PYTHON = (3, 11)
_CONNECTIONS = 90
"""What the five services may open together (docs/operating.md), with some room. Connections."""
_OUTBOX_LATE = timedelta(seconds=10)
_DURABILITY = ("fsync", "synchronous_commit", "full_page_writes")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    is_well: bool
    what: str
    remedy: str = ""


def run(folder: Folder) -> int:
    """Print what was found; exit code 1 where something needs a hand."""
    findings = [*_machine(folder), *_stack(folder)]
    if supervisor_pid(folder) is not None:
        findings += asyncio.run(_collect(_databases(folder)))
        findings += asyncio.run(_collect(_broker(folder)))
    for finding in findings:
        say(f"{'ok   ' if finding.is_well else 'WRONG'} {finding.what}")
        if not finding.is_well and finding.remedy:
            say(f"      -> {finding.remedy}")
    return 0 if all(finding.is_well for finding in findings) else 1


async def _collect(found: AsyncIterator[Finding]) -> list[Finding]:
    return [finding async for finding in found]


def _machine(folder: Folder) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding(sys.version_info >= _OLDEST_PYTHON, f"Python {version}", "use Python 3.11 or newer")
    yield _binary("PLAUDIT_POSTGRES_DSN", lambda: str(postgres.server_for(folder).binaries / "postgres"))
    yield _binary("PLAUDIT_NATS_URL", lambda: str(nats.binary()))
    try:
        folder.create()
    except Trouble as trouble:
        yield Finding(is_well=False, what=str(trouble))
        return
    free = shutil.disk_usage(folder.root).free
    remedy = "make room: PostgreSQL and NATS stop taking writes on a full disk"
    yield Finding(free > _FREE_BYTES, f"{free / _FREE_BYTES:.1f} GiB free for {folder.root}", remedy)
    own = folder.secrets.stat().st_mode & 0o077 if folder.secrets.exists() else 0
    yield Finding(not own, "the secrets are readable by this user alone", f"chmod 600 {folder.secrets}")
    ports = Ports()
    try:
        yield Finding(is_well=True, what=f"ports are free (such as {ports.take()})")
    except Trouble as trouble:
        yield Finding(is_well=False, what=str(trouble), remedy="stop what listens there")
    finally:
        ports.close()


def _binary(variable: str, find: Callable[[], str]) -> Finding:
    if os.environ.get(variable):
        return Finding(is_well=True, what=f"{variable} names an external server")
    try:
        done = subprocess.run([find(), "--version"], capture_output=True, text=True, check=False, timeout=20)
    except (Trouble, OSError) as error:
        return Finding(is_well=False, what=str(error), remedy="run `make setup` again")
    return Finding(not done.returncode, done.stdout.strip() or done.stderr.strip(), "run `make setup` again")


def _stack(folder: Folder) -> Iterator[Finding]:
    state, pid = read_state(folder), supervisor_pid(folder)
    if pid is None:
        found = leftovers(state.get("processes", {}))
        yield Finding(not found, f"nothing is running on {folder.root}", f"`plaudit down` ends {', '.join(found)}")
    for name, one in state.get("states", {}).items() if pid else ():
        yield Finding(one == "healthy", f"{name} is {one}", f"`plaudit logs {name}` says why")
        restarts = state["restarts"].get(name, 0)
        if restarts:
            yield Finding(is_well=True, what=f"{name} was started again {restarts} times: its log says why")
    offset = clock.read_offset(folder)
    if offset:
        yield Finding(is_well=True, what=f"the clock is moved by {offset} (`plaudit clock set real` puts it back)")


async def _databases(folder: Folder) -> AsyncIterator[Finding]:
    addresses, secrets = addresses_of(folder), load_secrets(folder)
    for name in SERVICES:
        env = service_environment(name, folder=folder, secrets=secrets, addresses=addresses)
        try:
            conn = await asyncpg.connect(
                env["PUMP_DATABASE_URL"], ssl=False if addresses.embedded_postgres else None, timeout=5,
            )  # fmt: skip
        except (OSError, asyncpg.PostgresError) as error:
            yield Finding(False, f"the database {name} cannot be reached: {error}", "`plaudit logs postgres` says why")  # noqa: FBT003
            continue
        try:
            if name == SERVICES[0]:
                async for finding in _server(conn):
                    yield finding
            async for finding in _delivery(conn, name, folder):
                yield finding
        finally:
            await conn.close()


async def _server(conn: asyncpg.Connection) -> AsyncIterator[Finding]:
    for setting in _DURABILITY:
        value = await conn.fetchval("select current_setting($1)", setting)
        yield Finding(value == "on", f"PostgreSQL has {setting} {value}", f"alter system set {setting} = on")
    allowed = int(await conn.fetchval("select current_setting('max_connections')"))
    remedy = f"set max_connections to {_CONNECTIONS} or more and restart PostgreSQL"
    yield Finding(allowed >= _CONNECTIONS, f"PostgreSQL takes {allowed} connections", remedy)


async def _delivery(conn: asyncpg.Connection, name: str, folder: Folder) -> AsyncIterator[Finding]:
    parked = await conn.fetchval("select count(*) from dead_letter where redriven_at is null")
    remedy = "mend the cause (the column `error` of dead_letter), then `plaudit redrive`"
    yield Finding(not parked, f"{name}: {parked} events are parked as dead letters", remedy)
    oldest = await conn.fetchval("select min(created_at) from outbox where published_at is null")
    late = oldest is not None and clock.present(folder) - oldest > _OUTBOX_LATE
    waiting = f"the oldest unpublished event is of {oldest:%Y-%m-%d %H:%M:%S}" if late else "all events are published"
    yield Finding(not late, f"{name}: {waiting}", "`plaudit logs nats` and the service's log say why")


async def _broker(folder: Folder) -> AsyncIterator[Finding]:
    try:
        facts = await nats.stream_facts(addresses_of(folder).nats_url, "EVENTS")
    except (OSError, TimeoutError, EOFError, ValueError) as error:
        yield Finding(False, f"NATS cannot be asked: {error!r}", "`plaudit logs nats` says why")  # noqa: FBT003
        return
    consumers = 2 * len(SERVICES)
    is_well = facts is not None and facts["consumers"] >= consumers
    yield Finding(is_well, f"the event stream has its {consumers} durables", "`plaudit up` makes them within seconds")
