"""Lock, ports and clock of a data folder."""

import asyncio
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.local import clock
from deploy.local.folder import Folder, Lock, Trouble, load_secrets, supervisor_pid
from deploy.local.ports import Ports
from deploy.local.stack import Stack


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path / "data")
    made.create()
    return made


def test_a_folder_has_one_supervisor(folder: Folder):
    first = Lock(folder)
    assert first.take()
    assert not Lock(folder).take()
    first.release()
    assert supervisor_pid(folder) is None


def test_secrets_are_made_once(folder: Folder):
    assert load_secrets(folder) == load_secrets(folder)


def test_an_existing_folder_keeps_its_mode(tmp_path: Path):
    tmp_path.chmod(0o755)
    Folder(tmp_path).create()
    assert tmp_path.stat().st_mode & 0o777 == 0o755


@pytest.fixture
def ports() -> Iterator[list[Ports]]:
    made = [Ports(), Ports()]
    yield made
    made[0].close()
    made[1].close()


def test_two_stacks_never_take_one_port(ports: list[Ports]):
    port = ports[0].take()
    assert ports[1].take(port) != port


def test_a_port_given_back_is_had_again(ports: list[Ports]):
    port = ports[0].take()
    ports[0].give_back(port)
    assert ports[1].take(port) == port


def test_a_port_in_use_is_not_taken(ports: list[Ports]):
    port = ports[0].take()
    ports[0].give_back(port)
    with socket.create_server(("127.0.0.1", port)):
        assert ports[1].take(port) != port


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("36h", 129_600), ("3d", 259_200), ("2w", 1_209_600), ("1d12h", 129_600)],
)
def test_spans(text: str, seconds: int):
    assert clock.span(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "3", "d", "3 d", "3x", "-3d", "d3"])
def test_other_spans_are_refused(text: str):
    with pytest.raises(Trouble):
        clock.span(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-12-01", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026-12-01T00:00:00Z", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026-12-01T02:00:00+02:00", datetime(2026, 12, 1, tzinfo=UTC)),
    ],
)
def test_moments(text: str, expected: datetime):
    assert clock.moment(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "2026-12-01T00:00:00", "2026-13-01"])
def test_other_moments_are_refused(text: str):
    with pytest.raises(Trouble):
        clock.moment(text)


def test_the_clock_is_set_advanced_and_put_back(folder: Folder):
    start = clock.set_to(folder, "2026-12-01T00:00:00Z")
    assert abs(start - datetime(2026, 12, 1, tzinfo=UTC)) < timedelta(seconds=5)
    assert abs(clock.advance(folder, "3d") - datetime(2026, 12, 4, tzinfo=UTC)) < timedelta(seconds=5)
    clock.set_to(folder, "real")
    assert clock.read_offset(folder) == timedelta(0)


def test_a_state_that_cannot_be_written_ends_nothing(folder: Folder):
    stack = Stack(folder, lambda _: None)
    try:
        folder.root.joinpath(".state.json").mkdir()
        stack.publish()
        assert not folder.state.exists()
    finally:
        asyncio.run(stack.stop())
