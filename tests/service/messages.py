"""Messages as a service's relay would publish them."""

import uuid
from collections.abc import Sequence
from typing import Any

from libs.common import clock
from plaudit.event.v1.event_batch_pb2 import Event, EventBatch


def message(tenant_id: uuid.UUID, payloads: Sequence[Any]) -> tuple[str, EventBatch]:
    """Return the subject and the message that carries payloads of one type."""
    now = clock.now()
    batch = EventBatch(message_id=clock.new_uuid(), tenant_id=str(tenant_id))
    for payload in payloads:
        event = Event(event_id=clock.new_id("evt"), occurred_at=now, recorded_at=now)
        event.payload = payload.SerializeToString()
        batch.events.append(event)
    return payloads[0].DESCRIPTOR.full_name, batch
