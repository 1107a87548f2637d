"""The one source of time: the machine's clock plus an offset that tests and local stacks may move."""

import mmap
import os
import secrets
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_state: dict[str, mmap.mmap] = {}


def use_file(path: Path | None) -> None:
    """Follow the offset in a file (eight bytes, little-endian, microseconds); every process that maps it moves at once."""
    if old := _state.pop("map", None):
        old.close()
    if path is None:
        return
    if not path.exists() or path.stat().st_size < 8:
        path.write_bytes(bytes(8))
    with path.open("r+b") as file:
        _state["map"] = mmap.mmap(file.fileno(), 8)


def offset() -> timedelta:
    """Return how far the clock is moved."""
    mapped = _state.get("map")
    return timedelta(microseconds=int.from_bytes(mapped[:8], "little", signed=True) if mapped else 0)


def now() -> datetime:
    """Return the present time, UTC, aware."""
    mapped = _state.get("map")
    moved = int.from_bytes(mapped[:8], "little", signed=True) if mapped else 0
    return _EPOCH + timedelta(microseconds=time.time_ns() // 1000 + moved)


class _Ids:
    """Sortable ids within one process: never goes back, even when the clock does."""

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> tuple[int, int]:
        """Return (milliseconds, 12-bit counter), strictly increasing."""
        stamp = max(int(now().timestamp() * 1000) << 12, self._last + 1)
        self._last = stamp
        return stamp >> 12, stamp & 0xFFF


_ids = _Ids()
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(prefix: str) -> str:
    """Make an id such as `case_01hq…`: the prefix, then 26 characters that sort by time.

    Args:
        prefix: the noun, without the underscore.

    Returns:
        Prefix, underscore, and 128 bits in Crockford's base 32: 48 bits of milliseconds, 12 of counter, 68 of chance.
    """
    millis, counter = _ids.next()
    value = (millis << 80) | (counter << 68) | secrets.randbits(68)
    return prefix + "_" + "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -5, -5))


def new_uuid() -> str:
    """Make a UUIDv7 (RFC 9562) as text: sorts by time within a process."""
    millis, counter = _ids.next()
    raw = (millis << 80) | (7 << 76) | (counter << 64) | (2 << 62) | int.from_bytes(os.urandom(8), "big") >> 2
    text = f"{raw:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
