"""The rows of a CSV or NDJSON file, plain or gzip, in constant memory; what is no row is refused with its line."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from .maps import FileSpec
from .problems import CannotRunError, RefusedError
from .sources import Row

MAX_LINE = 1024 * 1024
_GZIP = b"\x1f\x8b"
_ARCHIVES = {
    b"PK\x03\x04": "a zip archive or a spreadsheet",
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ": "compressed by xz",
}


@dataclass(frozen=True)
class BrokenRow:
    """What stands in a row's place and is none.

    Attributes:
        number: from 1, counted like rows.
        line: the line on which it starts.
        refused: why.
    """

    number: int
    line: int
    refused: RefusedError


@dataclass
class Opened:
    """An open file.

    Attributes:
        size: bytes on disk.
        header: the columns' names; None for NDJSON.
        rows: the rows, read once.
    """

    size: int
    header: tuple[str, ...] | None
    rows: Iterator[Row | BrokenRow]
    _raw: BinaryIO

    def position(self) -> int:
        """Return how many bytes of the file on disk have been read."""
        return self._raw.tell()


@contextmanager
def opened(path: Path, spec: FileSpec) -> Iterator[Opened]:
    """Open a file.

    Args:
        path: the file; gzip is told by its first bytes, whatever its name.
        spec: how it is written.

    Yields:
        The file, its header read.

    Raises:
        CannotRunError: it cannot be opened or read, is no text, or has no header.
    """
    with ExitStack() as stack:
        with _readable(path):
            raw = stack.enter_context(path.open("rb"))
            start = raw.peek(8)[:8]
            for magic, kind in _ARCHIVES.items():
                if start.startswith(magic):
                    message = f"{path} is {kind}: unpack it or save it as CSV first"
                    raise CannotRunError(message)
            packed = start.startswith(_GZIP)
            plain = stack.enter_context(cast("IO[bytes]", gzip.GzipFile(fileobj=raw) if packed else raw))
            text = stack.enter_context(_text(plain, spec))
            found = _opened(cast("BinaryIO", raw), text, path, spec)
        yield found


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        message = f"{path} is compressed and damaged, or ends early: {error}"
        raise CannotRunError(message) from None
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or error}"
        raise CannotRunError(message) from None


def _guarded(path: Path, rows: Iterator[Row | BrokenRow]) -> Iterator[Row | BrokenRow]:
    while True:
        with _readable(path):
            row = next(rows, None)
        if row is None:
            return
        yield row


def _text(plain: IO[bytes], spec: FileSpec) -> io.TextIOWrapper:
    # A byte that is not of the encoding costs its row, not the file: it comes through as a lone surrogate.
    return io.TextIOWrapper(plain, encoding=spec.encoding, errors="surrogateescape", newline="")


def _opened(raw: BinaryIO, text: io.TextIOWrapper, path: Path, spec: FileSpec) -> Opened:
    size = path.stat().st_size
    if spec.format == "ndjson":
        return Opened(size, None, _guarded(path, _ndjson(cast("IO[bytes]", text.buffer), spec)), raw)
    reader = csv.reader(_lines(text), delimiter=spec.delimiter, quotechar=spec.quote, strict=True)
    header = spec.columns or _header(reader, path)
    return Opened(size, header, _guarded(path, _csv(reader, header)), raw)


def _header(reader: Any, path: Path) -> tuple[str, ...]:
    try:
        cells = next(reader)
    except StopIteration:
        message = f"{path} is empty: a CSV file needs a first row with the columns' names"
        raise CannotRunError(message) from None
    except csv.Error as error:
        message = f"the first row of {path} does not read as CSV: {error}"
        raise CannotRunError(message) from None
    return tuple(cell.strip() for cell in cells)


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    number = 0
    try:
        while line := text.readline(MAX_LINE):
            number += 1
            if len(line) == MAX_LINE:
                message = (
                    f"line {number} is longer than {MAX_LINE} characters: is this the file that the map describes?"
                )
                raise CannotRunError(message)
            yield line
    except UnicodeError as error:
        message = (
            f"after line {number} the text is not {text.encoding}: file.encoding in the map says what it is ({error})"
        )
        raise CannotRunError(message) from None


def _csv(reader: Any, header: tuple[str, ...]) -> Iterator[Row | BrokenRow]:
    number = 0
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            number += 1
            reason = f"lines {line} to {reader.line_num} do not read as a CSV row: {error}"
            yield BrokenRow(number, line, RefusedError("NOT_CSV", reason))
            continue
        if not cells:
            continue
        number += 1
        yield _csv_row(number, line, cells, header)


def _csv_row(number: int, line: int, cells: list[str], header: tuple[str, ...]) -> Row | BrokenRow:
    if len(cells) != len(header):
        reason = f"the row has {len(cells)} cells, the header {len(header)}"
        return BrokenRow(number, line, RefusedError("WRONG_NUMBER_OF_CELLS", reason))
    for name, cell in zip(header, cells, strict=True):
        if not cell.isascii() and not _is_text(cell):
            reason = "a byte that is not of the declared encoding"
            return BrokenRow(number, line, RefusedError("NOT_IN_ENCODING", reason, column=name))
    return Row(number, line, dict(zip(header, cells, strict=True)))


def _is_text(cell: str) -> bool:
    try:
        cell.encode()
    except UnicodeEncodeError:
        return False
    return True


def _ndjson(plain: IO[bytes], spec: FileSpec) -> Iterator[Row | BrokenRow]:
    number = line = 0
    while text := plain.readline(MAX_LINE):
        line += 1
        whole = text.endswith(b"\n") or len(text) < MAX_LINE
        if not text.strip():
            continue
        number += 1
        if whole:
            yield _ndjson_row(number, line, text, spec.encoding if line == 1 else spec.encoding.removesuffix("-sig"))
            continue
        yield BrokenRow(number, line, RefusedError("LINE_TOO_LONG", f"the line is longer than {MAX_LINE} bytes"))
        while text and not text.endswith(b"\n"):
            text = plain.readline(MAX_LINE)


def _ndjson_row(number: int, line: int, text: bytes, encoding: str) -> Row | BrokenRow:
    try:
        found = json.loads(text.decode(encoding), parse_float=Decimal, parse_constant=_no_number)
    except UnicodeDecodeError:
        return BrokenRow(number, line, RefusedError("NOT_IN_ENCODING", "a byte that is not of the declared encoding"))
    except (ValueError, RecursionError):
        return BrokenRow(number, line, RefusedError("NOT_JSON", "the line is not JSON"))
    if not isinstance(found, dict):
        return BrokenRow(number, line, RefusedError("NOT_AN_OBJECT", "the line is JSON, but no object"))
    return Row(number, line, found)


def _no_number(text: str) -> object:
    message = f"{text} is no JSON number"
    raise ValueError(message)
