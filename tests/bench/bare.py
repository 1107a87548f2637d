"""The baseline: the least FastAPI and asyncpg that anyone would write for the same job, and an echo beside it.

`python -m tests.bench.bare PORT DSN` serves `POST /bare` (validate, insert one row, answer 201) and `POST /echo`.
"""

import sys
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg
import uvicorn
from fastapi import FastAPI, Response
from pydantic import BaseModel

TABLE = """create table if not exists bare (
    activity_id text primary key, customer_id text not null, type text not null, occurred_at timestamptz not null,
    channel text, value double precision, received_at timestamptz not null default now())"""
INSERT = """insert into bare (activity_id, customer_id, type, occurred_at, channel, value)
values ($1, $2, $3, $4, $5, $6) on conflict do nothing"""
UNNEST = """insert into bare (activity_id, customer_id, type, occurred_at, channel, value)
select * from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::float8[])
on conflict do nothing"""


class Activity(BaseModel):
    """What the product's own route takes, as far as the load uses it."""

    activity_id: str
    customer_id: str
    type: str
    occurred_at: datetime
    channel: str | None = None
    value: float | None = None


async def keep_session(_: asyncpg.Connection) -> None:
    """Spare each request the query by which asyncpg's pool resets a connection."""


def application(dsn: str) -> FastAPI:
    """Make the app with a pool of the size that was quickest here."""
    state: dict[str, asyncpg.Pool] = {}

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> Any:
        async with asyncpg.create_pool(dsn, min_size=16, max_size=16, reset=keep_session) as pool:
            state["pool"] = pool
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/bare", status_code=201)
    async def bare(item: Activity) -> Activity:
        values = (item.activity_id, item.customer_id, item.type, item.occurred_at, item.channel, item.value)
        await state["pool"].execute(INSERT, *values)
        return item

    @app.post("/echo", status_code=201)
    async def echo(item: Activity) -> Activity:
        return item

    @app.get("/ready")
    async def ready() -> Response:
        return Response()

    return app


if __name__ == "__main__":
    uvicorn.run(
        application(sys.argv[2]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
