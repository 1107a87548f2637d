"""Reasons of refusals: UPPER_SNAKE, each in the catalogue, each with one HTTP status, and no word left over."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import grpc

from libs.common import errors
from services.gateway import problems

KINDS = {kind.__name__: kind for kind in errors.ServiceError.__subclasses__()}
ITEM_REFUSALS = {"rejected", "refuse", "refused", "Fault"}
"""Calls that refuse a field or an item: 422, unless the one map of statuses says otherwise."""
INTERNAL = {"TENANT_MISSING", "DEADLINE_MISSING", "CREDENTIAL_INVALID"}
"""What only an internal caller over gRPC can meet."""
NO_REASONS = {"OPENS_CASE", "TOO_OLD", "ANONYMOUS"}
"""Words of the domain that look like reasons and refuse nothing."""
OF_THE_ENVIRONMENT = re.compile(r"OTEL_.*|.*_(FILE|URL|BYTES|REPLICAS)")
TWO_FACED = {"JSON_INVALID": {400, 422}}
"""400 where a whole body is no JSON, 422 where a part of an item is none."""
CATALOGUE_ONLY = {"INTERNAL", "UNAUTHENTICATED"}
"""One word each, so that no search for UPPER_SNAKE finds them."""

PROTOS = sorted(Path("protos/plaudit").rglob("*_service.proto"))
ENUM_WORDS = {"NOT_ASKED", "ACTION_TAKEN"}
"""Values of enums that comments speak of."""

_REASON = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")
SOURCES = sorted([*Path("libs").rglob("*.py"), *Path("services").rglob("*.py")])
CATALOGUE_FILE = Path("services/gateway/problems/catalogue.py")


def words() -> Iterator[str]:
    """Give every UPPER_SNAKE text in the code, but for the names that a package exports and the catalogue itself."""
    for path in SOURCES:
        exported: set[int] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
                exported |= {id(name) for name in ast.walk(node)}
            if path != CATALOGUE_FILE and isinstance(node, ast.Constant) and id(node) not in exported:
                yield str(node.value)


def found() -> set[str]:
    wanted = {word for word in words() if _REASON.fullmatch(word) and not OF_THE_ENVIRONMENT.fullmatch(word)}
    return wanted - NO_REASONS - INTERNAL


def calls() -> Iterator[tuple[str, list[object]]]:
    """Give every call in the code: its last name, and its arguments where they are constants."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                yield name, [getattr(argument, "value", None) for argument in node.args]


def status_of(name: str, arguments: list[object]) -> Iterator[tuple[str, int]]:
    reasons = [str(argument) for argument in arguments if _REASON.fullmatch(str(argument))][:1]
    for reason in reasons:
        if name in KINDS:
            yield reason, problems.STATUS_OF_REASON.get(reason, problems.STATUS_OF_KIND[KINDS[name]])
        elif name in ITEM_REFUSALS:
            yield reason, problems.STATUS_OF_REASON.get(reason, 422)
        elif name == "Problem" and isinstance(arguments[0], int):
            yield reason, arguments[0]


def test_every_reason_is_in_the_catalogue() -> None:
    assert found() - set(problems.CATALOGUE) == set()


def test_the_catalogue_has_no_reason_that_nothing_gives() -> None:
    assert set(problems.CATALOGUE) - found() == {*CATALOGUE_ONLY, "BLANK"}


def test_every_code_of_the_catalogue_is_upper_snake() -> None:
    assert [code for code in problems.CATALOGUE if not re.fullmatch(r"[A-Z]+(_[A-Z0-9]+)*", code)] == []


def test_every_code_says_why_and_what_to_do() -> None:
    texts = [text for pair in problems.CATALOGUE.values() for text in pair]
    assert [text for text in texts if not re.fullmatch(r".{4,}\.", text)] == []


def test_the_protos_name_reasons_that_there_are() -> None:
    comments = " ".join(re.findall(r"^ *// (.*)$", "\n".join(path.read_text() for path in PROTOS), re.MULTILINE))
    named = {match[0] for match in re.finditer(_REASON, comments)} - {code.name for code in grpc.StatusCode}
    assert named - found() - INTERNAL - ENUM_WORDS == set()


def test_every_reason_has_one_status() -> None:
    statuses: dict[str, set[int]] = {}
    for name, arguments in calls():
        for reason, status in status_of(name, arguments):
            statuses.setdefault(reason, set()).add(status)
    assert {reason: seen for reason, seen in statuses.items() if len(seen) > 1} == TWO_FACED


def test_every_status_of_its_own_is_of_a_reason_there_is() -> None:
    assert set(problems.STATUS_OF_REASON) - set(problems.CATALOGUE) == {"TENANT_MISSING"}
