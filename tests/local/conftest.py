"""A whole stack as an operator starts it: by the command, in processes of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.folder import REPOSITORY
from deploy.local.process import started_at


class Operator:
    """Types commands about one data folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def plaudit(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "deploy.local", *words, "--data-dir", str(self.root)],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )

    def status(self) -> dict[str, Any]:
        """Return what `plaudit status --json` prints."""
        found: dict[str, Any] = json.loads(self.plaudit("status", "--json").stdout)
        return found

    def supervisor(self) -> int:
        """Return the supervisor's process id."""
        return int((self.root / "lock").read_text())


def descendants(pid: int) -> set[int]:
    """Return the process and all that it started, directly or not."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def running(pids: set[int]) -> set[int]:
    """Return those of the processes that still run; what nobody has waited for yet does not count."""
    return {pid for pid in pids if started_at(pid)}


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """An operator whose stack runs in the background. The folder is one that other users may not enter."""
    found = Operator(tmp_path_factory.mktemp("stack"))
    started = found.plaudit("up", "--detach")
    assert started.returncode == 0, started.stderr
    yield found
    stopped = found.plaudit("down")
    assert stopped.returncode == 0, stopped.stderr


def kill(pid: int) -> None:
    """Kill a process as a crash does."""
    os.kill(pid, signal.SIGKILL)
