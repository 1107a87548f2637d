"""Tenants and API keys of a stack, made by the gateway's own administration command in its own database."""

import asyncio
import json
import subprocess
import sys

from deploy.local.environment import Addresses, service_environment
from deploy.local.folder import REPOSITORY, Folder, Secrets, Trouble
from deploy.local.process import Launch, spawn

_MODULE = "services.gateway.admin"


async def create_tenant(folder: Folder, secrets: Secrets, addresses: Addresses, name: str) -> dict[str, str]:
    """Make a tenant beside the running start of the stack.

    Returns:
        `tenant_id` and `api_key`.
    """
    output = folder.root / ".tenant.json"
    output.unlink(missing_ok=True)
    env = service_environment("gateway", folder=folder, secrets=secrets, addresses=addresses)
    argv = [sys.executable, "-m", _MODULE, "create-tenant", name, "--json"]
    run = await spawn(Launch(argv=argv, env=env, log=output, cwd=str(REPOSITORY)))
    try:
        failed = await run.wait()
        text = output.read_text(encoding="utf-8")
    except asyncio.CancelledError:
        run.kill()
        raise
    finally:
        output.unlink(missing_ok=True)
    if failed:
        message = f"the first tenant could not be made:\n{text[-2000:]}"
        raise Trouble(message)
    return _answer(text)


def run_admin(folder: Folder, secrets: Secrets, addresses: Addresses, arguments: list[str]) -> dict[str, str]:
    """Run the gateway's administration command in the foreground.

    Raises:
        Trouble: it refused; its words are passed on.
    """
    env = service_environment("gateway", folder=folder, secrets=secrets, addresses=addresses)
    done = subprocess.run(
        [sys.executable, "-m", _MODULE, *arguments, "--json"],
        env=env, cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise Trouble((done.stderr or done.stdout).strip()[-2000:])
    return _answer(done.stdout)


def _answer(text: str) -> dict[str, str]:
    line = next((line for line in reversed(text.splitlines()) if line.startswith("{")), "{}")
    found = json.loads(line)
    return {str(key): str(value) for key, value in found.items()}
