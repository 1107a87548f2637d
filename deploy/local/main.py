"""The command `plaudit`: reads the command line and calls one function."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from deploy.local import clock, operations, status
from deploy.local.folder import PROCESSES, SERVICES, Folder, Trouble, default_root

_ALL_SCOPES = "all"
_DATA_DIR = "the stack's folder (default: PLAUDIT_DATA_DIR, else .plaudit in the repository)"

Run = Callable[[argparse.Namespace, Folder], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit code: 0 for success, 1 for trouble, 2 for a command line that cannot be read; `status` and `import`
        have one more each, 3.
    """
    words = sys.argv[1:] if argv is None else argv
    options = _parser(words).parse_args(words)
    named = getattr(options, "data_dir", None) or os.environ.get("PLAUDIT_DATA_DIR")
    run: Run = options.run
    try:
        return run(options, Folder(Path(named) if named else default_root()))
    except Trouble as trouble:
        sys.stderr.write(f"plaudit: {trouble}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--data-dir", metavar="DIR", default=argparse.SUPPRESS, help=_DATA_DIR)
    text = "The whole of Plaudit on one machine."
    parser = argparse.ArgumentParser(prog="plaudit", parents=[shared], description=text)
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, run: Run, text: str) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, parents=[shared], help=text, description=text)
        made.set_defaults(run=run)
        return made

    one = verb("up", _up, "start the stack, and stop it at Ctrl-C")
    one.add_argument("--detach", "-d", action="store_true", help="in the background, until `plaudit down`")
    verb("down", _down, "stop the stack")
    one = verb("status", _status, "say what runs")
    one.add_argument("--json", action="store_true")
    one = verb("logs", _logs, "print the end of the logs")
    one.add_argument("name", nargs="?", choices=(*PROCESSES, "supervisor", "stream", "initdb"), metavar="NAME")
    one.add_argument("--follow", "-f", action="store_true", help="go on until Ctrl-C")
    verb("doctor", _doctor, "look at machine and stack, and say what to do")
    _add_events(verb)
    _add_clock(verbs, shared)
    _add_keys(verb, verbs, shared)
    one = verb("demo", _demo, "start the stack, import a small simulated export, and show what comes out")
    one.add_argument("--exit", action="store_true", help="leave after the report, and stop what it started")
    _add_import(verbs, asked_for="import" in argv)
    return parser


def _add_events(verb: Callable[[str, Run, str], argparse.ArgumentParser]) -> None:
    one = verb("replay", _replay, "let every service publish its events again; nothing takes effect twice")
    one.add_argument("--from", dest="since", required=True, metavar="TIME", help="such as 2026-12-01T00:00:00Z")
    one = verb("redrive", _redrive, "send parked events (dead letters) again")
    one.add_argument("service", nargs="?", choices=SERVICES)


def _add_clock(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]", shared: argparse.ArgumentParser) -> None:
    text = "move the time of the whole stack"
    actions = verbs.add_parser("clock", help=text, description=text).add_subparsers(required=True, metavar="ACTION")
    one = actions.add_parser("set", parents=[shared], help="to a time, or back to `real`")
    one.add_argument("time", help="2026-12-01T00:00:00Z, or real")
    one.set_defaults(run=_clock_set)
    one = actions.add_parser("advance", parents=[shared], help="by a span")
    one.add_argument("span", help="90s, 15m, 36h, 3d, 2w, 1d12h")
    one.set_defaults(run=_clock_advance)
    one = actions.add_parser("show", parents=[shared], help="the time as the stack sees it")
    one.set_defaults(run=_clock_show)


def _add_keys(
    verb: Callable[[str, Run, str], argparse.ArgumentParser],
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]",
    shared: argparse.ArgumentParser,
) -> None:
    one = verb("key", _key, "print the API key, or make another")
    one.add_argument("--internal", action="store_true", help="the credential with which internal teams call gRPC")
    one.add_argument("--create", metavar="NAME", help="make a key of this name")
    one.add_argument("--scopes", default=_ALL_SCOPES, help="comma-separated, such as feedback:read (default: all)")
    one.add_argument("--tenant", metavar="ID", help="whose key (default: the stack's first tenant)")
    one.add_argument("--json", action="store_true")
    text = "tenants of the stack"
    actions = verbs.add_parser("tenant", help=text, description=text).add_subparsers(required=True, metavar="ACTION")
    one = actions.add_parser("create", parents=[shared], help="make a tenant with a first key of all scopes")
    one.add_argument("name")
    one.add_argument("--test", action="store_true", help="a test tenant: its keys carry the word")
    one.add_argument("--json", action="store_true")
    one.set_defaults(run=_tenant_create)


def _add_import(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]", *, asked_for: bool) -> None:
    if not asked_for:  # the importer brings an HTTP client along, which no other verb should wait for
        verbs.add_parser("import", help="load an export of another system (CSV or NDJSON, also .gz)")
        return
    from deploy.local.importer import command

    command.add_parser(verbs).set_defaults(run=lambda options, _: command.run(options))


def _up(options: argparse.Namespace, folder: Folder) -> int:
    from deploy.local import up

    return up.detach(folder) if options.detach else up.run(folder)


def _down(_: argparse.Namespace, folder: Folder) -> int:
    return operations.down(folder)


def _status(options: argparse.Namespace, folder: Folder) -> int:
    return status.print_status(folder, as_json=options.json)


def _logs(options: argparse.Namespace, folder: Folder) -> int:
    return operations.logs(folder, options.name, follow=options.follow)


def _doctor(_: argparse.Namespace, folder: Folder) -> int:
    from deploy.local import doctor

    return doctor.run(folder)


def _replay(options: argparse.Namespace, folder: Folder) -> int:
    return operations.replay(folder, options.since)


def _redrive(options: argparse.Namespace, folder: Folder) -> int:
    return operations.redrive(folder, options.service)


def _clock_set(options: argparse.Namespace, folder: Folder) -> int:
    return _print_time(clock.set_to(folder, options.time).isoformat())


def _clock_advance(options: argparse.Namespace, folder: Folder) -> int:
    return _print_time(clock.advance(folder, options.span).isoformat())


def _clock_show(_: argparse.Namespace, folder: Folder) -> int:
    return _print_time(clock.present(folder).isoformat())


def _print_time(text: str) -> int:
    sys.stdout.write(text + "\n")
    return 0


def _key(options: argparse.Namespace, folder: Folder) -> int:
    if not options.create:
        return operations.show_key(folder, internal=options.internal)
    return operations.create_key(
        folder, options.create, scopes=options.scopes, tenant=options.tenant, as_json=options.json,
    )  # fmt: skip


def _tenant_create(options: argparse.Namespace, folder: Folder) -> int:
    return operations.create_tenant(folder, options.name, test=options.test, as_json=options.json)


def _demo(options: argparse.Namespace, folder: Folder) -> int:
    from deploy.local.demo import command

    return command.run(folder, leave=options.exit)
