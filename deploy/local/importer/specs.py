"""One field of a map: where its value comes from, its type and the options of that type."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from . import cells, dates
from .items import Cell, Constant, Converter
from .problems import MapError
from .sources import Blanks, Column, FromColumn, FromHash, FromRowNumber, Repeats, Source, template
from .targets import Target

_SOURCES = ("column", "template", "hash", "row_number")
_ANY = frozenset({"type", "values", "otherwise", "default", "required"})
_NUMERALS = frozenset({"decimal_separator", "thousands_separator", "without", "multiply", "add"})
_OPTIONS = {
    "string": frozenset[str](),
    "int": _NUMERALS,
    "number": _NUMERALS,
    "bool": frozenset[str](),
    "datetime": frozenset({"formats", "timezone", "time", "when_twice"}),
    "money": _NUMERALS | {"currency", "currency_column", "decimals"},
    "list": frozenset({"separator"}),
    "json": frozenset[str](),
}
_CURRENCY = re.compile("[A-Z]{3}")


@dataclass(frozen=True)
class Context:
    """What the fields of one map share: the target and what counts as blank."""

    target: Target
    blanks: Blanks


def is_cell(raw: Mapping[str, Any]) -> bool:
    """Return whether a table says where a value comes from, rather than naming fields of its own."""
    return any(name in raw and not isinstance(raw[name], dict) for name in _SOURCES)


def misspelt_source(raw: Mapping[str, Any]) -> str | None:
    """Return what a table without a source was probably meant to say, or None."""
    for name in raw:
        if near := difflib.get_close_matches(name, _SOURCES, n=1, cutoff=0.75):
            return f"{name!r} is no source; did you mean {near[0]}?"
    return None


def check_keys(key: str, raw: Mapping[str, Any], known: frozenset[str]) -> None:
    """Refuse a key that means nothing here, so that a slip of the pen is not silence."""
    for name in raw:
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=1)
            hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(sorted(known))}"
            raise MapError(f"{key}.{name}".lstrip("."), f"there is no such key here; {hint}")


def column_of(key: str, value: object) -> Column:
    """Return a column's name: a text, or a list of texts that reaches into JSON objects."""
    if isinstance(value, str) and value:
        return value
    if isinstance(value, list) and value and all(isinstance(name, str) for name in value):
        return tuple(value)
    raise MapError(key, 'name a column, as "Score"; a list of names reaches into JSON objects, as ["user", "id"]')


