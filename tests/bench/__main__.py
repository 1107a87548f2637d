"""`make bench`: single and batch ingest beside a bare baseline, time to the score, memory; prints, never asserts.

A round is dirty when strangers took more than a tenth of the box, void when the load itself took more than a quarter;
both are decided before its result is read, and the JSON keeps all of them.
"""

import argparse
import asyncio
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from deploy.local.environment import role_dsn
from deploy.local.folder import SERVICES, Folder, load_secrets
from deploy.local.ports import Ports
from tests.bench import bare, box

DIRTY_SHARE = 0.10
VOID_SHARE = 0.25
PYTHON = sys.executable


class Bench:
    """One run: the stack, the baseline beside it on the same PostgreSQL, and the rounds."""

    def __init__(self, folder: Path, seconds: float, pairs: int) -> None:
        self.folder = folder
        self.seconds = seconds
        self.pairs = pairs
        self.rounds: list[dict[str, Any]] = []
        self.status: dict[str, Any] = {}
        self.bare: subprocess.Popen[bytes] | None = None
        self.bare_port = 0
        self.bare_dsn = ""

    async def start(self) -> None:
        """Start the product as an operator does, and the baseline with a database of its own."""
        subprocess.run([PYTHON, "-m", "deploy.local", "up", "--detach", "--data-dir", self.folder], check=True)  # noqa: ASYNC221
        shown = subprocess.run(  # noqa: ASYNC221
            [PYTHON, "-m", "deploy.local", "status", "--json", "--data-dir", self.folder],
            check=True,
            capture_output=True,
        )
        self.status = json.loads(shown.stdout)
        secret = load_secrets(Folder(self.folder))
        admin = f"postgresql://plaudit:{secret['postgres']}@127.0.0.1:{self.status['postgres']['port']}/postgres"
        conn = await asyncpg.connect(admin, ssl=False)
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            setting = await conn.fetchval("select setting from pg_settings where name = $1", name)
            if setting != "on":
                raise SystemExit(f"{name} is {setting}: this would measure nothing")
        await conn.execute("create database bare")
        await conn.close()
        self.bare_dsn = admin.replace("/postgres", "/bare")
        conn = await asyncpg.connect(self.bare_dsn, ssl=False)
        await conn.execute(bare.TABLE)
        await conn.close()
        self.bare_port = Ports().take()
        argv = [PYTHON, "-m", "tests.bench.bare", str(self.bare_port), self.bare_dsn]
        self.bare = subprocess.Popen(argv, env={**os.environ, "PGSSLMODE": "disable"})  # noqa: ASYNC220
        async with httpx.AsyncClient() as client:
            for _ in range(200):
                with suppress(httpx.TransportError):
                    await client.get(f"http://127.0.0.1:{self.bare_port}/ready")
                    return
                await asyncio.sleep(0.05)

    def stop(self) -> None:
        """End what was started."""
        if self.bare:
            self.bare.terminate()
            self.bare.wait(10)
        subprocess.run([PYTHON, "-m", "deploy.local", "down", "--data-dir", self.folder], check=False)

    async def drained(self) -> None:
        """Wait until all that was accepted has reached everyone, so that no round pays for the one before."""
        secret = load_secrets(Folder(self.folder))
        admin = f"postgresql://x:y@127.0.0.1:{self.status['postgres']['port']}/postgres"
        for name in SERVICES:
            dsn = role_dsn(admin, service=name, role="pump", password=secret["roles"][name]["pump"])
            conn = await asyncpg.connect(dsn, ssl=False)
            while await conn.fetchval("select exists (select from outbox where published_at is null)"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            await conn.close()
        quiet = 0
        pids = box.tree(int(s["pid"]) for s in self.status["services"].values())
        deadline = time.monotonic() + 60
        while quiet < 3 and time.monotonic() < deadline:
            before = sum(box.spent_seconds(pids).values())
            await asyncio.sleep(0.2)
            quiet = quiet + 1 if sum(box.spent_seconds(pids).values()) - before < 0.04 else 0

    async def round(self, name: str, plan: dict[str, Any]) -> dict[str, Any]:
        """Run one plan in the load process; return its figures with what it and strangers took of the box."""
        await self.drained()
        assert self.bare
        ours = box.tree([os.getpid(), self.bare.pid, *self._pids()])
        spent, box_before, began = box.spent_seconds(ours), box.busy_seconds(), time.monotonic()
        load = await asyncio.create_subprocess_exec(
            PYTHON, "-m", "tests.bench.load", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await load.communicate(json.dumps(plan).encode())
        result: dict[str, Any] = json.loads(out)
        wall = time.monotonic() - began
        capacity = wall * (os.cpu_count() or 1)
        by_pid = {pid: now - spent.get(pid, 0.0) for pid, now in box.spent_seconds(ours).items()}
        own = sum(by_pid.values())
        foreign = max(0.0, box.busy_seconds() - box_before - own)
        result |= {
            "name": name,
            "foreign_share": foreign / capacity,
            "cpu_seconds": self._by_name(by_pid),
            "load_share": result["load_cpu_seconds"] / capacity,
            "dirty": foreign / capacity > DIRTY_SHARE,
            "void": result["load_cpu_seconds"] / capacity > VOID_SHARE,
        }
        self.rounds.append(result)
        return result

    def _pids(self) -> list[int]:
        found = [int(service["pid"]) for service in self.status["services"].values()]
        return [*found, int(self.status["postgres"]["pid"]), int(self.status["nats"]["pid"])]

    def _by_name(self, by_pid: dict[int, float]) -> dict[str, float]:
        """Return what each part of the product spent."""
        parts = {name: int(service["pid"]) for name, service in self.status["services"].items()}
        parts |= {name: int(self.status[name]["pid"]) for name in ("postgres", "nats")}
        return {name: round(sum(by_pid.get(one, 0.0) for one in box.tree([pid])), 2) for name, pid in parts.items()}

    @staticmethod
    def _each(result: dict[str, Any], size: int) -> str:
        items = max(1, result["requests"] * size)
        parts = ", ".join(f"{name} {spent / items * 1e6:.0f}" for name, spent in result["cpu_seconds"].items())
        return f"processor time an item, µs: {parts}"

    def plan(self, **more: Any) -> dict[str, Any]:
        """Return a plan against the product."""
        return {
            "port": int(self.status["base_url"].rpartition(":")[2]),
            "path": "/v1/activities",
            "key": self.status["api_key"],
            "customers": 5000,
            "prefix": secrets.token_hex(4),
            "seconds": self.seconds,
            "connections": 32,
            **more,
        }

    def bare_plan(self, **more: Any) -> dict[str, Any]:
        """Return a plan against the baseline."""
        return self.plan(**({"port": self.bare_port, "path": "/bare", "key": ""} | more))

    async def pair(self, name: str, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
        """Measure both, interleaved, and print the ratio of each clean pair and their median."""
        ratios, tails = [], []
        for number in range(self.pairs):
            plaudit = await self.round(f"{name}/plaudit", {**ours, "prefix": secrets.token_hex(4)})
            base = await self.round(f"{name}/bare", {**theirs, "prefix": secrets.token_hex(4)})
            dirty = plaudit["dirty"] or base["dirty"] or plaudit["void"] or base["void"]
            ratio = plaudit["per_second"] / base["per_second"]
            say(
                f"  {name} {number + 1}: {plaudit['per_second']:,.0f}/s (p50 {plaudit['p50_ms']:.1f} p99 "
                f"{plaudit['p99_ms']:.1f} ms) against {base['per_second']:,.0f}/s (p99 {base['p99_ms']:.1f} ms): "
                f"{ratio:.2f}{' dirty' if dirty else ''}"
            )
            say(f"    {self._each(plaudit, 1)}")
            if not dirty:
                ratios.append(ratio)
                tails.append(plaudit["p99_ms"])
        if ratios:
            middle, tail = statistics.median(ratios), statistics.median(tails)
            say(f"{name}: ratio {middle:.2f}, p99 {tail:.1f} ms, {len(ratios)} clean")
        else:
            say(f"{name}: not idle, no verdict")

    async def unnest(self) -> None:
        """Batches of 500 through the product against raw asyncpg `unnest` of 500, four at a time both."""
        ratios = []
        for number in range(self.pairs):
            plan = self.plan(path="/v1/activities/batch", batch=500, connections=4)
            plaudit = await self.round("batch/plaudit", plan)
            await self.drained()
            raw = await raw_unnest(self.bare_dsn, self.seconds)
            ratios.append(plaudit["per_second"] / raw)
            say(f"  batch {number + 1}: {plaudit['per_second']:,.0f} items/s against {raw:,.0f}: {ratios[-1]:.2f}")
            say(f"    {self._each(plaudit, 500)}")
        say(f"batches of 500: ratio {statistics.median(ratios):.2f}")

    async def visible(self, rate: int) -> None:
        """Print how long after its answer an event shows in the score, at a steady rate."""
        result = await self.round(f"visible/{rate}", self.plan(rate=rate, samples=100, seconds=max(5.0, self.seconds)))
        say(
            f"visible at {rate}/s: p50 {result['visible_p50_ms']:.1f} ms, p99 {result['visible_p99_ms']:.1f} ms "
            f"({result['samples']} samples{', dirty' if result['dirty'] else ''})"
        )

    def memory(self) -> None:
        """Print the resident memory of each process."""
        for name, service in self.status["services"].items():
            say(f"memory {name}: {box.resident_mib(int(service['pid'])):.0f} MiB")


async def raw_unnest(dsn: str, seconds: float) -> float:
    """Return rows a second of bare `insert … select from unnest` of 500 by four connections of one process."""
    end = time.perf_counter() + seconds
    at = datetime.now(UTC) - timedelta(days=1)

    async def one() -> int:
        conn = await asyncpg.connect(dsn, ssl=False)
        rows = 0
        while time.perf_counter() < end:
            prefix = secrets.token_hex(6)
            ids = [f"{prefix}-{n}" for n in range(500)]
            customers = [f"c-{n}" for n in range(500)]
            await conn.execute(
                bare.UNNEST, ids, customers, ["purchase.completed"] * 500, [at] * 500, ["web"] * 500, [12.5] * 500
            )
            rows += 500
        await conn.close()
        return rows

    began = time.perf_counter()
    counts = await asyncio.gather(*(one() for _ in range(4)))
    return sum(counts) / (time.perf_counter() - began)


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


async def main() -> None:
    """Run what the command line asks for: all by default."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one round")
    parser.add_argument("--pairs", type=int, default=5, help="interleaved pairs")
    parser.add_argument("--only", choices=["single", "batch", "visible", "memory"], help="one part alone")
    parser.add_argument("--json", type=Path, help="where to write every round, the dirty ones too")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="plaudit-bench-", ignore_cleanup_errors=True) as folder:
        bench = Bench(Path(folder) / "data", args.seconds, args.pairs)
        try:
            await bench.start()
            wanted = {args.only} if args.only else {"single", "batch", "visible", "memory"}
            await bench.round("warm-up", bench.plan(seconds=2.0))
            if "single" in wanted:
                echo = await bench.round("echo", bench.bare_plan(path="/echo"))
                base = await bench.round("bare", bench.bare_plan())
                share = base["per_second"] / echo["per_second"]
                say(f"echo {echo['per_second']:,.0f}/s; bare reaches {share:.2f} of it (below 0.50 the run is void)")
                for connections in (32, 64):
                    ours, theirs = bench.plan(connections=connections), bench.bare_plan(connections=connections)
                    await bench.pair(f"single at {connections}", ours, theirs)
            if "batch" in wanted:
                await bench.unnest()
            if "visible" in wanted:
                for rate in (500, 2000):
                    await bench.visible(rate)
            bench.memory()
        finally:
            bench.stop()
            if args.json:
                args.json.write_text(json.dumps(bench.rounds, indent=1), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
