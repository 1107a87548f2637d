"""What the API tests share: facts that are good as they are, and the shape of a problem."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

PROBLEM_FIELDS = {"type", "title", "status", "detail", "code", "request_id", "errors"}
MAX_PROBLEM_BYTES = 2_048


def check_problem(reply: httpx.Response, status: int, code: str | None = None, pointer: str | None = None) -> Any:
    """Check that an answer is a well-formed problem, and return it."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    body = reply.json()
    assert set(body) >= PROBLEM_FIELDS
    assert body["status"] == status
    assert body["request_id"] == reply.headers["request-id"]
    assert len(reply.content) <= MAX_PROBLEM_BYTES
    if code is not None:
        assert body["code"] == code, body
    if pointer is not None:
        assert pointer in [error["pointer"] for error in body["errors"]], body
    return body


@pytest.fixture
def problem() -> Callable[..., Any]:
    """Check a problem: `problem(reply, 422, "ID_INVALID", "/activity_id")`."""
    return check_problem


GOOD: dict[str, dict[str, Any]] = {
    "activities": {
        "activity_id": "act-1",
        "customer_id": "cust-1",
        "type": "purchase.completed",
        "occurred_at": "2026-01-02T03:04:05Z",
    },
    "responses": {
        "response_id": "resp-1",
        "customer_id": "cust-1",
        "metric": "nps",
        "score": 9,
        "occurred_at": "2026-01-02T03:04:05Z",
    },
    "mentions": {
        "mention_id": "ment-1",
        "site": "forum",
        "text": "Works well.",
        "occurred_at": "2026-01-02T03:04:05Z",
    },
}


@pytest.fixture
def good() -> Callable[..., dict[str, Any]]:
    """Make a good fact of a kind, with changes; the value `...` takes a field out."""

    def make(plural: str, **changes: Any) -> dict[str, Any]:
        made = {**GOOD[plural], **changes}
        return {name: value for name, value in made.items() if value is not ...}

    return make
