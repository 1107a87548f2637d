"""What the contract tests ask of each database: its catalogue, as an administrator sees it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest

SERVICES = ("profile", "feedback", "referral", "scoring", "gateway")
Catalogue = Callable[..., Awaitable[list[Any]]]


@pytest.fixture
async def catalogue(world: Any) -> AsyncIterator[Catalogue]:
    """Run a query on a service's database as its owner; return its rows, or its values where it has one column."""
    opened: dict[str, asyncpg.Connection] = {}

    async def ask(service: str, query: str, *arguments: Any) -> list[Any]:
        if service not in opened:
            opened[service] = await world.connect(service, role="owner")
        rows = await opened[service].fetch(query, *arguments)
        return [row[0] if len(row) == 1 else tuple(row) for row in rows]

    yield ask
    for conn in opened.values():
        await conn.close()
