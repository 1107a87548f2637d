"""The verbs that act on a running stack: down, logs, key, tenant create, replay, redrive."""

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from deploy.local import clock, tenants
from deploy.local.environment import Addresses, service_environment
from deploy.local.folder import (
    PROCESSES,
    SERVICES,
    Folder,
    Trouble,
    load_secrets,
    read_state,
    supervisor_pid,
    wait_released,
)
from deploy.local.output import say
from deploy.local.process import end_leftovers, started_at

_DOWN_SECONDS = 90.0
_EXIT_SECONDS = 10.0
_TAIL_LINES = 40
_FOLLOW_SECONDS = 0.2


def down(folder: Folder) -> int:
    """Stop the stack and wait for its end; also what a supervisor that was killed left running."""
    pid = supervisor_pid(folder)
    if pid is not None:
        began = started_at(pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        if not wait_released(folder, _DOWN_SECONDS):
            say(f"the supervisor (process {pid}) does not stop: killed")
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            wait_released(folder, _DOWN_SECONDS)
        # The lock is let go of a moment before the process is gone.
        deadline = time.monotonic() + _EXIT_SECONDS
        while began and started_at(pid) == began and time.monotonic() < deadline:
            time.sleep(0.01)
    found = end_leftovers(read_state(folder).get("processes", {}))
    say("stopped" if pid is not None or found else f"nothing is running on {folder.root}")
    return 0


def addresses_of(folder: Folder) -> Addresses:
    """Return where a running stack is reached.

    Raises:
        Trouble: nothing is running.
    """
    state = read_state(folder)
    if supervisor_pid(folder) is None or not state:
        message = f"nothing is running on {folder.root}: start it with `plaudit up`"
        raise Trouble(message)
    return Addresses(
        admin_dsn=state["postgres_at"],
        nats_url=state["nats_url"],
        ports=state["ports"],
        embedded_postgres=state["embedded"]["postgres"],
    )


def logs(folder: Folder, name: str | None, *, follow: bool) -> int:
    """Print the end of one log or of all, and with `follow` what comes, until Ctrl-C."""
    names = [name] if name else [*PROCESSES]
    paths = {one: folder.log(one) for one in names if folder.log(one).exists()}
    if not paths:
        message = f"there is no log of {name or 'anything'} in {folder.logs}"
        raise Trouble(message)
    with contextlib.ExitStack() as opened, contextlib.suppress(KeyboardInterrupt):
        width = max(map(len, paths))
        files = {}
        for one, path in paths.items():
            files[one] = opened.enter_context(path.open(encoding="utf-8", errors="replace"))
            for line in files[one].readlines()[-_TAIL_LINES:]:
                _say_line(one, line, width if not name else 0)
        while follow:
            if not _say_new(files, paths, width if not name else 0):
                time.sleep(_FOLLOW_SECONDS)
    return 0


def _say_new(files: Mapping[str, TextIO], paths: dict[str, Path], width: int) -> bool:
    came = False
    for one, file in files.items():
        if paths[one].stat().st_size < file.tell():  # emptied when it had grown too long
            file.seek(0)
        for line in file:
            came = True
            _say_line(one, line, width)
    return came


def _say_line(name: str, line: str, width: int) -> None:
    say(f"{name:<{width}} | {line.rstrip()}" if width else line.rstrip())


def show_key(folder: Folder, *, internal: bool) -> int:
    """Print the stack's API key, or the service credential of internal teams."""
    secrets = load_secrets(folder) if folder.secrets.exists() else {}
    found = secrets.get("credentials", {}).get("internal") if internal else secrets.get("api_key")
    if not found:
        message = f"there is no key in {folder.root} yet: `plaudit up` makes one"
        raise Trouble(message)
    say(str(found))
    return 0


def create_key(folder: Folder, name: str, *, scopes: str, tenant: str | None, as_json: bool) -> int:
    """Make a further API key and print it, once."""
    addresses, secrets = addresses_of(folder), load_secrets(folder)
    arguments = ["create-key", "--tenant", tenant or str(secrets["tenant_id"]), "--name", name, "--scopes", scopes]
    made = tenants.run_admin(folder, secrets, addresses, arguments)
    say(json.dumps(made) if as_json else made["api_key"])
    return 0


def create_tenant(folder: Folder, name: str, *, test: bool, as_json: bool) -> int:
    """Make a tenant with a first key of all scopes."""
    arguments = ["create-tenant", name, *(["--test"] if test else [])]
    made = tenants.run_admin(folder, load_secrets(folder), addresses_of(folder), arguments)
    say(json.dumps(made) if as_json else f"tenant   {made['tenant_id']}\nAPI key  {made['api_key']}")
    return 0


def replay(folder: Folder, since: str) -> int:
    """Let every service publish again what it recorded since a time: what has taken effect is dropped."""
    from libs.common import events  # noqa: PLC0415 - this verb alone needs the event library

    start = clock.moment(since)
    asyncio.run(events.request_replay(addresses_of(folder).nats_url, start))
    say(f"every service publishes again what it recorded since {start.isoformat()}")
    return 0


def redrive(folder: Folder, service: str | None) -> int:
    """Send parked items again, of one service or of all."""
    from deploy.local import deadletters  # noqa: PLC0415 - this verb alone needs the event library

    addresses, secrets = addresses_of(folder), load_secrets(folder)
    for name in [service] if service else SERVICES:
        env = service_environment(name, folder=folder, secrets=secrets, addresses=addresses)
        os.environ |= {key: env[key] for key in ("PGSSLMODE",) if key in env}
        sent = asyncio.run(deadletters.redrive(env["PUMP_DATABASE_URL"]))
        say(f"{name:<9} {sent} sent again")
    return 0
