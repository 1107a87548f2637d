"""Instants between datetime and protobuf."""

from datetime import datetime
from typing import overload

from google.protobuf.timestamp_pb2 import Timestamp


@overload
def stamp_of(at: datetime) -> Timestamp: ...
@overload
def stamp_of(at: None) -> None: ...
@overload
def stamp_of(at: datetime | None) -> Timestamp | None: ...
def stamp_of(at: datetime | None) -> Timestamp | None:
    """Return an instant as messages carry it; None stays None."""
    if at is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(at)
    return stamp
