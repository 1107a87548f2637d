"""Lists and versions: signed cursors, bound to tenant and filter, and the tags of If-Match."""

import base64
import hmac
import re
import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from ..problems import Fault, Problem

_SIGNATURE_BYTES = 12
_TAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e]{0,64})"\Z').match


class Cursors:
    """Turns a service's page tokens into cursors that only the same tenant can use, with the same filter.

    Args:
        secret: keys the signatures.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = hmac.digest(secret, b"cursor", "sha256")

    def seal(self, tenant_id: uuid.UUID, what: str, filters: Mapping[str, Any], token: str) -> str | None:
        """Return the cursor of a page token; None where there is no further page."""
        if not token:
            return None
        signature = self._sign(tenant_id, what, filters, token.encode())
        return _written(signature + token.encode())

    def open(self, tenant_id: uuid.UUID, what: str, filters: Mapping[str, Any], cursor: str | None) -> str:
        """Return the page token of a cursor; empty for the first page. 400 CURSOR_INVALID."""
        if cursor is None:
            return ""
        token = self._token_of(tenant_id, what, filters, cursor)
        if token is None:
            detail = "a cursor is the next_cursor of the same list with the same filters"
            raise Problem(400, "CURSOR_INVALID", detail, faults=[Fault("?cursor", "CURSOR_INVALID", detail)])
        return token

    def _token_of(self, tenant_id: uuid.UUID, what: str, filters: Mapping[str, Any], cursor: str) -> str | None:
        try:
            padding = b"=" * (-len(cursor) % 4)
            packed = base64.b64decode(cursor.encode("ascii") + padding, altchars=b"-_", validate=True)
        except ValueError:
            return None
        signature, token = packed[:_SIGNATURE_BYTES], packed[_SIGNATURE_BYTES:]
        # The last character may hold bits that say nothing: a cursor is what we wrote, to the letter.
        if not token or _written(packed) != cursor:
            return None
        if not hmac.compare_digest(signature, self._sign(tenant_id, what, filters, token)):
            return None
        return token.decode()

    def _sign(self, tenant_id: uuid.UUID, what: str, filters: Mapping[str, Any], token: bytes) -> bytes:
        bound = msgspec.json.encode([str(tenant_id), what, filters], order="deterministic")
        return hmac.digest(self._secret, bound + b"\0" + token, "sha256")[:_SIGNATURE_BYTES]


def _written(packed: bytes) -> str:
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def etag(version: int) -> str:
    """Return the entity tag of a version."""
    return f'"{version}"'


def versions_of(if_match: str | None) -> list[int]:
    """Return the versions that If-Match names; empty for any (absent, or `*`). A strange tag matches nothing.

    Raises:
        Problem: 400 IF_MATCH_INVALID.
    """
    if if_match is None or if_match.strip() == "*":
        return []
    found = []
    for part in if_match.split(","):
        tag = _TAG(part.strip())
        if not tag:
            raise Problem(400, "IF_MATCH_INVALID", "If-Match holds entity tags in double quotes, or *")
        # If-Match compares strongly: a weak tag never matches.
        ours = tag[1].isascii() and tag[1].isdigit() and len(tag[1]) <= 18 and not part.strip().startswith("W/")
        found.append(int(tag[1]) if ours else -1)
    return found
