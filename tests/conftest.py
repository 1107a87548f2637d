"""One stack a session: a real PostgreSQL, a real broker, and each service in this process once it is asked for.

Tests isolate by a fresh tenant. Nothing is mocked, nothing listens on a fixed port.
"""

import asyncio
import importlib
import importlib.util
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import httpx
import pytest

from deploy.local import databases
from deploy.local.environment import role_dsn, service_environment
from deploy.local.folder import SERVICES, Folder
from deploy.local.stack import Stack
from libs.common import clock, migrate, timers
from libs.common.events import ensure_stream
from libs.common.server import Running, running


class World:
    """The session's servers, and the services that were asked for so far."""

    def __init__(self, stack: Stack, exits: AsyncExitStack) -> None:
        self.stack = stack
        self._exits = exits
        self._running: dict[str, Running] = {}

    def dsn(self, service: str, role: str = "app") -> str:
        """Return the DSN of a service's database for one of its roles."""
        password = self.stack.secrets["roles"][service][role]
        return role_dsn(self.stack.addresses.admin_dsn, service=service, role=role, password=password)

    async def connect(self, service: str, tenant_id: uuid.UUID | None = None, role: str = "app") -> asyncpg.Connection:
        """Open a connection of the app role (or another), under a tenant where one is given. The caller closes it."""
        conn = await asyncpg.connect(self.dsn(service, role))
        if tenant_id:
            await conn.execute("select set_config('app.tenant', $1, false)", str(tenant_id))
        return conn

    async def service(self, name: str) -> Running:
        """Return a running service, started in this process when first asked for."""
        if name not in self._running:
            env = service_environment(
                name, folder=self.stack.folder, secrets=self.stack.secrets, addresses=self.stack.addresses
            )
            if name == "gateway":
                env["HTTP_ADDRESS"] = "127.0.0.1:0"
                for other in SERVICES[:-1]:
                    env[f"{other.upper()}_ADDRESS"] = (await self.service(other)).address
            else:
                env["GRPC_ADDRESS"] = "127.0.0.1:0"
            settings = importlib.import_module(f"services.{name}.settings")
            fields = settings.Settings.model_fields
            values: dict[str, Any] = {key.lower(): value for key, value in env.items() if key.lower() in fields}
            build = importlib.import_module(f"services.{name}.service").build
            self._running[name] = await self._exits.enter_async_context(running(build, settings.Settings(**values)))
        return self._running[name]

    def assert_alive(self) -> None:
        """Fail when a loop of a service died unseen: in production its process would have ended."""
        for up in self._running.values():
            if up.failed.done():
                up.failed.result()

    async def prepare(self) -> None:
        """Make and migrate the databases, the stream and its durables."""
        for name in SERVICES:
            secrets = self.stack.secrets["roles"][name]
            await databases.bootstrap(self.stack.addresses.admin_dsn, name, secrets)
            await migrate.migrate(self.dsn(name, "owner"), f"services.{name}")
        handlers: dict[str, list[Any]] = {}
        for name in SERVICES:
            found = importlib.util.find_spec(f"services.{name}.consumers")
            handlers[name] = list(importlib.import_module(f"services.{name}.consumers").HANDLERS) if found else []
        await ensure_stream(self.stack.addresses.nats_url, handlers)

    async def new_tenant(self, *, is_test: bool = False) -> dict[str, str]:
        """Make a tenant with a key of all scopes: {"tenant_id", "api_key"}."""
        admin = importlib.import_module("services.gateway.admin")
        env = service_environment(
            "gateway", folder=self.stack.folder, secrets=self.stack.secrets, addresses=self.stack.addresses
        )
        made: dict[str, str] = await admin.create_tenant(
            dsn=env["DATABASE_URL"], pepper=env["KEY_PEPPER"], name="test", is_test=is_test
        )
        return made


@pytest.fixture(scope="session")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A PostgreSQL and a broker of this session's own, migrated, with the stream made."""
    folder = Folder(Path(tmp_path_factory.mktemp("stack")))
    folder.create()
    stack = Stack(folder, lambda _: None)
    try:
        await stack.start_servers()
        async with AsyncExitStack() as exits:
            made = World(stack, exits)
            await made.prepare()
            yield made
            made.assert_alive()
    finally:
        clock.use_file(None)
        for child in timers._children:
            child.kill()
            child.wait()
        await stack.stop()


@pytest.fixture
def tenant() -> uuid.UUID:
    """A tenant that nobody else uses."""
    return uuid.uuid4()


@pytest.fixture
def metadata(world: World) -> Callable[..., tuple[tuple[str, str], ...]]:
    """Make the metadata of a call for a tenant, as an internal team sends it."""

    def make(tenant_id: uuid.UUID, **more: str) -> tuple[tuple[str, str], ...]:
        token = world.stack.secrets["credentials"]["internal"]
        extra = tuple((key.replace("_", "-"), value) for key, value in more.items())
        return (("authorization", f"Bearer {token}"), ("x-plaudit-tenant", str(tenant_id)), *extra)

    return make


@pytest.fixture
async def channel(world: World) -> AsyncIterator[Callable[[str], Awaitable[grpc.aio.Channel]]]:
    """Open a channel to a service by its name."""
    opened: list[grpc.aio.Channel] = []

    async def open_to(name: str) -> grpc.aio.Channel:
        made = grpc.aio.insecure_channel((await world.service(name)).address)
        opened.append(made)
        return made

    yield open_to
    for made in opened:
        await made.close()


@pytest.fixture
async def client(world: World) -> AsyncIterator[Callable[..., Awaitable[httpx.AsyncClient]]]:
    """Make an HTTP client of a fresh tenant, or of a given key."""
    opened: list[httpx.AsyncClient] = []

    async def make(api_key: str | None = None) -> httpx.AsyncClient:
        gateway = await world.service("gateway")
        key = api_key or (await world.new_tenant())["api_key"]
        made = httpx.AsyncClient(
            base_url=f"http://{gateway.address}", headers={"Authorization": f"Bearer {key}"}, timeout=20
        )
        opened.append(made)
        return made

    yield make
    for made in opened:
        await made.aclose()


@pytest.fixture
async def api(client: Callable[..., Awaitable[httpx.AsyncClient]]) -> httpx.AsyncClient:
    """An HTTP client of a fresh tenant with all scopes."""
    return await client()


@pytest.fixture
def children(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the jobs of the scoring service find in this process's environment what `plaudit up` puts there."""
    stack = world.stack
    env = service_environment("scoring", folder=stack.folder, secrets=stack.secrets, addresses=stack.addresses)
    for name, value in env.items():
        monkeypatch.setenv(name, value)


Eventually = Callable[..., Awaitable[Any]]


@pytest.fixture
def eventually() -> Eventually:
    """Wait until an awaitable check returns something true, and return it; fail after a time."""

    async def wait(check: Callable[[], Awaitable[Any]], seconds: float = 10.0) -> Any:
        end = time.monotonic() + seconds
        while True:
            if found := await check():
                return found
            if time.monotonic() > end:
                pytest.fail(f"still not so after {seconds} s; last seen: {found!r}")
            await asyncio.sleep(0.01)  # noqa: TID251

    return wait
