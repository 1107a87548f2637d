"""The one source of time: the machine's clock plus an offset that tests and local stacks may move."""

import mmap
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from google.protobuf.timestamp_pb2 import Timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_state: dict[str, mmap.mmap] = {}


def use_file(path: Path | None) -> None:
    """Follow the offset in a file (eight bytes, little-endian, microseconds): all that map it move at once."""
    if old := _state.pop("map", None):
        old.close()
    if path is None:
        return
    if not path.exists() or path.stat().st_size < 8:
        path.write_bytes(bytes(8))
    with path.open("r+b") as file:
        _state["map"] = mmap.mmap(file.fileno(), 8)


def now() -> datetime:
    """Return the present time, UTC, aware."""
    mapped = _state.get("map")
    moved = int.from_bytes(mapped[:8], "little", signed=True) if mapped else 0
    return _EPOCH + timedelta(microseconds=time.time_ns() // 1000 + moved)


def stamp(at: datetime) -> Timestamp:
    """Return an aware time as the message that RPCs and events carry, to the microsecond."""
    since = at - _EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1000)


def instant(at: Timestamp) -> datetime:
    """Return a message's time as an aware one, UTC, to the microsecond."""
    return _EPOCH + timedelta(seconds=at.seconds, microseconds=at.nanos // 1000)


class _Ids:
    """Sortable within one process: never goes back, even when the clock does. Unique by chance, not secret."""

    def __init__(self) -> None:
        self._last = 0
        self._random = random.Random(random.SystemRandom().getrandbits(256))  # noqa: S311

    def next(self, bits: int) -> tuple[int, int, int]:
        """Return (milliseconds, 12-bit counter, random bits); the first two never repeat and only grow."""
        self._last = max(int(now().timestamp() * 1000) << 12, self._last + 1)
        return self._last >> 12, self._last & 0xFFF, self._random.getrandbits(bits)


_ids = _Ids()
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


def new_id(prefix: str) -> str:
    """Make an id such as `case_01hq…`: the prefix, then 128 bits in Crockford's base 32 that sort by time.

    48 bits of milliseconds, 12 of counter, 68 of chance.
    """
    millis, counter, chance = _ids.next(68)
    value = (millis << 80) | (counter << 68) | chance
    return prefix + "_" + "".join([_PAIRS[(value >> shift) & 1023] for shift in range(120, -10, -10)])


def new_uuid() -> str:
    """Make a UUIDv7 (RFC 9562) as text: sorts by time within a process."""
    millis, counter, chance = _ids.next(62)
    text = f"{(millis << 80) | (7 << 76) | (counter << 64) | (2 << 62) | chance:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
