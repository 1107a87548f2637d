"""Which rows are imported: `[[when]]`, all of which must hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .items import Condition, as_text
from .problems import MapError
from .sources import Blanks
from .specs import check_keys, column_of

_TESTS = frozenset({"equals", "not_equals", "in", "not_in", "blank"})


def conditions_of(raw: object, blanks: Blanks) -> tuple[Condition, ...]:
    """Read the map's conditions.

    Args:
        raw: the value of `when`.
        blanks: what counts as no value.

    Returns:
        The conditions.

    Raises:
        MapError: one of them is not a column with one test.
    """
    if not isinstance(raw, list):
        raise MapError("when", "conditions are a list: write [[when]]")
    return tuple(_condition(f"when.{index}", entry, blanks) for index, entry in enumerate(raw))


def _condition(key: str, raw: object, blanks: Blanks) -> Condition:
    if not isinstance(raw, dict):
        raise MapError(key, 'a condition is a table: column = "Status", equals = "done"')
    check_keys(key, raw, _TESTS | {"column"})
    tests = sorted(raw.keys() & _TESTS)
    if len(tests) != 1:
        raise MapError(key, f"a condition has a column and one of {', '.join(sorted(_TESTS))}")
    return Condition(column_of(f"{key}.column", raw.get("column")), _test(key, tests[0], raw[tests[0]]), blanks)


def _test(key: str, name: str, wanted: Any) -> Callable[[str | None], bool]:
    if name == "blank":
        if not isinstance(wanted, bool):
            raise MapError(f"{key}.blank", "it is true (only rows without a value) or false (only rows with one)")
        return lambda cell: (cell is None) == wanted
    several = name in {"in", "not_in"}
    if several != isinstance(wanted, list):
        raise MapError(f"{key}.{name}", "in and not_in take a list, equals and not_equals one value")
    texts = frozenset(as_text(value) for value in (wanted if several else [wanted]))
    return (lambda cell: cell not in texts) if name.startswith("not_") else (lambda cell: cell in texts)
