"""What the feedback service does with the others' events."""

from typing import Any

import asyncpg

from libs.common.events import Batch, Handler
from plaudit.profile.v1.profile_events_pb2 import CustomerChanged

from . import store


async def on_customer_changed(conn: asyncpg.Connection, batch: Batch[CustomerChanged]) -> None:
    """Remember which account a customer belongs to."""
    await store.save_accounts(conn, batch.tenant_id, (event.payload for event in batch.events))


HANDLERS: tuple[Handler[Any], ...] = (Handler(CustomerChanged, on_customer_changed),)
