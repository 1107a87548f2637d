"""Instants between datetime and protobuf."""

from datetime import UTC, datetime
from typing import overload

from google.protobuf.timestamp_pb2 import Timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_SECONDS = 86_400


@overload
def stamp_of(at: datetime) -> Timestamp: ...
@overload
def stamp_of(at: None) -> None: ...
@overload
def stamp_of(at: datetime | None) -> Timestamp | None: ...
def stamp_of(at: datetime | None) -> Timestamp | None:
    """Return an aware instant as messages carry it; None stays None."""
    if at is None:
        return None
    since = at - _EPOCH
    return Timestamp(seconds=since.days * _DAY_SECONDS + since.seconds, nanos=since.microseconds * 1_000)
