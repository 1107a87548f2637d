"""Page tokens: where a list goes on. Opaque to callers, worth nothing to those who may not read the list anyway."""

import base64
import json
from datetime import datetime

DEFAULT_SIZE = 50
MAX_SIZE = 200


def size_of(page_size: int) -> int:
    """Return how many items a page holds: 0 reads as 50, more than 200 as 200."""
    return min(page_size, MAX_SIZE) if page_size > 0 else DEFAULT_SIZE


def token_of(*position: str) -> str:
    """Make the token of the last item shown."""
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def position_of(token: str, parts: int) -> list[str] | None:
    """Read a token back; None when it is not one of ours.

    Args:
        token: what a caller sent.
        parts: how many strings a position of this list has.
    """
    try:
        raw = base64.b64decode(token.encode() + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
        position = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(position, list) and len(position) == parts and all(isinstance(p, str) for p in position)
    if not whole or "\x00" in "".join(position):
        return None
    return [str(part) for part in position]


def time_of(text: str) -> datetime | None:
    """Read a time out of a position; None when it is none."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else None
