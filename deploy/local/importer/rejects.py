"""The rejects file: one JSON line per refused row, with its line in the file, the column and the reason."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, order=True)
class Reject:
    """Why a row was not imported.

    Attributes:
        line: of the file, from 1, the header included; where the row starts.
        row: from 1, without the header.
        column: the file's column, where one is to blame.
        field: the item's field.
        code: UPPER_SNAKE; ours, or the API's own.
        reason: a sentence.
        id: the item's id, where it has one.
        by: "import" where the row never left, "api" where the server refused it.
    """

    line: int
    row: int
    column: str | None
    field: str | None
    code: str
    reason: str
    id: str | None
    by: str


class RejectsFile:
    """Appends rejects; made when the first one comes, or at once if the operator named it."""

    def __init__(self, path: Path, *, keep_bytes: int, named: bool) -> None:
        """Go on after the bytes of an interrupted run, or begin anew.

        Args:
            path: the file.
            keep_bytes: how much of it an earlier run of the same import has written for good.
            named: whether the operator asked for it, so that it exists even if empty.
        """
        self.path = path
        self.size = keep_bytes
        # Reasons may show a value of the operator's file: it is for the operator's eyes.
        flags = os.O_RDWR | os.O_CREAT
        self._file = os.fdopen(os.open(path, flags, 0o600), "r+b") if named or keep_bytes else None
        if self._file:
            self._file.truncate(keep_bytes)
            self._file.seek(keep_bytes)
        else:
            path.unlink(missing_ok=True)

    def write(self, rejects: Iterable[Reject]) -> None:
        """Append, in the order of the file's lines."""
        text = "".join(json.dumps(vars(reject), ensure_ascii=False) + "\n" for reject in sorted(rejects, key=_place))
        if not text:
            return
        if self._file is None:
            self._file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "r+b")
        data = text.encode("utf-8", "backslashreplace")
        self._file.write(data)
        self._file.flush()
        self.size += len(data)

    @property
    def is_there(self) -> bool:
        """Whether the file exists."""
        return self._file is not None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        if self._file:
            self._file.close()


def _place(reject: Reject) -> int:
    return reject.row
