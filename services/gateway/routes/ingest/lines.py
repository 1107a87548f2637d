"""Bytes of any chunking to lines of NDJSON, in constant memory."""

from collections.abc import Iterator

MAX_LINE_BYTES = 32 * 1024
_BLANK = b" \t\r"


class Lines:
    """Cuts a stream into lines. A line that is too long comes out as None, and is never held."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._too_long = False

    def feed(self, chunk: bytes) -> Iterator[bytes | None]:
        """Take the next bytes; yield every line that they complete, but blank ones."""
        *ended, open_end = chunk.split(b"\n")
        for part in ended:
            yield from self._ended(part)
        self._hold(open_end)

    def end(self) -> Iterator[bytes | None]:
        """Yield the last line, which needs no newline."""
        yield from self._ended(b"")

    def _ended(self, part: bytes) -> Iterator[bytes | None]:
        self._hold(part)
        line, too_long = bytes(self._held).strip(_BLANK), self._too_long
        self._held.clear()
        self._too_long = False
        if too_long:
            yield None
        elif line:
            yield line

    def _hold(self, part: bytes) -> None:
        if self._too_long or len(self._held) + len(part) > MAX_LINE_BYTES + len(_BLANK):
            self._too_long = True
            self._held.clear()
        else:
            self._held += part
