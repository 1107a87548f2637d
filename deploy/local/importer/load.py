"""The run itself: rows become items, items batches, answers counts and rejects."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from .checkpoint import Checkpoint, Counts, Progress
from .items import filled
from .maps import Map
from .problems import RefusedError
from .rejects import Reject, RejectsFile
from .rows import BrokenRow
from .send import MAX_BYTES, MAX_ITEMS, Answer, Refusal
from .sources import Row

_ENCODER = msgspec.json.Encoder(decimal_format="number")


class Sends(Protocol):
    """What takes batches."""

    on_retry: Callable[[str], None]

    def send(self, items: Sequence[bytes]) -> Answer:
        """Send a batch and return what became of it."""


@dataclass
class _Batch:
    """Items on their way, with the rows that they come from, and the rejects of the rows between them."""

    rows: list[Row] = field(default_factory=list)
    items: list[bytes] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    num_bytes: int = 0

    def has_room(self, item: bytes) -> bool:
        return len(self.items) < MAX_ITEMS and self.num_bytes + len(item) + 1 <= MAX_BYTES

    def add(self, row: Row, item: bytes, item_id: str) -> None:
        self.rows.append(row)
        self.items.append(item)
        self.ids.append(item_id)
        self.num_bytes += len(item) + 1


class Load:
    """One import of one file."""

    def __init__(
        self,
        wanted: Map,
        sender: Sends,
        rejects: RejectsFile,
        checkpoint: Checkpoint,
        done: Counts,
        *,
        in_doubt: RefusedError | None = None,
        on_progress: Callable[[Counts], None] = lambda _: None,
    ) -> None:
        """Put an import together.

        Args:
            wanted: the map.
            sender: takes the batches.
            rejects: takes the refused rows.
            checkpoint: remembers each answered batch.
            done: what an interrupted run has done already; all zeros for a new one.
            in_doubt: why no row of this file can be trusted, if so.
            on_progress: told the counts after each batch.
        """
        self._map = wanted
        self._sender = sender
        self._rejects = rejects
        self._checkpoint = checkpoint
        self._in_doubt = in_doubt
        self._on_progress = on_progress
        self._resume_after = done.rows
        self.counts = copy.copy(done)
        self._seen = copy.copy(done)
        self._batch = _Batch()

    def run(self, rows: Iterator[Row | BrokenRow]) -> Counts:
        """Import the rows and return the counts.

        Rows that an interrupted run has answered are read, because equal rows are numbered, and not sent.
        """
        for row in rows:
            reject = None
            try:
                item = self._item(row)
            except RefusedError as refused:
                item, reject = None, _reject(row, refused)
            if row.number > self._resume_after:
                self._take(row, item, reject)
        self._flush()
        return self.counts

    def _item(self, row: Row | BrokenRow) -> tuple[bytes, str] | None:
        if isinstance(row, BrokenRow):
            raise row.refused
        if not all(condition.passes(row) for condition in self._map.conditions):
            return None
        if self._in_doubt:
            raise self._in_doubt
        item = filled(self._map.fields, row)
        self._check_groups(item)
        try:
            encoded = _ENCODER.encode(item)
        except UnicodeEncodeError:
            raise RefusedError("NOT_TEXT", "the row holds half a character (a lone surrogate)") from None
        if len(encoded) > MAX_BYTES:
            raise RefusedError("ITEM_TOO_LARGE", "the row is too large for the API")
        return encoded, str(item[self._map.target.id_field])

    def _check_groups(self, item: Mapping[str, object]) -> None:
        for group in self._map.target.one_of:
            if not item.keys() & set(group):
                named = (column for name in group if (column := self._map.column_of(name)))
                raise RefusedError("BLANK", f"no value for {' or '.join(group)}", next(named, None), group[0])

    def _take(self, row: Row | BrokenRow, item: tuple[bytes, str] | None, reject: Reject | None) -> None:
        if item and not self._batch.has_room(item[0]):
            self._flush()
        self._seen.rows += 1
        if reject:
            self._seen.rejected += 1
            self._batch.rejects.append(reject)
        elif item and isinstance(row, Row):
            self._batch.add(row, *item)
        else:
            self._seen.skipped += 1
        if max(len(self._batch.items), len(self._batch.rejects)) >= MAX_ITEMS:
            self._flush()

    def _flush(self) -> None:
        batch, self._batch = self._batch, _Batch()
        rejects = batch.rejects
        if batch.items:
            answer = self._sender.send(batch.items)
            self._seen.stored += answer.stored
            self._seen.duplicates += answer.duplicates
            self._seen.unchanged += answer.unchanged
            self._seen.rejected += len(answer.refused)
            rejects += [self._refused(batch, refusal) for refusal in answer.refused]
        self._rejects.write(rejects)
        self.counts = copy.copy(self._seen)
        self._checkpoint.save(Progress(self.counts, self._rejects.size))
        self._on_progress(self.counts)

    def _refused(self, batch: _Batch, refusal: Refusal) -> Reject:
        row = batch.rows[refusal.index]
        name = _field_of(refusal.pointer)
        return Reject(
            line=row.line,
            row=row.number,
            column=self._map.column_of(name),
            field=name or None,
            code=refusal.code,
            reason=refusal.detail,
            id=batch.ids[refusal.index],
            by="api",
        )


def _reject(row: Row | BrokenRow, refused: RefusedError) -> Reject:
    return Reject(
        line=row.line,
        row=row.number,
        column=refused.column,
        field=refused.field,
        code=refused.code,
        reason=refused.reason,
        id=None,
        by="import",
    )


def _field_of(pointer: str) -> str:
    """Return a pointer into a batch or an item as the field's path in the item."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    if len(parts) >= 2 and parts[0] == "items" and parts[1].isdigit():
        parts = parts[2:]
    return ".".join(parts)
