"""Keeps processes running: starts them, asks for their health, starts again what dies, stops them in order."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from deploy.local.folder import Trouble
from deploy.local.process import Launch, rotate, signal_group, spawn, started_at

FIRST_DELAY_SECONDS = 0.1
LONGEST_DELAY_SECONDS = 5.0
STEADY_SECONDS = 30.0
"""Health for this long makes the next restart quick again."""
STARTING_PROBE_SECONDS = 0.05
HEALTHY_PROBE_SECONDS = 2.0
_MISSES = 3
_FUTILE_STARTS = 5
_WORTHWHILE_SECONDS = 5.0
"""Health for less than this does not count as having come up."""

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Program:
    """What is kept running."""

    name: str
    launch: Callable[[], Launch]
    """Asked again at every start, so that a change of settings is taken up."""
    probe: Callable[[int], Awaitable[bool]]
    """Tells for a process id whether that process is healthy."""
    grace_seconds: float = 15.0
    """How long it may take to stop before it is killed."""


class Child:
    """One program and its present process."""

    def __init__(self, program: Program, say: Say, changed: Callable[[], None]) -> None:
        self.program = program
        self.name = program.name
        self.state = "stopped"
        self.pid: int | None = None
        self.started = ""
        self.restarts = 0
        self.futile_starts = 0
        """Starts in a row that ended without, or soon after, health."""
        self.healthy = asyncio.Event()
        self._healthy_at = 0.0
        self._launch: Launch | None = None
        self._stopping = False
        self._say = say
        self._changed = changed

    async def keep_running(self) -> None:
        """Run the program again and again until `stop`."""
        delay = FIRST_DELAY_SECONDS
        while not self._stopping:
            began = time.monotonic()
            try:
                end = _ended(await self._run_once())
            except OSError as error:
                end = f"could not be started ({error})"
            if self._stopping:
                break
            healthy_seconds = time.monotonic() - self._healthy_at if self._healthy_at else 0.0
            self.futile_starts = 0 if healthy_seconds >= _WORTHWHILE_SECONDS else self.futile_starts + 1
            if healthy_seconds >= STEADY_SECONDS:
                delay = FIRST_DELAY_SECONDS
            self._set("restarting", pid=None)
            self._say(f"{self.name} {end} after {time.monotonic() - began:.1f} s; again in {delay:.1f} s")
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY_SECONDS)
            self.restarts += 1
        self._set("stopped", pid=None)

    async def _run_once(self) -> int:
        self._launch = self.program.launch()
        process = await spawn(self._launch)
        self._healthy_at = 0.0
        self.started = started_at(process.pid)
        self._set("starting", pid=process.pid)
        exited = asyncio.create_task(process.wait())
        try:
            await self._probe_until(exited, process.pid)
            code = await exited
        except asyncio.CancelledError:
            signal_group(process.pid, signal.SIGKILL)
            raise
        signal_group(process.pid, signal.SIGKILL)  # what it started itself must not go on without it
        return code

    async def _probe_until(self, exited: asyncio.Task[int], pid: int) -> None:
        misses = 0
        while not exited.done():
            probe = asyncio.ensure_future(self.program.probe(pid))
            await asyncio.wait({exited, probe}, return_when=asyncio.FIRST_COMPLETED)
            if not probe.done():
                probe.cancel()
                break
            misses = 0 if probe.result() else misses + 1
            if not misses and self.state != "healthy":
                self._healthy_at = self._healthy_at or time.monotonic()
                self._set("healthy", pid=pid)
            elif misses >= _MISSES and self.state == "healthy":
                self._set("unhealthy", pid=pid)
            pause = HEALTHY_PROBE_SECONDS if self.state == "healthy" else STARTING_PROBE_SECONDS
            await asyncio.wait({exited}, timeout=pause)

    async def stop(self, running: asyncio.Task[None]) -> None:
        """Ask the process to stop, wait for its grace, then kill it."""
        self._stopping = True
        if self.pid is None or self._launch is None:
            running.cancel()
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, self._launch.stop_signal)
            _, late = await asyncio.wait({running}, timeout=self.program.grace_seconds)
            if late and self.pid is not None:
                self._say(f"{self.name} did not stop within {self.program.grace_seconds:.0f} s: killed")
                signal_group(self.pid, signal.SIGKILL)
        with contextlib.suppress(asyncio.CancelledError):
            await running
        self._set("stopped", pid=None)

    def rotate_log(self) -> None:
        """Move the log aside when it has grown too long."""
        if self._launch is not None:
            rotate(self._launch.log)

    def _set(self, state: str, *, pid: int | None) -> None:
        self.state, self.pid = state, pid
        if state == "healthy":
            self.healthy.set()
        else:
            self.healthy.clear()
        self._changed()


class Supervisor:
    """All children of one stack, in the order in which they were started."""

    def __init__(self, say: Say, changed: Callable[[], None]) -> None:
        self.children: dict[str, Child] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._say = say
        self._changed = changed

    def start(self, program: Program) -> Child:
        """Begin to keep a program running."""
        child = Child(program, self._say, self._changed)
        self.children[program.name] = child
        self._tasks[program.name] = asyncio.create_task(child.keep_running(), name=program.name)
        return child

    async def wait_healthy(self, names: Iterable[str], timeout_seconds: float) -> None:
        """Wait until all the named are healthy at the same time.

        Raises:
            Trouble: one does not come up; it says which, and where its log is.
        """
        deadline = time.monotonic() + timeout_seconds
        waiting = [self.children[name] for name in names]
        while late := [child for child in waiting if not child.healthy.is_set()]:
            for child in late:
                if self._tasks[child.name].done():
                    self._tasks[child.name].result()
                if child.futile_starts >= _FUTILE_STARTS or time.monotonic() > deadline:
                    raise Trouble(_why_not(child))
            await _first([child.healthy.wait() for child in late], timeout_seconds=0.1)

    async def stop(self, names: Iterable[str]) -> None:
        """Stop the named at once, side by side."""
        known = [name for name in names if name in self.children]
        await asyncio.gather(*(self.children[name].stop(self._tasks[name]) for name in known))

    def kill(self) -> None:
        """Kill everything without asking."""
        for child in self.children.values():
            if child.pid is not None:
                signal_group(child.pid, signal.SIGKILL)


async def _first(awaited: list[Coroutine[Any, Any, Any]], *, timeout_seconds: float) -> None:
    tasks = [asyncio.ensure_future(one) for one in awaited]
    await asyncio.wait(tasks, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


def _ended(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"died of {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _why_not(child: Child) -> str:
    log = child.program.launch().log
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:] if log.exists() else []
    return "\n".join([f"{child.name} does not come up; the end of {log}:", *(f"  {line}" for line in lines)])
