"""What can go wrong in an import: the run cannot go on, or one row is refused."""

from __future__ import annotations


class CannotRunError(Exception):
    """The import cannot start or go on; the message says what is wrong and what to do."""


class MapError(CannotRunError):
    """The map is wrong; the message names the key and the fix."""

    def __init__(self, key: str, problem: str) -> None:
        """Name the key.

        Args:
            key: dotted path into the map, as `fields.occurred_at.formats`.
            problem: what is wrong there and how to put it right.
        """
        super().__init__(f"{key}: {problem}")
        self.key = key


class RefusedError(Exception):
    """One row cannot be taken: which column, and why."""

    def __init__(self, code: str, reason: str, column: str | None = None, field: str | None = None) -> None:
        """Name the reason.

        Args:
            code: UPPER_SNAKE, stable.
            reason: a sentence for the operator; it may show the one value that could not be read.
            column: the file's column, where one is to blame.
            field: the field of the item that the column was meant for.
        """
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.column = column
        self.field = field


def shown(value: object) -> str:
    """Return a value as an operator may see it: quoted, at most 80 characters."""
    text = str(value)
    return repr(text if len(text) <= 80 else text[:79] + "…")
