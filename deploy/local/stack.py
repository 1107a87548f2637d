"""One running stack: two servers, five services, in the order in which they need each other."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from deploy.local import health, nats, postgres, schema, tenants
from deploy.local.environment import Addresses, service_environment, without_login
from deploy.local.folder import (
    REPOSITORY,
    SERVICES,
    Folder,
    Trouble,
    load_secrets,
    read_state,
    save_secrets,
    write_state,
)
from deploy.local.ports import Ports
from deploy.local.process import Launch, end_leftovers, started_at
from deploy.local.supervisor import Program, Say, Supervisor

SERVER_SECONDS = 60.0
SERVICE_SECONDS = 120.0
_STREAM_POLL_SECONDS = 2.0
_ROTATE_EVERY = 15


class Stack:
    """Owns the processes of one data folder. The caller holds the folder's lock."""

    def __init__(self, folder: Folder, say: Say) -> None:
        self.folder = folder
        self.secrets = load_secrets(folder)
        self._say = say
        self._before = read_state(folder)
        self._ports = Ports()
        self._supervisor = Supervisor(say, self.publish)
        self._external_postgres = os.environ.get("PLAUDIT_POSTGRES_DSN", "")
        self._external_nats = os.environ.get("PLAUDIT_NATS_URL", "")
        self._stream: dict[str, Any] = self._before.get("stream", {})
        self._stream_ready = asyncio.Event()
        self._kept = contextlib.ExitStack()
        self._watch: asyncio.Task[None] | None = None
        self.addresses = self._choose_addresses()

    async def start(self) -> None:
        """Bring everything up, and return when all of it is healthy and an API key is there.

        Raises:
            Trouble: something does not come up.
        """
        if found := end_leftovers(self._before.get("processes", {})):
            self._say(f"stopped what an earlier run had left behind: {', '.join(found)}")
        self.publish()
        await self.start_servers()
        if migrated := await schema.prepare_databases(self.folder, self.secrets, self.addresses):
            self._say(f"databases at the head of this code: {', '.join(migrated)}")
        for name in SERVICES:
            self._supervisor.start(self._service(name))
        self._watch = asyncio.create_task(self._watch_stream())
        await asyncio.gather(
            *(self._say_healthy(name, SERVICE_SECONDS) for name in SERVICES),
            self._first_stream(),
            self._first_key(),
        )
        await self._supervisor.wait_healthy(self._supervisor.children, SERVICE_SECONDS)
        self.publish()

    async def start_servers(self) -> None:
        """Bring up PostgreSQL and the broker alone."""
        await asyncio.gather(self._start_postgres(), self._start_nats())

    async def stop(self) -> None:
        """Stop everything: first what takes requests, last what keeps the data."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        await self._supervisor.stop(["gateway"])
        await self._supervisor.stop(name for name in SERVICES if name != "gateway")
        await self._supervisor.stop(["nats", "postgres"])
        self._kept.close()
        self._ports.close()
        self.publish()

    def kill(self) -> None:
        """End everything at once."""
        self._supervisor.kill()

    @property
    def base_url(self) -> str:
        """Where partners call."""
        return f"http://{self.addresses.http}"

    def is_ready(self) -> bool:
        """Tell whether all processes are healthy and the stream is there."""
        children = self._supervisor.children
        healthy = all(child.healthy.is_set() for child in children.values())
        return healthy and all(name in children for name in SERVICES) and self._stream_ready.is_set()

    def publish(self) -> None:
        """Write the state for the other verbs of the command; a disk that is full ends no supervision."""
        with contextlib.suppress(OSError):
            write_state(self.folder, self._state())

    def _state(self) -> dict[str, Any]:
        children = self._supervisor.children
        return {
            "ready": self.is_ready(),
            "supervisor": {"pid": os.getpid(), "started": started_at(os.getpid())},
            "base_url": self.base_url,
            "api_key": self.secrets.get("api_key"),
            "tenant_id": self.secrets.get("tenant_id"),
            "ports": self.addresses.ports,
            "stream": self._stream,
            "postgres_at": without_login(self.addresses.admin_dsn),
            "nats_url": self.addresses.nats_url,
            "embedded": {"postgres": not self._external_postgres, "nats": not self._external_nats},
            "states": {name: child.state for name, child in children.items()},
            "restarts": {name: child.restarts for name, child in children.items()},
            "processes": {
                name: {"pid": child.pid, "started": child.started} for name, child in children.items() if child.pid
            },
        }

    def _choose_addresses(self) -> Addresses:
        wished: Mapping[str, int] = self._before.get("ports", {})
        needed = [*SERVICES]
        needed += [] if self._external_postgres else ["postgres"]
        needed += [] if self._external_nats else ["nats"]
        ports = {name: self._ports.take(wished.get(name)) for name in needed}
        admin = self._external_postgres or postgres.dsn(
            ports["postgres"], postgres.ADMIN, self.secrets["postgres"], "postgres",
        )  # fmt: skip
        return Addresses(
            admin_dsn=admin,
            nats_url=self._external_nats or nats.url(ports["nats"], self.secrets["nats"]),
            ports=ports,
            embedded_postgres=not self._external_postgres,
        )

    async def _start_postgres(self) -> None:
        if self._external_postgres:
            return
        os.environ["PGSSLMODE"] = "disable"
        server = postgres.server_for(self.folder)
        if await postgres.initialise(server, self.folder, self.secrets["postgres"]):
            self._say("a new PostgreSQL cluster was made")
        postgres.claim(server)
        postgres.configure(server)
        path, descriptors = self._kept.enter_context(postgres.data_path(server))
        launch = postgres.launch(server, self.folder, self.addresses.ports["postgres"], path, descriptors)

        async def probe(pid: int) -> bool:
            return postgres.is_ready(self.folder, pid)

        self._supervisor.start(Program(name="postgres", launch=lambda: launch, probe=probe, grace_seconds=30))
        await self._say_healthy("postgres", SERVER_SECONDS)

    async def _start_nats(self) -> None:
        if self._external_nats:
            return

        def launch() -> Launch:
            return nats.launch(self.folder, self.addresses.ports["nats"], self.secrets["nats"])

        async def probe(_: int) -> bool:
            return await nats.is_ready(self.addresses.nats_url)

        self._supervisor.start(Program(name="nats", launch=launch, probe=probe))
        await self._say_healthy("nats", SERVER_SECONDS)

    def _service(self, name: str) -> Program:
        def launch() -> Launch:
            env = service_environment(name, folder=self.folder, secrets=self.secrets, addresses=self.addresses)
            argv = [sys.executable, "-m", f"services.{name}"]
            return Launch(argv=argv, env=env, log=self.folder.log(name), cwd=str(REPOSITORY))

        async def probe(_: int) -> bool:
            if name == "gateway":
                return await health.http_ready(self.addresses.http)
            return await health.grpc_serves(self.addresses.grpc(name))

        return Program(name=name, launch=launch, probe=probe)

    async def _say_healthy(self, name: str, timeout_seconds: float) -> None:
        began = time.monotonic()
        await self._supervisor.wait_healthy([name], timeout_seconds)
        child = self._supervisor.children[name]
        port = self.addresses.ports[name]
        self._say(f"{name:<9} healthy on 127.0.0.1:{port} after {time.monotonic() - began:.1f} s (process {child.pid})")

    async def _watch_stream(self) -> None:
        """Make the stream where it is missing: at the first start, for new code, and when the broker lost its disk."""
        rounds = 0
        while True:
            with contextlib.suppress(OSError, TimeoutError, EOFError, ValueError):
                await self._ensure_stream()
            rounds += 1
            if rounds % _ROTATE_EVERY == 0:
                for child in self._supervisor.children.values():
                    child.rotate_log()
            await asyncio.sleep(_STREAM_POLL_SECONDS)

    async def _ensure_stream(self) -> None:
        if await schema.stream_is_made(self.addresses, self._stream):
            if not self._stream_ready.is_set():
                self._stream_ready.set()
                self.publish()
            return
        self._stream_ready.clear()
        made = await schema.make_stream(self.folder, self.addresses)
        if not made:
            self._say(f"the event stream could not be made, see {self.folder.log('stream')}")
            return
        self._say("the event stream was made or brought up to date")
        self._stream = made
        self._stream_ready.set()
        self.publish()

    async def _first_stream(self) -> None:
        try:
            async with asyncio.timeout(SERVER_SECONDS):
                await self._stream_ready.wait()
        except TimeoutError as error:
            message = f"the event stream was not made within {SERVER_SECONDS:.0f} s, see {self.folder.log('stream')}"
            raise Trouble(message) from error

    async def _first_key(self) -> None:
        if "api_key" in self.secrets:
            return
        made = await tenants.create_tenant(self.folder, self.secrets, self.addresses, "local")
        self.secrets |= made
        save_secrets(self.folder, self.secrets)
