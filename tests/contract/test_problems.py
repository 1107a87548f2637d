"""Every reason that the code refuses with is in the catalogue, and the catalogue names no other."""

import ast
from pathlib import Path

import grpc
import pytest
from google.rpc import code_pb2

from libs.common import errors
from services.gateway import problems

KINDS = {kind.__name__ for kind in errors.ServiceError.__subclasses__()}
REFUSING = {*KINDS, "rejected", "refuse", "refused", "Problem", "Fault", "unavailable", "Refusal", "Rejection"}
INTERNAL = {"TENANT_MISSING", "DEADLINE_MISSING", "CREDENTIAL_INVALID"}
"""What only an internal caller over gRPC can meet: docs/grpc.md has these."""


def reasons():
    for path in sorted([*Path("libs").rglob("*.py"), *Path("services").rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if name in REFUSING:
                    for argument in node.args[:3]:
                        if isinstance(argument, ast.Constant) and is_reason(argument.value):
                            yield argument.value, path


def is_reason(value):
    return isinstance(value, str) and value.isupper() and value.replace("_", "").isalnum() and len(value) > 3


def test_every_reason_is_explained():
    missing = {reason: str(path) for reason, path in reasons() if reason not in problems.CATALOGUE}
    assert {reason: path for reason, path in missing.items() if reason not in INTERNAL} == {}


@pytest.mark.parametrize("kind", errors.ServiceError.__subclasses__())
def test_every_kind_of_error_has_a_status(kind):
    assert 400 <= problems.STATUS_OF_KIND[kind] <= 503


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_every_grpc_status_becomes_a_problem_without_its_text(code):
    error = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details="secret dsn")
    problem = problems.of_rpc(error)
    assert 400 <= problem.status <= 503
    assert b"secret" not in problems.body_of(problem, "r")
    assert (problem.status == 503) is ("Retry-After" in problem.headers)


def test_metadata_becomes_members_and_pointer():
    error = errors.FailedPrecondition("ASK_REFUSED", "refused", pointer="/kinds", earliest_at="2026-01-01T00:00:00Z")
    problem = problems.of_service(error)
    assert problem.status == 409
    assert problem.faults[0].pointer == "/kinds"
    assert problem.extra == {"earliest_at": "2026-01-01T00:00:00Z"}


def test_the_codes_of_google_are_those_of_grpc():
    assert {kind.code for kind in errors.ServiceError.__subclasses__()} <= set(code_pb2.Code.values())
