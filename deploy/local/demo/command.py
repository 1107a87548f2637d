"""`plaudit demo`: starts the stack, imports a year of a simulated company, prints the report, stays until Ctrl-C."""

from __future__ import annotations

import csv
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from rich.console import Console

from deploy.local import clock, operations, tenants, up
from deploy.local.folder import Folder, Trouble, load_secrets, read_json, read_state, supervisor_pid, write_private
from deploy.local.importer.command import Order, carried_out
from deploy.local.importer.problems import CannotRunError
from deploy.local.output import say

from .api import Api, Json, eventually
from .cases import worked_off
from .company import Record, simulated
from .report import report

SEED = 17
TENANT = "Simulated field service"
_MAPS = Path(__file__).parent / "maps"
_EXPORTS = ("customers", "activities", "responses")


def run(folder: Folder, *, leave: bool = False) -> int:
    """Show what Plaudit does with an export.

    Args:
        folder: of the stack; one that runs is used, and left running at the end.
        leave: end after the report.

    Returns:
        The exit code.

    Raises:
        Trouble: the stack does not come up, or refuses something.
    """
    with _stack(folder) as is_ours:
        now = clock.present(folder)
        base_url = str(read_state(folder)["base_url"])
        key = _tenant_key(folder, now)
        exports = _exported(folder.root / "demo", _start_of(now))
        rows = {name: _import(exports / f"{name}.csv", name, base_url, key) for name in _EXPORTS}
        with Api(base_url, key) as api:
            if worked_on := worked_off(api, SEED, now):
                say(f"  {worked_on} of the cases that the answers opened were worked on, as such a company does")
            names, scores = _scored(api, rows["activities"] + rows["responses"])
            console = Console()
            console.print()
            for line in report(api, clock.present(folder), names, scores):
                style = None if line.lstrip("\n").startswith(" ") else "bold"
                console.print(line, style=style, markup=False, emoji=False, highlight=False, soft_wrap=True)
        _say_what_next(folder, base_url, key, exports, stops=leave and is_ours)
        if not leave:
            say("Ctrl-C ends the demo" + (" and the stack.\n" if is_ours else "; the stack goes on.\n"))
            with suppress(KeyboardInterrupt):
                signal.pause()
    return 0


def _say_what_next(folder: Folder, base_url: str, key: str, exports: Path, *, stops: bool) -> None:
    say("\nWhere to go from here:\n")
    if stops:
        say("  The stack stops now. The same data, at the same address, with the same key:")
        say(f"    {_command()} up --data-dir {folder.root}")
    say(f"    export BASE_URL={base_url}")
    say(f"    export KEY={key}")
    for path in ("/v1/kpis/nps?by=moment&interval=month", "/v1/cases?overdue=true", "/v1/customers/sim-1/score"):
        say(f'    curl -H "Authorization: Bearer $KEY" "$BASE_URL{path}"')
    say(f"  API        {base_url}/docs")
    say(f"  Exports    {exports}")
    say(f"  Maps       {_MAPS}\n")


def _command() -> str:
    """Return how to call this command from the present folder."""
    called = Path(sys.argv[0])
    return min(str(called), os.path.relpath(called), key=len) if called.name == "plaudit" else "plaudit"


@contextmanager
def _stack(folder: Folder) -> Iterator[bool]:
    """Yield whether the stack was started for the demo, and is stopped at its end."""
    if supervisor_pid(folder) is not None:
        say(f"\n  the stack of {folder.root} runs already")
        yield False
        return
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.default_int_handler)
    say(f"\n  starting PostgreSQL, NATS and five services on {folder.root}")
    up.detach(folder, summary=False)
    try:
        yield True
    finally:
        operations.down(folder)


def _tenant_key(folder: Folder, now: datetime) -> str:
    """Return the key of the demo's own tenant; a new one each day, because the simulated year ends today."""
    kept = folder.root / "demo.json"
    found = read_json(kept)
    day = _start_of(now).isoformat()
    if found.get("day") != day:
        made = tenants.run_admin(
            folder, load_secrets(folder), operations.addresses_of(folder), ["create-tenant", TENANT]
        )
        found = {"day": day, **made}
        write_private(kept, json.dumps(found))
    return str(found["api_key"])


def _start_of(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def _exported(directory: Path, end: datetime) -> Path:
    company = simulated(SEED, end)
    directory.mkdir(mode=0o700, exist_ok=True)
    for name in _EXPORTS:
        _write(directory / f"{name}.csv", getattr(company, name))
    return directory


def _write(path: Path, records: Sequence[Record]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(records[0]))
        writer.writeheader()
        writer.writerows(records)


def _import(path: Path, name: str, base_url: str, key: str) -> int:
    rejects = path.with_suffix(".rejects.ndjson")
    order = Order(
        file=path, map_file=_MAPS / f"{name}.toml", rejects=rejects, base_url=base_url, api_key=key, history=True
    )
    try:
        counts = carried_out(order).counts
    except CannotRunError as error:
        raise Trouble(str(error)) from None
    if counts.rejected:
        message = f"{counts.rejected} rows of {path.name} were refused: see {rejects}"
        raise Trouble(message)
    again = counts.duplicates + counts.unchanged
    say(
        f"  {path.name:<15} {counts.rows:>6,} rows: {counts.stored:,} stored"
        + (f", {again:,} there already" if again else "")
    )
    return counts.rows


def _scored(api: Api, num_facts: int) -> tuple[dict[str, str], list[Json]]:
    """Return the customers' names by id and their scores, once every imported fact shows in some score's evidence."""
    customers = list(api.all("/v1/customers"))
    names = {str(customer["customer_id"]): str(customer["name"] or "unnamed") for customer in customers}

    def score_of(customer_id: str) -> Json:
        return {**api.get(f"/v1/customers/{customer_id}/score"), "customer_id": customer_id}

    def are_whole(scores: list[Json]) -> bool:
        return sum(item["source"] is not None for score in scores for item in score["evidence"]) >= num_facts

    return names, eventually(lambda: api.each(score_of, names), are_whole, what="the scores of all that was imported")
