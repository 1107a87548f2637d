"""What the tests of the profile service share: its stubs, a call of the test's tenant, and things to send."""

import json
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import pytest

from libs.common import clock
from plaudit.profile.v1 import profile_service_pb2 as pb
from plaudit.profile.v1 import profile_service_pb2_grpc as rpc
from plaudit.profile.v1.profile_pb2 import Activity, Customer

from ..messages import message

Call = Callable[..., Awaitable[Any]]


def customer(customer_id: str, **fields: Any) -> Customer:
    """A customer with traits and goals given as Python values."""
    for name in ("traits", "goals"):
        if name in fields:
            fields[name] = json.dumps(fields[name]).encode()
    return Customer(customer_id=customer_id, **fields)


def activity(activity_id: str, kind: str = "purchase.completed", at: datetime | None = None, **fields: Any) -> Activity:
    """An activity of now, unless said otherwise."""
    return Activity(activity_id=activity_id, type=kind, occurred_at=at or clock.now(), **fields)


@pytest.fixture
async def call(channel: Any, metadata: Any, tenant: uuid.UUID) -> Call:
    """Call an RPC of the profile service by its name, for the test's tenant or another."""
    opened = await channel("profile")
    stubs = (rpc.CustomerServiceStub(opened), rpc.ActivityServiceStub(opened))

    async def send(name: str, of: uuid.UUID | None = None, **fields: Any) -> Any:
        headers = fields.pop("headers", {})
        request = getattr(pb, f"{name}Request")(**fields)
        method = next(getattr(stub, name) for stub in stubs if hasattr(stub, name))
        return await method(request, metadata=metadata(of or tenant, **headers), timeout=20)

    return send


@pytest.fixture
def save(call: Call) -> Call:
    """Replace one customer; with `fields`, merge those."""

    async def send(customer_id: str, fields: list[str] | None = None, **values: Any) -> pb.SaveCustomerResponse:
        more = {key: values.pop(key) for key in ("versions", "must_exist") if key in values}
        if fields is not None:
            more["update_mask"] = {"paths": fields}
        return await call("SaveCustomer", customer=customer(customer_id, **values), **more)

    return send


@pytest.fixture
def record(call: Call) -> Call:
    """Record activities; return what became of each."""

    async def send(*activities: Activity, of: uuid.UUID | None = None, **context: Any) -> list[Any]:
        items = [pb.ActivityItem(activity=one, context=context) for one in activities]
        return list((await call("RecordActivities", of, items=items)).results)

    return send


@pytest.fixture
def view(call: Call) -> Call:
    """Read the 360 view of one customer."""

    async def read(customer_id: str, of: uuid.UUID | None = None) -> Any:
        return (await call("GetCustomer", of, customer_id=customer_id)).view

    return read


@pytest.fixture
async def tell(publish: Call, world: Any, tenant: uuid.UUID) -> Call:
    """Publish payloads of one type as one message of the test's tenant."""
    await world.service("profile")

    async def send(*payloads: Any) -> None:
        await publish(message(tenant, payloads))

    return send


@pytest.fixture
def told(world: Any, tenant: uuid.UUID) -> Call:
    """Read the events of a type that the test's tenant caused, oldest first."""

    async def read(kind: type[Any]) -> list[Any]:
        from plaudit.event.v1.event_batch_pb2 import EventBatch  # noqa: PLC0415

        conn = await world.connect("profile", tenant)
        try:
            rows = await conn.fetch(
                "select payload from outbox where subject = $1 order by created_at, message_id",
                kind.DESCRIPTOR.full_name,
            )
        finally:
            await conn.close()
        return [kind.FromString(e.payload) for row in rows for e in EventBatch.FromString(row["payload"]).events]

    return read


@pytest.fixture
def count(world: Any, tenant: uuid.UUID) -> Call:
    """Count the rows of a query of the test's tenant."""

    async def read(sql: str, *arguments: Any) -> int:
        conn = await world.connect("profile", tenant)
        try:
            found: int = await conn.fetchval(sql, *arguments)
        finally:
            await conn.close()
        return found

    return read
