"""Whether a file's own dates speak against the declared order of day and month, told before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .dates import Dates
from .items import Cell, cells, column_name, date_of
from .maps import Map
from .problems import RefusedError, shown
from .rows import BrokenRow
from .sources import Row


@dataclass
class _Question:
    cell: Cell
    dates: Dates
    against: str | None = None

    def is_answered(self, row: Row) -> bool:
        """Take a row's evidence; True once a value proves the declared order."""
        value = date_of(self.cell, row)
        evidence = 0 if value is None else self.dates.evidence(value)
        if evidence < 0 and self.against is None:
            self.against = f"{shown(value)} on line {row.line}"
        return evidence > 0

    def refusal(self) -> RefusedError:
        """Return why no row of the file can be trusted."""
        forms = " or ".join(repr(form) for form in self.dates.formats)
        reason = (
            f"day and month are the wrong way round in {forms}: {self.against} reads only with the two exchanged, and"
            " no date of the column proves the declared order"
        )
        columns = self.cell.source.columns
        return RefusedError("DATE_ORDER_IN_DOUBT", reason, column_name(columns[0]) if columns else None, self.cell.path)


def order_in_doubt(wanted: Map, rows: Iterable[Row | BrokenRow]) -> RefusedError | None:
    """Look for a date column whose values never prove the declared order, while some contradict it.

    03/04/2018 reads both ways, 23/04/2018 only one. A day-first column that is declared month-first would lose most of
    its rows and, worse, keep the others under false dates for ever, because facts never change. Reading stops at the
    first proof of each column, so that a file that is declared rightly costs almost nothing.

    Args:
        wanted: the map.
        rows: of the file, from its beginning.

    Returns:
        Why every row is refused, or None.
    """
    dated = [(cell, cell.dates) for cell in cells(wanted.fields)]
    questions = [_Question(cell, dates) for cell, dates in dated if dates is not None and dates.exchanged]
    for row in rows:
        if not questions:
            break
        if isinstance(row, Row) and all(condition.passes(row) for condition in wanted.conditions):
            questions = [question for question in questions if not question.is_answered(row)]
    return next((question.refusal() for question in questions if question.against), None)
