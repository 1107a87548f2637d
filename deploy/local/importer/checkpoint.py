"""How far an import came, so that the next run goes on there; the ids alone would make it safe, this makes it quick."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from .problems import CannotRunError

_SAMPLE = 1024 * 1024


@dataclass
class Counts:
    """What became of the rows so far.

    Attributes:
        rows: read, without the header.
        stored: new; for customers created or updated.
        duplicates: facts that were there already, alike.
        unchanged: customers that were there already, alike.
        rejected: refused, here or by the API.
        skipped: left out by the map's conditions.
    """

    rows: int = 0
    stored: int = 0
    duplicates: int = 0
    unchanged: int = 0
    rejected: int = 0
    skipped: int = 0


@dataclass(frozen=True)
class Progress:
    """One saved state: the counts and how many bytes of the rejects file belong to them."""

    counts: Counts
    rejects_bytes: int


class Checkpoint:
    """A small file beside the rejects file, gone when the import has ended."""

    def __init__(self, path: Path, import_key: str) -> None:
        """Name the file and the import.

        Args:
            path: the checkpoint.
            import_key: what makes it this import and no other.
        """
        self._path = path
        self._key = import_key

    def load(self) -> Progress | None:
        """Return where an interrupted run of the same import came to, or None."""
        try:
            saved = json.loads(self._path.read_bytes())
            if saved["import"] != self._key:
                return None
            return Progress(Counts(**saved["counts"]), int(saved["rejects_bytes"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, progress: Progress) -> None:
        """Write the state in one step, so that a crash leaves the old one or the new one."""
        saved = {
            "import": self._key,
            "counts": dataclasses.asdict(progress.counts),
            "rejects_bytes": progress.rejects_bytes,
        }
        beside = self._path.with_name(self._path.name + ".new")
        try:
            beside.write_text(json.dumps(saved))
            beside.replace(self._path)
        except OSError as error:
            message = f"{self._path} cannot be written ({error.strerror}): name a writable place with --rejects"
            raise CannotRunError(message) from None

    def clear(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)


def import_key(path: Path, *parts: str) -> str:
    """Return what makes an import this one: the file's size and beginning, and the given parts."""
    digest = hashlib.sha256(json.dumps([path.stat().st_size, *parts]).encode())
    with path.open("rb") as file:
        digest.update(file.read(_SAMPLE))
    return digest.hexdigest()
