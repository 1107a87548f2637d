"""A stack's data folder: where everything lies, the lock, the secrets, and the state that `plaudit status` reads."""

import fcntl
import json
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SERVICES = ("profile", "feedback", "referral", "scoring", "gateway")
PROCESSES = ("postgres", "nats", *SERVICES)
_TRIES = 6
REPOSITORY = Path(__file__).resolve().parents[2]

State = dict[str, Any]
Secrets = dict[str, Any]


class Trouble(Exception):
    """What the operator can put right: printed as one sentence, exit code 1."""


class Folder:
    """The paths of one stack. Nothing is made before `create`."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        self.postgres = self.root / "postgres"
        self.nats = self.root / "nats"
        self.logs = self.root / "logs"
        self.clock = self.root / "clock"
        self.lock = self.root / "lock"
        self.state = self.root / "state.json"
        self.secrets = self.root / "secrets.json"

    def create(self) -> None:
        """Make what is missing, readable by this user alone; a folder that exists keeps its owner and its mode."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.logs.mkdir(mode=0o700, exist_ok=True)
            if not self.clock.exists() or self.clock.stat().st_size < 8:
                self.clock.write_bytes(bytes(8))
        except OSError as error:
            message = f"cannot write to {self.root}: {error.strerror}; choose another folder with --data-dir"
            raise Trouble(message) from error

    def log(self, name: str) -> Path:
        """Return where a process writes what it has to say."""
        return self.logs / f"{name}.log"

    def overlay(self, name: str) -> Path:
        """Return the optional file with more environment (`NAME=value` lines) for one service."""
        return self.root / f"{name}.env"


def default_root() -> Path:
    """Return the folder used where none is named: `.plaudit` in the repository."""
    return REPOSITORY / ".plaudit"


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step; only this user reads it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """Return a file's object; empty where there is no such file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        message = f"{path} cannot be read ({error}); put it right or restore it from a backup"
        raise Trouble(message) from error
    if not isinstance(found, dict):
        message = f"{path} holds no JSON object; restore it from a backup"
        raise Trouble(message)
    return found


def read_state(folder: Folder) -> State:
    """Return what the supervisor wrote last."""
    return read_json(folder.state)


def write_state(folder: Folder, state: State) -> None:
    """Publish the state to the other verbs of the command. It can be lost without harm, so it is not synced."""
    beside = folder.state.with_name(".state.json")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(state, file, indent=1)
    beside.replace(folder.state)


def load_secrets(folder: Folder) -> Secrets:
    """Return the stack's secrets, made at its first start and never changed."""
    held = read_json(folder.secrets)
    made = {
        "id": lambda: secrets.token_hex(6),
        "postgres": lambda: secrets.token_urlsafe(24),
        "nats": lambda: secrets.token_urlsafe(24),
        "roles": lambda: {name: _role_passwords() for name in SERVICES},
        "credentials": lambda: {name: secrets.token_urlsafe(24) for name in ("gateway", "internal")},
        "fingerprint_key": lambda: secrets.token_urlsafe(32),
        "key_pepper": lambda: secrets.token_urlsafe(32),
    }
    missing: dict[str, Callable[[], Any]] = {name: make for name, make in made.items() if name not in held}
    if missing:
        held |= {name: make() for name, make in missing.items()}
        save_secrets(folder, held)
    return held


def save_secrets(folder: Folder, held: Secrets) -> None:
    """Keep the secrets, readable by this user alone."""
    write_private(folder.secrets, json.dumps(held, indent=1))


def _role_passwords() -> dict[str, str]:
    return {role: secrets.token_urlsafe(24) for role in ("owner", "app", "pump")}


class Lock:
    """Held for as long as a supervisor lives: the kernel lets go of it with the process, however that ends."""

    def __init__(self, folder: Folder) -> None:
        self._path = folder.lock
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Take the lock and write this process's id into it; False where another process has it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        for attempt in range(_TRIES):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:  # `status` tries the lock for a moment too, so that one refusal says little
                if attempt == _TRIES - 1:
                    os.close(descriptor)
                    return False
                time.sleep(0.05)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let go of the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def supervisor_pid(folder: Folder) -> int | None:
    """Return the process id of the supervisor that holds the folder, or None."""
    try:
        descriptor = os.open(folder.lock, os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(descriptor, 32, 0).decode().strip()
        return int(text) if text.isdigit() else None
    else:
        return None
    finally:
        os.close(descriptor)


def wait_released(folder: Folder, timeout_seconds: float) -> bool:
    """Wait until no supervisor holds the folder; False where one still does at the end."""
    deadline = time.monotonic() + timeout_seconds
    while supervisor_pid(folder) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
