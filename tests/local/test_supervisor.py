"""The supervisor by itself, over scripts of a line."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from deploy.local.folder import Trouble
from deploy.local.process import Launch, end_leftovers, rotate, spawn, started_at
from deploy.local.supervisor import Program, Supervisor

_SLEEP = "import time; time.sleep(60)"
_DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"

Make = Callable[..., Program]


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    made = Supervisor(lambda _: None, lambda: None)
    yield made
    await made.stop(list(made.children))


@pytest.fixture
def program(tmp_path: Path) -> Make:
    def make(script: str, *, name: str = "one", says: str = "", grace_seconds: float = 5.0) -> Program:
        log = tmp_path / f"{name}.log"
        launch = Launch(argv=[sys.executable, "-c", script], env={}, log=log)

        async def probe(_: int) -> bool:
            return says in log.read_text()

        return Program(name=name, launch=lambda: launch, probe=probe, grace_seconds=grace_seconds)

    return make


async def test_what_dies_is_started_again(supervisor: Supervisor, program: Make, eventually):
    child = supervisor.start(program("raise SystemExit(3)"))

    async def again() -> bool:
        return child.restarts >= 2

    await eventually(again)


async def test_what_never_comes_up_is_reported_with_the_end_of_its_log(supervisor: Supervisor, program: Make):
    supervisor.start(program("raise SystemExit('the reason')", says="never said"))
    with pytest.raises(Trouble, match="the reason"):
        await supervisor.wait_healthy(["one"], timeout_seconds=1)


async def test_what_does_not_stop_when_asked_is_killed(supervisor: Supervisor, program: Make):
    child = supervisor.start(program(_DEAF, says="deaf", grace_seconds=0.2))
    await supervisor.wait_healthy(["one"], timeout_seconds=10)
    pid = child.pid
    await supervisor.stop(["one"])
    assert pid is not None
    assert started_at(pid) == ""
    assert child.state == "stopped"


async def test_a_stop_while_waiting_to_start_again_ends_the_waiting(supervisor: Supervisor, program: Make, eventually):
    child = supervisor.start(program("raise SystemExit(3)"))

    async def is_waiting() -> bool:
        return child.state == "restarting"

    await eventually(is_waiting)
    await supervisor.stop(["one"])
    assert child.state == "stopped"


async def test_leftovers_are_ended_by_pid_and_start_alone(tmp_path: Path):
    launch = Launch(argv=[sys.executable, "-c", _SLEEP], env={}, log=tmp_path / "log")
    process = await spawn(launch)
    waited = asyncio.create_task(process.wait())
    recorded = {"one": {"pid": process.pid, "started": started_at(process.pid)}}
    assert end_leftovers({"one": {"pid": process.pid, "started": "another time"}}) == []
    assert end_leftovers(recorded) == ["one"]
    await waited


async def test_a_long_log_is_moved_aside(tmp_path: Path):
    log = tmp_path / "one.log"
    log.write_text("a line\n")
    rotate(log, limit_bytes=3)
    assert [log.read_text(), (tmp_path / "one.log.1").read_text()] == ["", "a line\n"]
