"""Where a value comes from: a column, a template, a hash of columns, the row's number."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from .problems import MapError

Column = str | tuple[str, ...]
_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]+)\}|[{}]")


@dataclass(frozen=True)
class Row:
    """One row of the file.

    Attributes:
        number: from 1, without the header.
        line: the line of the file on which it starts, from 1.
        cells: column name to cell; from CSV text, from JSON any value.
    """

    number: int
    line: int
    cells: Mapping[str, Any]

    def cell(self, column: Column) -> Any:
        """Return a cell; a tuple of names reaches into JSON objects; None where there is none."""
        if isinstance(column, str):
            return self.cells.get(column)
        found: Any = self.cells
        for name in column:
            found = found.get(name) if isinstance(found, Mapping) else None
        return found


class Blanks:
    """What counts as no value."""

    def __init__(self, texts: Sequence[str], *, trim: bool) -> None:
        """Take the texts that count as blank, and whether white space around a cell is dropped."""
        self._texts = frozenset(texts)
        self._trim = trim

    def clear(self, value: Any) -> Any:
        """Return the cell, trimmed if so declared, or None if it counts as blank."""
        if isinstance(value, str):
            value = value.strip() if self._trim else value
            return None if value in self._texts else value
        return value


class Source(Protocol):
    """Gives a row's raw value, None where there is none, and the columns that it reads."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that it reads, the one to name in a refusal first."""

    def of(self, row: Row, blanks: Blanks) -> Any:
        """Return the raw value."""


@dataclass(frozen=True)
class FromColumn:
    """One cell."""

    columns: tuple[Column, ...]

    def of(self, row: Row, blanks: Blanks) -> Any:
        """Return the cell."""
        return blanks.clear(row.cell(self.columns[0]))


@dataclass(frozen=True)
class FromTemplate:
    """Text with columns in it, as `order-{Order ID}`; blank if one of them is."""

    parts: tuple[tuple[str, Column | None], ...]
    columns: tuple[Column, ...]

    def of(self, row: Row, blanks: Blanks) -> str | None:
        """Return the text filled in."""
        text = ""
        for literal, column in self.parts:
            text += literal
            if column is not None:
                cell = blanks.clear(row.cell(column))
                if cell is None:
                    return None
                text += cell if isinstance(cell, str) else _canonical(cell)
        return text


@dataclass(frozen=True)
class FromRowNumber:
    """The row's number in the file, from 1: the same only for the same file."""

    prefix: str
    columns: tuple[Column, ...] = ()

    def of(self, row: Row, blanks: Blanks) -> str:  # noqa: ARG002 - one shape for all sources
        """Return the number with its prefix."""
        return f"{self.prefix}{row.number}"


class Repeats:
    """Counts how often a key came before, on disk: memory stays the same for any size of file."""

    def __init__(self) -> None:
        """Open a private temporary database, gone with the process."""
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("pragma journal_mode = off")
        self._db.execute("pragma synchronous = off")
        self._db.execute("create table seen (key blob primary key, n integer not null) without rowid")

    def next_of(self, key: bytes) -> int:
        """Count the key and return how many there are now, from 1."""
        statement = "insert into seen values (?, 1) on conflict do update set n = n + 1 returning n"
        row = self._db.execute(statement, (key,)).fetchone()
        return int(row[0])


@dataclass(frozen=True)
class FromHash:
    """A digest of some columns: the same rows get the same ids in every run.

    Attributes:
        columns: what is hashed, in this order.
        prefix: put before the 32 hexadecimal digits.
        repeats: numbers rows that are alike, so that two equal answers stay two; None: alike means the same.
    """

    columns: tuple[Column, ...]
    prefix: str
    repeats: Repeats | None

    def of(self, row: Row, blanks: Blanks) -> str | None:
        """Return prefix and digest; blank if every column is."""
        cells = [blanks.clear(row.cell(column)) for column in self.columns]
        if all(cell is None for cell in cells):
            return None
        digest = hashlib.sha256(_canonical(cells).encode("utf-8", "surrogatepass"))
        if self.repeats and (nth := self.repeats.next_of(digest.digest()[:16])) > 1:
            digest.update(f"#{nth}".encode())
        return self.prefix + digest.hexdigest()[:32]


def template(key: str, text: str) -> FromTemplate:
    """Read a template.

    Args:
        key: where in the map it is, for messages.
        text: with `{column}` where a cell goes; `{{` and `}}` are braces.

    Returns:
        The source.

    Raises:
        MapError: a brace without its partner, or no column at all.
    """
    parts: list[tuple[str, Column | None]] = []
    literal, at = "", 0
    for match in _PLACE.finditer(text):
        literal += text[at : match.start()]
        at = match.end()
        if match[1]:
            parts.append((literal, match[1]))
            literal = ""
        elif len(match[0]) == 2:
            literal += match[0][0]
        else:
            raise MapError(key, f"a lone {match[0]!r} in {text!r}: write {match[0] * 2!r} for a brace")
    if not parts:
        raise MapError(key, f"{text!r} names no column: write it as a plain value, or put a {{column}} in it")
    columns = tuple(column for _, column in parts if column is not None)
    return FromTemplate((*parts, (literal + text[at:], None)), columns)


def _canonical(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=_number)


def _number(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    message = f"{type(value).__name__} cannot come from a file"
    raise TypeError(message)
