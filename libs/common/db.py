"""Connections of one process: one asyncpg pool for the hot path, a small SQLAlchemy Core pool, one for the pump."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from .settings import ServiceSettings

ACQUIRE_SECONDS = 3.0
"""How long a request waits for a connection before it answers UNAVAILABLE."""
COMMAND_SECONDS = 15.0
"""How long one statement may take."""

_SERVER_SETTINGS = {
    "lock_timeout": "4s",
    "statement_timeout": "14s",
    "idle_in_transaction_session_timeout": "30s",
    "jit": "off",
    "timezone": "UTC",
}


@dataclass(frozen=True)
class Database:
    """The pools of one process. Nothing else connects to its database."""

    hot: asyncpg.Pool
    """Ingest, consumers and timers, as the app role."""
    core: AsyncEngine
    """SQLAlchemy Core for everything that is not hot, as the app role."""
    pump: asyncpg.Pool
    """The relay and the finders of due work, as the pump role."""

    async def close(self) -> None:
        """Return every connection; what still runs after two seconds is cut."""
        await self.core.dispose()
        for pool in (self.hot, self.pump):
            try:
                await asyncio.wait_for(pool.close(), timeout=2)
            except TimeoutError:
                pool.terminate()


async def _keep_session(_: asyncpg.Connection) -> None:
    """Skip the reset query on release: no code here ever sets session state, and a test proves it."""


def _connector(dsn: str, name: str) -> Callable[..., Any]:
    async def connect(*_: Any, **__: Any) -> asyncpg.Connection:
        return await asyncpg.connect(
            dsn,
            timeout=3,
            command_timeout=COMMAND_SECONDS,
            statement_cache_size=200,
            max_cached_statement_lifetime=0,
            server_settings={**_SERVER_SETTINGS, "application_name": name},
        )

    return connect


async def connect(settings: ServiceSettings, name: str) -> Database:
    """Make the pools without opening a connection, so that a process starts while its database is away."""
    app_dsn = settings.database_url.get_secret_value()
    pump_dsn = settings.pump_database_url.get_secret_value()
    hot = await _pool(app_dsn, f"{name}-hot", settings.hot_pool_size)
    pump = await _pool(pump_dsn, f"{name}-pump", 2)
    core = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=_connector(app_dsn, f"{name}-core"),
        pool_size=settings.core_pool_size,
        max_overflow=0,
        pool_timeout=ACQUIRE_SECONDS,
        pool_pre_ping=True,
        pool_recycle=1800,
    )
    return Database(hot=hot, core=core, pump=pump)


async def _pool(dsn: str, name: str, size: int) -> asyncpg.Pool:
    return await asyncpg.create_pool(
        dsn,
        min_size=0,
        max_size=size,
        max_inactive_connection_lifetime=0,
        connect=_connector(dsn, name),
        reset=_keep_session,
    )


async def raw(conn: asyncpg.Connection | AsyncConnection) -> asyncpg.Connection:
    """Return the asyncpg connection beneath, in the same transaction, whichever of the two kinds came."""
    if isinstance(conn, AsyncConnection):
        return (await conn.get_raw_connection()).driver_connection  # type: ignore[return-value]
    return conn
