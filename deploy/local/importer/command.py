"""`plaudit import FILE --map MAP.toml`: the command line of the importer."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import maps
from .checkpoint import Checkpoint, Counts, Progress, import_key
from .connection import connection_of
from .doubt import order_in_doubt
from .items import column_name
from .load import Load, Sends
from .maps import Map
from .problems import CannotRunError, MapError
from .progress import reporting
from .rejects import RejectsFile
from .rows import Opened, opened
from .send import Answer, Sender

STORED, COULD_NOT_RUN, SOME_REJECTED = 0, 1, 3


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be imported, and where to.

    Attributes:
        file: CSV or NDJSON, plain or gzip.
        map_file: the map.
        rejects: where refused rows go; None: the file's name and `.rejects.ndjson`, in the working folder.
        base_url: of the API; None: found.
        api_key: of the tenant; None: found.
        data_dir: of the local stack.
        history: whether the facts load the past.
        check: read and convert everything, send nothing.
        restart: begin anew though an interrupted run could be gone on from.
    """

    file: Path
    map_file: Path
    rejects: Path | None = None
    base_url: str | None = None
    api_key: str | None = None
    data_dir: str | None = None
    history: bool = False
    check: bool = False
    restart: bool = False


@dataclass(frozen=True)
class Result:
    """How an import ended.

    Attributes:
        counts: what became of the rows.
        rejects_file: where the refused ones are told; None if there is none.
        example: in a check the first item as it would be sent, if there is one.
    """

    counts: Counts
    rejects_file: Path | None
    example: bytes | None = None

    def as_json(self) -> dict[str, object]:
        """Return the summary that `--json` prints."""
        path = None if self.rejects_file is None else str(self.rejects_file)
        return {**dataclasses.asdict(self.counts), "rejects_file": path}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add `import` to the command.

    Args:
        subparsers: of the command `plaudit`.

    Returns:
        The parser of this verb.
    """
    parser = subparsers.add_parser(
        "import", help="load an export of another system", description="Load a CSV or NDJSON export. See docs/imports."
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="CSV or NDJSON, plain or gzip")
    parser.add_argument(
        "--map", dest="map_file", metavar="MAP.toml", type=Path, required=True, help="what columns mean"
    )
    parser.add_argument("--rejects", metavar="FILE", type=Path, help="where refused rows go, one JSON line each")
    parser.add_argument("--json", dest="as_json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--api-key", metavar="KEY", help="default: PLAUDIT_API_KEY, then the local stack's key")
    parser.add_argument("--base-url", metavar="URL", help="default: PLAUDIT_BASE_URL, then the local stack")
    parser.add_argument("--history", action="store_true", help="load the past: nothing is sent to anyone for it")
    parser.add_argument("--check", action="store_true", help="read and convert every row, send nothing")
    parser.add_argument("--restart", action="store_true", help="do not go on where an interrupted import stopped")
    text = "of the local stack; default: PLAUDIT_DATA_DIR"
    parser.add_argument("--data-dir", metavar="DIR", default=argparse.SUPPRESS, help=text)
    return parser


def run(args: argparse.Namespace) -> int:
    """Import, print the summary and return the exit code: 0 all is in, 3 some rows were refused, 1 it could not run."""
    order = Order(
        file=args.file,
        map_file=args.map_file,
        rejects=args.rejects,
        base_url=args.base_url,
        api_key=args.api_key,
        data_dir=getattr(args, "data_dir", None),
        history=args.history,
        check=args.check,
        restart=args.restart,
    )
    try:
        result = carried_out(order)
    except CannotRunError as error:
        print(f"plaudit import: {error}", file=sys.stderr)
        return COULD_NOT_RUN
    except KeyboardInterrupt:
        print("plaudit import: stopped; the same command goes on from here", file=sys.stderr)
        return COULD_NOT_RUN
    print(json.dumps(result.as_json()) if args.as_json else _summary(order, result))
    return SOME_REJECTED if result.counts.rejected else STORED


def carried_out(order: Order) -> Result:
    """Carry out an import.

    Args:
        order: what, and where to.

    Returns:
        Counts and rejects file.

    Raises:
        CannotRunError: it could not start or not go on; what was answered stays, and the next run goes on from there.
    """
    wanted = maps.load(order.map_file)
    with opened(order.file, wanted.file) as file:
        _check_columns(wanted, file.header)
        if order.check:
            nowhere = _Nowhere()
            return dataclasses.replace(_loaded(order, wanted, file, nowhere, "check"), example=nowhere.first)
        connection = connection_of(order.base_url, order.api_key, order.data_dir)
        where = f"{connection.base_url} {hashlib.sha256(connection.api_key.encode()).hexdigest()}"
        with Sender(connection.base_url, connection.api_key, wanted.target, history=order.history) as sender:
            return _loaded(order, wanted, file, sender, where)


class _Nowhere:
    """Stands for the API in a check: every item would be sent, none is, and the first is kept to be shown."""

    on_retry: Callable[[str], None]
    first: bytes | None = None

    def send(self, items: Sequence[bytes]) -> Answer:
        self.first = self.first or items[0]
        return Answer(0, 0, 0, ())


def _loaded(order: Order, wanted: Map, file: Opened, sender: Sends, where: str) -> Result:
    path = (order.rejects or Path(f"{order.file.name}.rejects.ndjson")).absolute()
    key = import_key(order.file, wanted.digest, where, str(order.history))
    checkpoint = Checkpoint(path.with_name(path.name + ".checkpoint"), key)
    saved = None if order.restart else checkpoint.load()
    done = saved or Progress(Counts(), 0)
    with opened(order.file, wanted.file) as again:
        doubt = order_in_doubt(wanted, again.rows)
    with _rejects(order, path, done) as rejects, reporting(order.file.name, file.size) as (report, say):
        sender.on_retry = say
        if saved:
            say(f"going on after row {saved.counts.rows:,}, where the last run stopped")

        def on_progress(counts: Counts) -> None:
            report(counts, file.position())

        load = Load(wanted, sender, rejects, checkpoint, done.counts, in_doubt=doubt, on_progress=on_progress)
        counts = load.run(file.rows)
    checkpoint.clear()
    return Result(counts, rejects.path if rejects.is_there else None)


def _rejects(order: Order, path: Path, done: Progress) -> RejectsFile:
    try:
        return RejectsFile(path, keep_bytes=done.rejects_bytes, named=order.rejects is not None)
    except OSError as error:
        message = f"the rejects file {path} cannot be written: {error.strerror}"
        raise CannotRunError(message) from None


def _check_columns(wanted: Map, header: Sequence[str] | None) -> None:
    if header is None:
        return
    for column, used_by in wanted.columns().items():
        name = column_name(column)
        if not isinstance(column, str):
            raise MapError(used_by, f"{name}: cells of a CSV file have no parts; name one column")
        if header.count(name) > 1:
            raise MapError(used_by, f"the file has {header.count(name)} columns named {name!r}; rename them apart")
        if name not in header:
            near = difflib.get_close_matches(name, header, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(header)}"
            delimiter = " (is file.delimiter right?)" if len(header) == 1 else ""
            raise MapError(used_by, f"the file has no column {name!r}; {hint}{delimiter}")


def _summary(order: Order, result: Result) -> str:
    counts = result.counts
    lines = [f"{order.file.name}: {counts.rows:,} rows" + (" read, nothing sent" if order.check else "")]
    named = ("stored", "duplicates", "unchanged", "skipped", "rejected")
    values = dataclasses.asdict(counts)
    lines += [f"  {name:<11}{values[name]:>12,}" for name in named if values[name] or name == "rejected"]
    if result.rejects_file and counts.rejected:
        lines.append(f"  why, row by row: {result.rejects_file}")
    if result.example:
        example = json.dumps(json.loads(result.example), ensure_ascii=False, indent=2)
        lines.append(f"\nThe first item as it would be sent:\n{example}")
    return "\n".join(lines)
