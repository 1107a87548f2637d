"""How far the import is: a bar with the rate on a terminal, plain lines elsewhere; always on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from .checkpoint import Counts

PLAIN_SECONDS = 5.0
Report = Callable[[Counts, int], None]


@contextmanager
def reporting(name: str, size: int) -> Iterator[tuple[Report, Callable[[str], None]]]:
    """Show the progress of a file.

    Args:
        name: the file's name.
        size: its bytes on disk.

    Yields:
        A function that takes the counts and the bytes read so far, and one that takes a sentence.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain(name, size), lambda text: print(text, file=sys.stderr, flush=True)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]:,} rows  {task.fields[rate]:,.0f}/s  {task.fields[rejected]:,} rejected"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(name, total=max(size, 1), rows=0, rate=0.0, rejected=0)
        rate_of = _rate()

        def report(counts: Counts, position: int) -> None:
            rate = rate_of(counts.rows)
            bar.update(task, completed=position, rows=counts.rows, rate=rate, rejected=counts.rejected)

        yield report, lambda text: console.print(text, markup=False, highlight=False)


def _rate() -> Callable[[int], float]:
    """Return what tells rows a second; those of an interrupted run do not count."""
    began = time.monotonic()
    first: list[int] = []

    def rate_of(num_rows: int) -> float:
        first[:1] = first or [num_rows]
        return (num_rows - first[0]) / max(time.monotonic() - began, 0.001)

    return rate_of


def _plain(name: str, size: int) -> Report:
    last = time.monotonic()
    rate_of = _rate()

    def report(counts: Counts, position: int) -> None:
        nonlocal last
        now, rate = time.monotonic(), rate_of(counts.rows)
        if now - last < PLAIN_SECONDS:
            return
        last = now
        percent = 100 * position / max(size, 1)
        line = f"{name}: {percent:.0f} %, {counts.rows:,} rows, {rate:,.0f}/s, {counts.rejected:,} rejected"
        print(line, file=sys.stderr, flush=True)

    return report
