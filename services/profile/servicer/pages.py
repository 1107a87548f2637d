"""What the lists and batches of this service share at their edge."""

from datetime import datetime

from libs.common.errors import InvalidArgument

from .. import domain

MOST_ITEMS = 256


def position_after(token: str) -> tuple[datetime | None, str] | None:
    """Read the position (time, id) that a page token stands for; None without a token.

    Raises:
        InvalidArgument: CURSOR_INVALID.
    """
    if not token:
        return None
    position = domain.position_of(token, 2)
    at = domain.time_of(position[0]) if position else None
    if position is None or at is None:
        raise InvalidArgument("CURSOR_INVALID", "not a cursor of this list", pointer="?cursor")
    return at, position[1]


def id_after(token: str) -> tuple[datetime | None, str] | None:
    """Read the position (None, id) that a page token stands for; None without a token.

    Raises:
        InvalidArgument: CURSOR_INVALID.
    """
    if not token:
        return None
    position = domain.position_of(token, 1)
    if position is None:
        raise InvalidArgument("CURSOR_INVALID", "not a cursor of this list", pointer="?cursor")
    return None, position[0]
