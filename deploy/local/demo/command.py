"""`plaudit demo`: starts the stack, imports a year of a simulated company, prints the report, stays until Ctrl-C."""

from __future__ import annotations

import csv
import json
import signal
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

from .api import Api, wait_until
from .cases import worked_off
from .company import Record, simulated
from .report import printed

SEED = 17
TENANT = "Simulated field service"
_MAPS = Path(__file__).parent / "maps"
_NUM_SAMPLED = 10


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
    with _stack(folder):
        now = clock.present(folder)
        base_url = str(read_state(folder)["base_url"])
        key = _tenant_key(folder, now)
        directory = folder.root / "demo"
        exports = _exported(directory, _start_of(now))
        for name in ("customers", "activities", "responses"):
            _import(exports / f"{name}.csv", name, base_url, key)
        with Api(base_url, key) as api:
            closed = worked_off(api, SEED, now)
            if closed:
                say(f"  {closed} cases were worked off as such a company would have done")
            _wait_for_scores(api)
            printed(api, clock.present(folder), Console())
        say(f"\n  Base URL   {base_url}\n  API key    {key}   (of the tenant {TENANT!r})\n  Docs       {base_url}/docs")
        say(f"  The exports and the maps that read them: {exports}, {_MAPS}\n")
        if not leave:
            say("Ctrl-C ends the demo.")
            with suppress(KeyboardInterrupt):
                signal.pause()
    return 0


@contextmanager
def _stack(folder: Folder) -> Iterator[None]:
    if supervisor_pid(folder) is not None:
        yield
        return
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.default_int_handler)
    up.detach(folder)
    try:
        yield
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
    _write(directory / "customers.csv", company.customers)
    _write(directory / "activities.csv", company.activities)
    _write(directory / "responses.csv", company.responses)
    return directory


def _write(path: Path, records: Sequence[Record]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(records[0]))
        writer.writeheader()
        writer.writerows(records)


def _import(path: Path, name: str, base_url: str, key: str) -> None:
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


def _wait_for_scores(api: Api) -> None:
    answers = list(api.get("/v1/responses", limit=_NUM_SAMPLED)["data"])

    def are_seen() -> bool:
        return all(_is_seen(api, str(answer["customer_id"]), str(answer["response_id"])) for answer in answers)

    wait_until(are_seen, what="the scores")


def _is_seen(api: Api, customer_id: str, response_id: str) -> bool:
    evidence = api.get(f"/v1/customers/{customer_id}/score")["evidence"]
    return any((item["source"] or {}).get("id") == response_id for item in evidence)
