"""One envelope, one delivery promise: outbox, relay, stream, inbox, dead letters, replay."""

from .broker import Broker, ensure_stream, request_replay
from .consume import Batch, Handler, Received, consume
from .deadletters import redrive
from .emit import emit, frame, header
from .relay import relay

__all__ = [
    "Batch",
    "Broker",
    "Handler",
    "Received",
    "consume",
    "emit",
    "ensure_stream",
    "frame",
    "header",
    "redrive",
    "relay",
    "request_replay",
]
