"""One row as one item of the API: the tree of fields that a map describes, filled from a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .dates import Dates
from .problems import RefusedError, shown
from .sources import Blanks, Column, Row, Source

Converter = Callable[[Any], Any]


@dataclass(frozen=True)
class Constant:
    """The same value for every row."""

    value: Any


@dataclass(frozen=True)
class Cell:
    """A field that is filled from the row.

    Attributes:
        path: the field's path in the item, as `traits.plan`.
        source: where the raw value comes from.
        blanks: what counts as no value.
        convert: raw value to JSON value; raises RefusedError.
        values: raw text to JSON value, before `convert`.
        otherwise: what to do with a value that `values` does not name: reject, blank or keep.
        default: taken where there is no value.
        required: whether a row without a value is refused.
        dates: how its dates are read, where it holds some.
        extra: more cells beside the value (the currency of an amount), which make an object of it.
        value_name: the value's name in that object.
    """

    path: str
    source: Source
    blanks: Blanks
    convert: Converter
    values: Mapping[str, Any] | None = None
    otherwise: str = "reject"
    default: Any = None
    required: bool = False
    dates: Dates | None = None
    extra: Mapping[str, Cell | Constant] = field(default_factory=dict)
    value_name: str = ""


@dataclass(frozen=True)
class Group:
    """An object; absent where nothing in it has a value."""

    children: Mapping[str, Node]


@dataclass(frozen=True)
class Many:
    """A list of objects, each dropped where one of its cells has no value."""

    children: Sequence[Group]


Node = Constant | Cell | Group | Many


@dataclass(frozen=True)
class Condition:
    """A row is imported only if every condition holds; the others are skipped and counted."""

    column: Column
    holds: Callable[[str | None], bool]
    blanks: Blanks

    def passes(self, row: Row) -> bool:
        """Return whether the row's cell fulfils the condition."""
        cell = self.blanks.clear(row.cell(self.column))
        return self.holds(None if cell is None else as_text(cell))


def filled(node: Node, row: Row) -> Any:
    """Return a node's value for one row.

    Args:
        node: a part of the map's fields, or all of them.
        row: the row.

    Returns:
        A JSON value, or None where there is none: such fields are left out, never sent as null or 0.

    Raises:
        RefusedError: a cell cannot be read as declared; it names column and field.
    """
    if isinstance(node, Constant):
        return node.value
    if isinstance(node, Cell):
        return _cell(node, row)
    if isinstance(node, Many):
        return _many(node, row)
    found = {name: value for name, child in node.children.items() if (value := filled(child, row)) is not None}
    return found or None


def cells(node: Node) -> Iterator[Cell]:
    """Yield every cell below a node, itself included."""
    if isinstance(node, Cell):
        yield node
        for extra in node.extra.values():
            yield from cells(extra)
    elif isinstance(node, Group):
        for child in node.children.values():
            yield from cells(child)
    elif isinstance(node, Many):
        for child in node.children:
            yield from cells(child)


def as_text(value: object) -> str:
    """Return a raw value as the text by which a map names it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def date_of(cell: Cell, row: Row) -> Any:
    """Return the raw value of a cell that is read as a date; None where it is blank or named in `values`."""
    raw = cell.blanks.clear(cell.source.of(row, cell.blanks))
    return None if cell.values and as_text(raw) in cell.values else raw


def column_name(column: Column) -> str:
    """Return a column as a person names it."""
    return column if isinstance(column, str) else ".".join(column)


def _cell(cell: Cell, row: Row) -> Any:
    try:
        value = _value(cell, row)
        if value is None or not cell.extra:
            return value
        return {cell.value_name: value, **{name: _needed(part, row) for name, part in cell.extra.items()}}
    except RefusedError as refused:
        if refused.field is None:
            refused.field = cell.path
        if refused.column is None and cell.source.columns:
            refused.column = column_name(cell.source.columns[0])
        raise


def _value(cell: Cell, row: Row) -> Any:
    raw = cell.blanks.clear(cell.source.of(row, cell.blanks))
    if raw is None:
        return _absent(cell)
    if cell.values is not None:
        text = as_text(raw)
        if text in cell.values:
            return cell.values[text]
        if cell.otherwise == "reject":
            raise RefusedError("VALUE_UNKNOWN", f"{shown(text)} is not among the values that the map names")
        if cell.otherwise == "blank":
            return _absent(cell)
    return cell.convert(raw)


def _absent(cell: Cell) -> Any:
    if cell.default is None and cell.required:
        raise RefusedError("BLANK", f"no value for {cell.path}, which every row needs")
    return cell.default


def _needed(node: Cell | Constant, row: Row) -> Any:
    value = filled(node, row)
    if value is None and isinstance(node, Cell):
        raise RefusedError("BLANK", f"no value for {node.path}, which an amount needs", field=node.path)
    return value


def _many(node: Many, row: Row) -> list[Any] | None:
    found = []
    for child in node.children:
        values = filled(child, row)
        if values is not None and len(values) == len(child.children):
            found.append(values)
    return found or None
