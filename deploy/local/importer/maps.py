"""A map, read from TOML and checked whole before the first row; a mistake is one message with its key and the fix."""

from __future__ import annotations

import codecs
import difflib
import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from .conditions import conditions_of
from .items import Condition, Constant, Group, Many, Node, cells
from .problems import CannotRunError, MapError
from .sources import Blanks, Column
from .specs import Context, cell_of, check_keys, constant_of, is_cell, misspelt_source
from .targets import TARGETS, Target

_OBJECTS = frozenset({"traits", "properties", "act"})
_FILE_KEYS = frozenset({"format", "encoding", "delimiter", "quote", "columns", "blanks", "trim"})


@dataclass(frozen=True)
class FileSpec:
    """How the file is written.

    Attributes:
        format: "csv" or "ndjson".
        encoding: a codec's name; UTF-8 drops a byte order mark.
        delimiter: one character between cells.
        quote: one character around cells.
        columns: names for a file without a header; None: the first row names them.
    """

    format: str = "csv"
    encoding: str = "utf-8-sig"
    delimiter: str = ","
    quote: str = '"'
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Map:
    """What each column means.

    Attributes:
        target: what the rows become.
        file: how the file is written.
        fields: the item's fields.
        conditions: which rows are imported.
        digest: of the map's text; a checkpoint of another map is not gone on from.
    """

    target: Target
    file: FileSpec
    fields: Group
    conditions: tuple[Condition, ...]
    digest: str

    def columns(self) -> dict[Column, str]:
        """Return every column that the map reads, with the field or condition that reads it first."""
        used: dict[Column, str] = {condition.column: "when" for condition in self.conditions}
        for cell in cells(self.fields):
            for column in cell.source.columns:
                used.setdefault(column, f"fields.{cell.path}")
        return used

    def column_of(self, field: str) -> str | None:
        """Return the column that fills a field, or None; a pointer into a list or object finds the nearest above."""
        sources = {cell.path: cell.source.columns for cell in cells(self.fields)}
        while field:
            if columns := sources.get(field):
                return columns[0] if isinstance(columns[0], str) else ".".join(columns[0])
            field = field.rpartition(".")[0]
        return None


def load(path: Path) -> Map:
    """Read a map.

    Args:
        path: the TOML file.

    Returns:
        The map, ready to use.

    Raises:
        CannotRunError: it cannot be read, or (MapError) a key in it is wrong.
    """
    try:
        text = path.read_bytes()
        raw = tomllib.loads(text.decode("utf-8-sig"), parse_float=Decimal)
    except OSError as error:
        message = f"the map {path} cannot be read: {error.strerror}"
        raise CannotRunError(message) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"the map {path} is not TOML: {error}"
        raise CannotRunError(message) from None
    return read(raw, digest=hashlib.sha256(text).hexdigest())


def read(raw: Mapping[str, Any], *, digest: str = "") -> Map:
    """Check a map's content.

    Args:
        raw: the parsed TOML, decimals as Decimal.
        digest: of its text.

    Returns:
        The map.

    Raises:
        MapError: a key is unknown, missing or wrong.
    """
    check_keys("", raw, frozenset({"target", "file", "when", "fields"}))
    target = _target(raw.get("target"))
    file_raw = _table("file", raw.get("file", {}))
    spec, blanks = _file(file_raw), _blanks(file_raw)
    fields_raw = _table("fields", raw.get("fields"))
    _check_fields(target, fields_raw)
    context = Context(target, blanks)
    children = {name: _node(context, name, value, depth=0) for name, value in fields_raw.items()}
    return Map(target, spec, Group(children), conditions_of(raw.get("when", []), blanks), digest)


def _target(name: object) -> Target:
    if isinstance(name, str) and name in TARGETS:
        return TARGETS[name]
    message = f"target says what the rows become: one of {', '.join(sorted(TARGETS))}"
    raise MapError("target", message)


def _table(key: str, value: object) -> Mapping[str, Any]:
    if isinstance(value, dict):
        return value
    raise MapError(key, f"a table is needed: [{key}]")


def _check_fields(target: Target, raw: Mapping[str, Any]) -> None:
    for name in raw:
        if name not in target.fields:
            raise MapError(f"fields.{name}", f"{target.name} have no such field{_nearest(name, target.fields)}")
    if missing := sorted(target.required - raw.keys()):
        raise MapError(f"fields.{missing[0]}", f"every item of {target.name} needs it; say where it comes from")
    for group in target.one_of:
        if not raw.keys() & set(group):
            raise MapError(f"fields.{group[0]}", f"{target.name} need one of {', '.join(group)}")


def _node(context: Context, path: str, value: object, *, depth: int) -> Node:
    if isinstance(value, dict):
        if is_cell(value) and not (depth == 0 and path in _OBJECTS):
            return cell_of(context, path, value)
        if problem := misspelt_source(value):
            raise MapError(f"fields.{path}", problem)
        if depth == 0 and path not in _OBJECTS:
            raise MapError(f"fields.{path}", "say where it comes from: column, template, hash or row_number")
        return Group({name: _node(context, f"{path}.{name}", child, depth=depth + 1) for name, child in value.items()})
    if isinstance(value, list) and any(isinstance(child, dict) for child in value):
        return Many(tuple(_member(context, f"{path}.{index}", child) for index, child in enumerate(value)))
    return Constant(constant_of(f"fields.{path}", value))


def _member(context: Context, path: str, value: object) -> Group:
    node = _node(context, path, value, depth=1)
    if not isinstance(node, Group):
        raise MapError(f"fields.{path}", "each entry of this list is a table of fields")
    return node


def _file(raw: Mapping[str, Any]) -> FileSpec:
    check_keys("file", raw, _FILE_KEYS)
    form = raw.get("format", "csv")
    if form not in {"csv", "ndjson"}:
        raise MapError("file.format", 'it is "csv" or "ndjson"')
    columns = raw.get("columns")
    if columns is not None and (form != "csv" or not _are_texts(columns) or not columns):
        raise MapError("file.columns", 'names for a CSV file without a header, as ["date", "score"]')
    return FileSpec(
        format=form,
        encoding=_encoding(raw.get("encoding", "utf-8")),
        delimiter=_character("file.delimiter", raw.get("delimiter", ",")),
        quote=_character("file.quote", raw.get("quote", '"')),
        columns=None if columns is None else tuple(columns),
    )


def _encoding(name: object) -> str:
    try:
        found = codecs.lookup(str(name)).name
        "".encode(found)
    except LookupError:
        raise MapError("file.encoding", f'{name!r} is no encoding: try "utf-8", "cp1252" or "utf-16"') from None
    return "utf-8-sig" if found == "utf-8" else found


def _character(key: str, value: object) -> str:
    if isinstance(value, str) and len(value) == 1 and value not in "\r\n":
        return value
    raise MapError(key, 'it is one character, as "," or ";" or "\\t"')


def _blanks(raw: Mapping[str, Any]) -> Blanks:
    texts, trim = raw.get("blanks", [""]), raw.get("trim", True)
    if not _are_texts(texts):
        raise MapError("file.blanks", 'the texts that count as no value, as ["", "NA"]')
    if not isinstance(trim, bool):
        raise MapError("file.trim", "it is true or false")
    return Blanks(("", *texts), trim=trim)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _nearest(name: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {found[0]}?" if found else f"; it has {', '.join(sorted(known))}"
