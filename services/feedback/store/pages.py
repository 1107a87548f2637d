"""Pages of lists: where one ends, and how the next one finds its beginning."""

import base64
import binascii
import json
import zlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa
from google.protobuf.message import Message

from libs.common.errors import InvalidArgument

_DEFAULT, _MOST = 50, 200
_LONGEST = 2_000
_SUM_BYTES = 4
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Row = TypeVar("Row")


class Page:
    """One page of a list: how many rows, and after which row.

    A token holds the sort values of the last row and a check sum over them and the filter, so that a token of another
    list, of another filter or with a bit flipped is refused rather than obeyed.

    Args:
        request: a List request with `page_size` and `page_token`; the other fields are the filter.
        columns: the sort key, unique as a whole; all of it ascending, or all of it descending.
        descending: newest first.
    """

    def __init__(self, request: Any, columns: Sequence[sa.Column[Any]], *, descending: bool) -> None:
        self.size = min(request.page_size or _DEFAULT, _MOST)
        self._columns = columns
        self._descending = descending
        self._filter = _filter_of(request)
        self._after = self._read(request.page_token) if request.page_token else None

    def apply(self, query: sa.Select[Any]) -> sa.Select[Any]:
        """Return the query cut to this page and one row more, which tells whether another page follows."""
        query = query.order_by(*(column.desc() if self._descending else column.asc() for column in self._columns))
        if self._after is not None:
            key = sa.tuple_(*self._columns)
            last = sa.tuple_(
                *(sa.literal(value, column.type) for value, column in zip(self._after, self._columns, strict=True))
            )
            query = query.where(key < last if self._descending else key > last)
        return query.limit(self.size + 1)

    def cut(self, rows: Sequence[Row], key: Callable[[Row], Sequence[Any]]) -> tuple[Sequence[Row], str]:
        """Return the rows of this page, and the token of the next one or an empty string."""
        if len(rows) <= self.size:
            return rows, ""
        return rows[: self.size], self._write(key(rows[self.size - 1]))

    def _write(self, values: Sequence[Any]) -> str:
        text = json.dumps([_plain(value) for value in values], separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._sum(text) + text).decode().rstrip("=")

    def _read(self, token: str) -> list[Any]:
        try:
            if len(token) > _LONGEST:
                raise ValueError  # noqa: TRY301 - one way out for every bad token
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            if raw[:_SUM_BYTES] != self._sum(raw[_SUM_BYTES:]):
                raise ValueError  # noqa: TRY301
            values = json.loads(raw[_SUM_BYTES:])
            return [_typed(value, column) for value, column in zip(values, self._columns, strict=True)]
        except (ValueError, TypeError, ArithmeticError, binascii.Error):
            raise InvalidArgument("CURSOR_INVALID", "the cursor is not of this list", pointer="?cursor") from None

    def _sum(self, text: bytes) -> bytes:
        return zlib.crc32(self._filter + text).to_bytes(_SUM_BYTES, "big")


def _filter_of(request: Message) -> bytes:
    copy = type(request)()
    copy.CopyFrom(request)
    copy.ClearField("page_size")
    copy.ClearField("page_token")
    return copy.DESCRIPTOR.full_name.encode() + copy.SerializeToString(deterministic=True)


def _plain(value: Any) -> str | int:
    if isinstance(value, datetime):
        delta = value - _EPOCH
        return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
    return str(value)


def _typed(value: Any, column: sa.Column[Any]) -> Any:
    if isinstance(column.type, sa.DateTime):
        return _EPOCH + timedelta(microseconds=value)
    if not isinstance(value, str):
        raise TypeError
    return value
