"""Operating-system processes: started so that they never outlive their supervisor, and recognised again later."""

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
LOG_BYTES = 16_777_216
"""A log past this size is moved to `<name>.log.1`. Bytes."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How one process is started."""

    argv: list[str]
    env: Mapping[str, str]
    log: Path
    cwd: str = "/"
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    """What the process gets from the kernel when the supervisor is gone (Linux)."""
    user: Mapping[str, Any] = field(default_factory=dict)
    """`user`, `group` and `extra_groups`, where the process may not run as this user."""
    pass_fds: tuple[int, ...] = ()


async def spawn(launch: Launch) -> asyncio.subprocess.Process:
    """Start a process in a session of its own. Call it from the main thread: the death signal follows the thread."""
    rotate(launch.log)
    with _open_log(launch.log) as log:
        return await asyncio.create_subprocess_exec(
            *launch.argv,
            env=dict(launch.env),
            cwd=launch.cwd,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=launch.pass_fds,
            preexec_fn=_tie_to(os.getpid(), launch.death_signal),
            **launch.user,
        )


def _tie_to(parent: int, death_signal: signal.Signals) -> Callable[[], None]:
    """Return what runs in the child between fork and exec, after the change of user (which would undo it)."""

    def tie() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(death_signal))
            if os.getppid() != parent:
                os._exit(1)

    return tie


def _open_log(path: Path) -> Any:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def rotate(path: Path, limit_bytes: int = LOG_BYTES) -> None:
    """Keep a log small: copied to `.1` and emptied in place, since its process holds it open for appending."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > limit_bytes:
            older = path.with_name(path.name + ".1")
            older.touch(mode=0o600)
            shutil.copyfile(path, older)
            os.truncate(path, 0)


def started_at(pid: int) -> str:
    """Return when a process started, in the words of the system; with the pid it tells a process from its successor.

    Returns:
        Empty where there is no such process (or only its remains, not yet waited for).
    """
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] in "ZX" else fields[19]
    found = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return found.stdout.strip()


def signal_group(pid: int, signum: signal.Signals) -> None:
    """Signal a process and what it started (each process here leads a group); no error where they are gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signum)


def leftovers(recorded: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Return the recorded processes that still run, by name.

    Args:
        recorded: name to {"pid", "started"}, as the supervisor wrote them.
    """
    alive = {}
    for name, one in recorded.items():
        pid = one.get("pid")
        if pid and one.get("started") and started_at(pid) == one["started"]:
            alive[name] = int(pid)
    return alive


def end_leftovers(recorded: Mapping[str, Mapping[str, Any]], timeout_seconds: float = 10.0) -> list[str]:
    """Stop what an earlier supervisor left running: asked first, then killed.

    Returns:
        The names of what was found.
    """
    alive = leftovers(recorded)
    for name, pid in alive.items():
        asked = signal.SIGINT if name == "postgres" else signal.SIGTERM
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, asked)
    deadline = time.monotonic() + timeout_seconds
    while leftovers(recorded) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in leftovers(recorded).values():
        signal_group(pid, signal.SIGKILL)
    while leftovers(recorded) and time.monotonic() < deadline + timeout_seconds:
        time.sleep(0.05)
    return sorted(alive)
