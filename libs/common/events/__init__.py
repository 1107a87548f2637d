"""One envelope, one delivery promise: outbox, relay, stream, inbox, dead letters, replay."""

from .broker import Broker as Broker
from .broker import ensure_stream as ensure_stream
from .broker import request_replay as request_replay
from .consume import Batch as Batch
from .consume import Handler as Handler
from .consume import Received as Received
from .consume import consume as consume
from .emit import emit as emit
from .emit import frame as frame
from .emit import header as header
from .emit import lead as lead
from .relay import relay as relay