def constant_of(key: str, value: object) -> object:
    """Return a constant of the map as a JSON value."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        raise MapError(key, "a constant time needs time and offset, as 2024-05-01T12:00:00Z")
    if isinstance(value, str | int | Decimal | list):
        return value
    raise MapError(key, "this kind of constant is not known here")


def cell_of(context: Context, path: str, raw: Mapping[str, Any]) -> Cell:
    """Read one field.

    Args:
        context: the target and what counts as blank.
        path: the field's path in the item.
        raw: its table.

    Returns:
        The field, ready to be filled from rows.

    Raises:
        MapError: a key is unknown, missing or wrong.
    """
    key = f"fields.{path}"
    expected = context.target.types.get(path)
    kind = raw.get("type", expected or "string")
    if kind not in _OPTIONS:
        raise MapError(f"{key}.type", f"it is one of {', '.join(_OPTIONS)}")
    values = _values(key, raw)
    if expected and values is None and kind != expected and not (expected == "number" and kind == "int"):
        raise MapError(f"{key}.type", f"{path} of {context.target.name} is of type {expected}")
    source, source_keys = _source(context, path, raw)
    check_keys(key, raw, _ANY | source_keys | _OPTIONS[kind])
    needed = context.target.required
    reader = dates.compiled(key, raw) if kind == "datetime" else None
    return Cell(
        path=path,
        source=source,
        blanks=context.blanks,
        convert=reader.read if reader else _converter(key, kind, raw, mapped=values is not None),
        values=values,
        otherwise=_choice(f"{key}.otherwise", raw.get("otherwise", "reject"), ("reject", "blank", "keep")),
        default=constant_of(f"{key}.default", raw["default"]) if "default" in raw else None,
        required=_flag(f"{key}.required", raw.get("required", path in needed)),
        dates=reader,
        extra=_currency(context, path, raw) if kind == "money" else {},
        value_name="amount_minor",
    )


def _source(context: Context, path: str, raw: Mapping[str, Any]) -> tuple[Source, frozenset[str]]:
    key = f"fields.{path}"
    named = [name for name in _SOURCES if name in raw]
    if len(named) != 1:
        raise MapError(key, f"a value comes from one of {', '.join(_SOURCES)}; here are {' and '.join(named)}")
    name, value = named[0], raw[named[0]]
    if name == "column":
        return FromColumn((column_of(f"{key}.column", value),)), frozenset({"column"})
    if name == "template":
        return template(f"{key}.template", _text(f"{key}.template", value)), frozenset({"template"})
    prefix = _text(f"{key}.prefix", raw.get("prefix", ""))
    if name == "row_number":
        if value is not True:
            raise MapError(f"{key}.row_number", "write row_number = true")
        return FromRowNumber(prefix), frozenset({"row_number", "prefix"})
    if not isinstance(value, list) or not value:
        raise MapError(f"{key}.hash", 'name the columns that are hashed, as hash = ["date", "text"]')
    columns = tuple(column_of(f"{key}.hash", column) for column in value)
    own_id = context.target.is_fact and path == context.target.id_field
    chosen = _choice(f"{key}.repeats", raw.get("repeats", "number" if own_id else "same"), ("number", "same"))
    repeats = Repeats() if chosen == "number" else None
    return FromHash(columns, prefix, repeats), frozenset({"hash", "prefix", "repeats"})


def _converter(key: str, kind: str, raw: Mapping[str, Any], *, mapped: bool) -> Converter:
    if kind == "list":
        return partial(cells.read_list, _text(f"{key}.separator", raw.get("separator", ";")))
    if kind == "money":
        if mapped:
            raise MapError(f"{key}.values", "an amount cannot be taken from named values")
        return cells.Money(_numerals(key, raw), _decimals(key, raw)).read
    simple: dict[str, Callable[[], Converter]] = {
        "int": lambda: partial(cells.read_int, _numerals(key, raw)),
        "number": lambda: partial(cells.read_number, _numerals(key, raw)),
        "bool": lambda: cells.read_bool,
        "string": lambda: cells.read_string,
        "json": lambda: _as_it_is,
    }
    return simple[kind]()


def _as_it_is(value: object) -> object:
    return value


def _numerals(key: str, raw: Mapping[str, Any]) -> cells.Numerals:
    decimal, thousands = raw.get("decimal_separator", "."), raw.get("thousands_separator", "")
    if decimal not in {".", ","}:
        raise MapError(f"{key}.decimal_separator", 'it is "." or ","')
    if not isinstance(thousands, str) or len(thousands) > 1 or thousands == decimal:
        raise MapError(f"{key}.thousands_separator", "it is one character, another than the decimal separator")
    without = raw.get("without", [])
    if not isinstance(without, list) or not all(isinstance(part, str) and part for part in without):
        raise MapError(f"{key}.without", 'the texts to take away, as ["€"]')
    factors = {name: _decimal(f"{key}.{name}", raw[name]) for name in ("multiply", "add") if name in raw}
    return cells.Numerals(decimal, thousands, tuple(without), **factors)


def _decimal(key: str, value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise MapError(key, "it is a number, as 2 or 0.5")
    return Decimal(value)


def _decimals(key: str, raw: Mapping[str, Any]) -> int:
    decimals = raw.get("decimals")
    if isinstance(decimals, bool) or not isinstance(decimals, int) or not 0 <= decimals <= 4:
        raise MapError(
            f"{key}.decimals", "how many decimals make a minor unit: 2 for EUR, 0 for JPY or a column in minor units"
        )
    return decimals


def _currency(context: Context, path: str, raw: Mapping[str, Any]) -> dict[str, Cell | Constant]:
    key = f"fields.{path}"
    if ("currency" in raw) == ("currency_column" in raw):
        raise MapError(f"{key}.currency", 'declare one: currency = "EUR" or currency_column = "Currency"')
    if "currency" in raw:
        if not _CURRENCY.fullmatch(_text(f"{key}.currency", raw["currency"])):
            raise MapError(f"{key}.currency", 'three capital letters, as "EUR"')
        return {"currency": Constant(raw["currency"])}
    column = column_of(f"{key}.currency_column", raw["currency_column"])
    return {"currency": Cell(f"{path}.currency", FromColumn((column,)), context.blanks, cells.read_string)}


def _values(key: str, raw: Mapping[str, Any]) -> Mapping[str, Any] | None:
    values = raw.get("values")
    if values is None:
        if "otherwise" in raw:
            raise MapError(f"{key}.otherwise", "it goes with values, which are not there")
        return None
    if not isinstance(values, dict) or not values:
        raise MapError(f"{key}.values", 'name what each text means, as values = {"Yes" = true, "No" = false}')
    if any(isinstance(value, dict | list) for value in values.values()):
        raise MapError(f"{key}.values", "each text means one text, number or boolean")
    return values


def _text(key: str, value: object) -> str:
    if isinstance(value, str):
        return value
    raise MapError(key, "it is a text")


def _flag(key: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise MapError(key, "it is true or false")


def _choice(key: str, value: object, choices: tuple[str, ...]) -> str:
    for choice in choices:
        if value == choice:
            return choice
    raise MapError(key, f"it is one of {', '.join(choices)}")
