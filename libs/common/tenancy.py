"""The tenant's transaction: the only way to a connection, and who is calling."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import asyncpg
import grpc
import sqlalchemy as sa
from asyncpg.pool import PoolConnectionProxy
from sqlalchemy.ext.asyncio import AsyncConnection

from .db import ACQUIRE_SECONDS, Database
from .errors import InvalidArgument

TENANT_KEY = "x-plaudit-tenant"
REQUEST_KEY = "x-request-id"
IDEMPOTENCY_KEY = "x-idempotency-key"
ACTOR_KEY = "x-actor"
REPLAYED_KEY = "x-plaudit-replayed"

caller_name: ContextVar[str] = ContextVar("caller_name", default="")
"""The service credential's name, set by the server once it has checked the credential."""

_SET_TENANT = sa.text("select set_config('app.tenant', :tenant, true)")


@dataclass(frozen=True, slots=True)
class Call:
    """Who calls, for whom: what every RPC's metadata says."""

    tenant_id: uuid.UUID
    request_id: str = ""
    caller: str = ""
    """The service credential's name."""
    actor: str = ""
    """The API key's id, or the caller where there is none."""
    idempotency_key: str = ""


if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]
else:
    # Generic in the stubs only.
    Context = grpc.aio.ServicerContext


def call_of(context: Context) -> Call:
    """Read the call's metadata. INVALID_ARGUMENT / TENANT_MISSING where it names no tenant."""
    metadata = dict(context.invocation_metadata() or ())
    try:
        tenant_id = uuid.UUID(str(metadata.get(TENANT_KEY, "")))
    except ValueError:
        raise InvalidArgument("TENANT_MISSING", f"the call names no tenant in {TENANT_KEY}") from None
    caller = caller_name.get()
    return Call(
        tenant_id=tenant_id,
        request_id=str(metadata.get(REQUEST_KEY, "")),
        caller=caller,
        actor=str(metadata.get(ACTOR_KEY, "")) or caller,
        idempotency_key=str(metadata.get(IDEMPOTENCY_KEY, "")),
    )


@asynccontextmanager
async def transaction(db: Database, of: Context | Call | uuid.UUID) -> AsyncIterator[AsyncConnection]:
    """Open one Core transaction under the caller's tenant; it commits on a clean exit."""
    async with db.core.connect() as conn, conn.begin():
        await conn.execute(_SET_TENANT, {"tenant": str(_tenant(of))})
        yield conn


@asynccontextmanager
async def hot(db: Database, of: Context | Call | uuid.UUID) -> AsyncIterator[asyncpg.Connection]:
    """Open one asyncpg transaction under the caller's tenant, in one round trip; it commits on a clean exit."""
    # A UUID has no character that SQL could misread, and one simple query saves a round trip.
    begin = f"begin; set local app.tenant = '{_tenant(of)}'"
    async with db.hot.acquire(timeout=ACQUIRE_SECONDS) as proxy, _begun(proxy, begin) as conn:
        yield conn


@asynccontextmanager
async def pumping(db: Database) -> AsyncIterator[asyncpg.Connection]:
    """Open one transaction of the pump role: outbox, inbox, dead letters and timers of every tenant."""
    async with db.pump.acquire(timeout=ACQUIRE_SECONDS) as proxy, _begun(proxy, "begin") as conn:
        yield conn


@asynccontextmanager
async def _begun(proxy: PoolConnectionProxy, begin: str) -> AsyncIterator[asyncpg.Connection]:
    conn = cast("asyncpg.Connection", proxy)
    try:
        await conn.execute(begin)
        yield conn
        await conn.execute("commit")
    except BaseException:
        # Cut the connection rather than hand it on with a transaction open.
        try:
            await conn.execute("rollback", timeout=2)
        except BaseException:
            conn.terminate()
        raise


def _tenant(of: Context | Call | uuid.UUID) -> uuid.UUID:
    if isinstance(of, uuid.UUID):
        return of
    return of.tenant_id if isinstance(of, Call) else call_of(of).tenant_id
