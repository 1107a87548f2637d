"""Which API an import talks to: what the operator said, else the environment, else the local stack's own state."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from deploy.local.folder import Folder, Trouble, default_root, supervisor_pid
from deploy.local.status import status_of

from .problems import CannotRunError


@dataclass(frozen=True)
class Connection:
    """An API and a key."""

    base_url: str
    api_key: str


def data_dir_of(named: str | None) -> Path:
    """Return the stack's data folder: named, from PLAUDIT_DATA_DIR, or the default."""
    chosen = named or os.environ.get("PLAUDIT_DATA_DIR")
    return Path(chosen) if chosen else default_root()


def connection_of(base_url: str | None, api_key: str | None, data_dir: str | None) -> Connection:
    """Find the API.

    Args:
        base_url: as given on the command line.
        api_key: as given on the command line.
        data_dir: of the local stack.

    Returns:
        What was given; what is missing comes from PLAUDIT_BASE_URL and PLAUDIT_API_KEY, then from the local stack.

    Raises:
        CannotRunError: there is none.
    """
    url = base_url or os.environ.get("PLAUDIT_BASE_URL")
    key = api_key or os.environ.get("PLAUDIT_API_KEY")
    if not (url and key):
        root = data_dir_of(data_dir)
        try:
            state = status_of(Folder(root))
        except Trouble as trouble:
            raise CannotRunError(str(trouble)) from None
        if not url and supervisor_pid(Folder(root)) is None:
            message = f"no stack runs in {root}: start one with `plaudit up`, or give --base-url and --api-key"
            raise CannotRunError(message)
        url, key = url or state["base_url"], key or state["api_key"]
        if not key:
            message = f"the stack in {root} has no key ready: give --api-key or PLAUDIT_API_KEY"
            raise CannotRunError(message)
    return Connection(str(url).rstrip("/").removesuffix("/v1"), str(key))
