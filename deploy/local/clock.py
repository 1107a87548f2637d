"""`plaudit clock`: moves the time of a whole local stack, at once, running or not."""

import os
import re
import time
from datetime import UTC, datetime, timedelta

from deploy.local.folder import Folder, Trouble

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_PART = re.compile(r"(\d+(?:\.\d+)?)([wdhms])")
_BYTES = 8
_MICROSECOND = timedelta(microseconds=1)


def read_offset(folder: Folder) -> timedelta:
    """Return how far the stack's clock is ahead of the machine's."""
    try:
        held = folder.clock.read_bytes()[:_BYTES]
    except FileNotFoundError:
        return timedelta(0)
    return timedelta(microseconds=int.from_bytes(held, "little", signed=True))


def write_offset(folder: Folder, offset: timedelta) -> None:
    """Move the clock. The eight bytes are written in place, since every process has the file mapped."""
    folder.create()
    descriptor = os.open(folder.clock, os.O_WRONLY)
    try:
        os.pwrite(descriptor, (offset // _MICROSECOND).to_bytes(_BYTES, "little", signed=True), 0)
    finally:
        os.close(descriptor)


def present(folder: Folder) -> datetime:
    """Return the time as the stack sees it."""
    return _real() + read_offset(folder)


def advance(folder: Folder, text: str) -> datetime:
    """Move the clock on by a span such as `3d`, `36h` or `1w2d12h`."""
    write_offset(folder, read_offset(folder) + span(text))
    return present(folder)


def set_to(folder: Folder, text: str) -> datetime:
    """Set the clock to a time with an offset (`2026-12-01T00:00:00Z`), or back to the machine's with `real`."""
    offset = timedelta(0) if text == "real" else moment(text) - _real()
    write_offset(folder, offset)
    return present(folder)


def span(text: str) -> timedelta:
    """Read a span of weeks, days, hours, minutes and seconds."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        message = f"{text!r} is no span: write 90s, 15m, 36h, 3d, 2w, or several as 1d12h"
        raise Trouble(message)
    return sum((timedelta(**{_UNITS[unit]: float(number)}) for number, unit in parts), timedelta(0))


def moment(text: str) -> datetime:
    """Read a time of RFC 3339; a date alone is midnight UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{text!r} is no time: write 2026-12-01T00:00:00Z"
        raise Trouble(message) from error
    if found.tzinfo is None:
        if len(text) > len("2026-12-01"):
            message = f"{text!r} has no offset: write {text}Z for UTC"
            raise Trouble(message)
        found = found.replace(tzinfo=UTC)
    return found.astimezone(UTC)


def _real() -> datetime:
    return _EPOCH + timedelta(microseconds=time.time_ns() // 1000)
