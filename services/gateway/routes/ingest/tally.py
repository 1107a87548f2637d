"""What became of many items: counts, and the first thousand rejections."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from plaudit.common.v1.ingest_pb2 import ITEM_STATUS_DUPLICATE, ITEM_STATUS_STORED, ItemResult

from ...problems import Problem

MAX_REJECTIONS = 1_000
"""So many are listed; `rejected_total` counts them all."""


@dataclass
class Tally:
    """Counts items by what became of them."""

    stored: int = 0
    duplicates: int = 0
    rejected_total: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list)

    def refuse(self, index: int, item_id: str | None, problem: Problem) -> None:
        """Count an item that was not even sent on."""
        faults = problem.faults
        self._reject(index, item_id, problem.code, faults[0].pointer if faults else "", problem.detail)

    def add(self, items: Iterable[tuple[int, str, Any]], results: Iterable[ItemResult]) -> None:
        """Count what a service answered of items, each an index, an id and what it says."""
        good: ItemResult | None = None
        for (index, item_id, _), result in zip(items, results, strict=True):
            # Many have one answer between them, which is looked at once.
            if result is good or result.status == ITEM_STATUS_STORED:
                good = result
                self.stored += 1
            elif result.status == ITEM_STATUS_DUPLICATE:
                self.duplicates += 1
            else:
                self._reject(index, item_id, result.code, result.pointer, result.detail)

    def repeat(self, index: int, item_id: str, result: ItemResult) -> None:
        """Count an item that says what another one said, of which a service has answered this."""
        if result.status in (ITEM_STATUS_STORED, ITEM_STATUS_DUPLICATE):
            self.duplicates += 1
        else:
            self.add([(index, item_id, None)], [result])

    def _reject(self, index: int, item_id: str | None, code: str, pointer: str, detail: str) -> None:
        self.rejected_total += 1
        if len(self.rejected) < MAX_REJECTIONS:
            found = {"index": index, "id": item_id, "code": code, "pointer": pointer, "detail": detail}
            self.rejected.append(found)

    def answer(self) -> dict[str, Any]:
        """Return the counts as they are answered, rejections by index."""
        return {
            "stored": self.stored,
            "duplicates": self.duplicates,
            "rejected": sorted(self.rejected, key=lambda found: int(found["index"])),
            "rejected_total": self.rejected_total,
        }
