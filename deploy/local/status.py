"""`plaudit status`: what runs, where, and whether it is well."""

import json
from typing import Any
from urllib.parse import urlsplit

from deploy.local.folder import SERVICES, Folder, State, read_json, read_state, supervisor_pid
from deploy.local.output import say

NOT_RUNNING = 3


def status_of(folder: Folder) -> dict[str, Any]:
    """Return the facts in the shape that scripts rely on; of a stack that is down, what it had last."""
    running = supervisor_pid(folder) is not None
    state = read_state(folder)
    secrets = read_json(folder.secrets)
    embedded = state.get("embedded", {"postgres": True, "nats": True})
    return {
        "ready": running and bool(state.get("ready")),
        "base_url": state.get("base_url"),
        "api_key": secrets.get("api_key"),
        "tenant_id": secrets.get("tenant_id"),
        "data_dir": str(folder.root),
        "postgres": {
            "pid": _pid(state, "postgres", running=running),
            "port": _port(state.get("postgres_at")),
        },
        "nats": {
            "pid": _pid(state, "nats", running=running),
            "url": state.get("nats_url"),
            "store_dir": str(folder.nats) if embedded["nats"] else None,
        },
        "services": {name: _service(state, name, running=running) for name in SERVICES},
    }


def _pid(state: State, name: str, *, running: bool) -> int | None:
    found = state.get("processes", {}).get(name, {}).get("pid")
    return int(found) if running and found else None


def _port(address: str | None) -> int | None:
    return urlsplit(address).port or 5432 if address else None


def _service(state: State, name: str, *, running: bool) -> dict[str, Any]:
    port = state.get("ports", {}).get(name)
    return {
        "state": state.get("states", {}).get(name, "stopped") if running else "stopped",
        "pid": _pid(state, name, running=running),
        "grpc": f"127.0.0.1:{port}" if port and name != "gateway" else None,
        "restarts": state.get("restarts", {}).get(name, 0),
    }


def print_status(folder: Folder, *, as_json: bool) -> int:
    """Print the facts; exit code 3 for people's scripts where nothing runs, but 0 with JSON, which says it itself."""
    facts = status_of(folder)
    if as_json:
        say(json.dumps(facts, indent=1))
        return 0
    pid = supervisor_pid(folder)
    if pid is None:
        say(f"not running (data in {folder.root}); start it with `plaudit up`")
        return NOT_RUNNING
    say(f"{'ready' if facts['ready'] else 'not ready'}: {facts['base_url']} (supervisor {pid}, data in {folder.root})")
    states, restarts = read_state(folder).get("states", {}), read_state(folder).get("restarts", {})
    ports = read_state(folder).get("ports", {})
    for name, state in states.items():
        process = _pid(read_state(folder), name, running=True)
        again = f", {restarts[name]} restarts" if restarts.get(name) else ""
        say(f"  {name:<9} {state:<10} 127.0.0.1:{ports.get(name)}  process {process}{again}")
    return 0
