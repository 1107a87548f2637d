"""`plaudit up`: the stack in the foreground until a signal, or in the background until `plaudit down`."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from deploy.local.folder import REPOSITORY, Folder, Lock, Trouble, load_secrets, read_state, supervisor_pid
from deploy.local.output import say
from deploy.local.stack import Stack

_DETACHED_SECONDS = 180.0


def run(folder: Folder, *, summary: bool = True) -> int:
    """Keep the stack running until SIGINT, SIGTERM or SIGHUP.

    Args:
        folder: the data folder.
        summary: whether to print how to call it, with the API key.
    """
    folder.create()
    lock = Lock(folder)
    if not lock.take():
        raise Trouble(_already(folder))
    try:
        return asyncio.run(_serve(folder, summary=summary))
    finally:
        lock.release()


def detach(folder: Folder, *, summary: bool = True) -> int:
    """Start the stack in the background, and return when it is ready.

    Args:
        folder: the data folder.
        summary: whether to print how to call it, with the API key.
    """
    folder.create()
    if supervisor_pid(folder) is not None:
        raise Trouble(_already(folder))
    log = folder.log("supervisor")
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    background = subprocess.Popen(
        [sys.executable, "-m", "deploy.local.up", str(folder.root)],
        cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=descriptor, stderr=descriptor, start_new_session=True,
    )  # fmt: skip
    os.close(descriptor)
    try:
        _wait_ready(folder, background)
    except BaseException:
        background.terminate()
        background.wait()
        raise
    if summary:
        say(summary_of(folder))
    return 0


def _wait_ready(folder: Folder, background: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _DETACHED_SECONDS
    while True:
        state = read_state(folder)
        if state.get("ready") and state["supervisor"]["pid"] == background.pid:
            return
        if background.poll() is not None or time.monotonic() > deadline:
            raise Trouble(folder.log("supervisor").read_text(encoding="utf-8").strip() or "it did not come up")
        time.sleep(0.05)


async def _serve(folder: Folder, *, summary: bool) -> int:
    began = time.monotonic()
    say(f"data in {folder.root}")
    stack = Stack(folder, say)
    asked = _on_signals(stack)
    starting = asyncio.create_task(stack.start())
    waiting = asyncio.create_task(asked.wait())
    try:
        await asyncio.wait({starting, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            starting.result()
            say(f"ready after {time.monotonic() - began:.1f} s")
            if summary:
                say(summary_of(folder))
            await waiting
        say("stopping")
    finally:
        starting.cancel()
        waiting.cancel()
        await asyncio.gather(starting, waiting, return_exceptions=True)
        await stack.stop()
        say("stopped; nothing is left running")
    return 0


def _on_signals(stack: Stack) -> asyncio.Event:
    """Stop in order at the first signal, at once at the second."""
    asked = asyncio.Event()

    def on_signal() -> None:
        if asked.is_set():
            stack.kill()
        asked.set()

    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(signum) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(signum, on_signal)
    return asked


def summary_of(folder: Folder) -> str:
    """Return what a person needs to make the first call."""
    base_url, key = read_state(folder)["base_url"], load_secrets(folder).get("api_key", "")
    return "\n".join((
        "",
        f"  Base URL   {base_url}",
        f"  API key    {key}",
        f"  Docs       {base_url}/docs",
        f"  Data       {folder.root}",
        "",
        f"  curl -H 'Authorization: Bearer {key}' {base_url}/v1/kpis/nps",
        "",
    ))  # fmt: skip


def _already(folder: Folder) -> str:
    url = read_state(folder).get("base_url", "")
    return (
        f"a stack is already running on {folder.root} (process {supervisor_pid(folder)}, {url}): "
        "stop it with `plaudit down`, or name another folder with --data-dir"
    )


if __name__ == "__main__":
    try:
        sys.exit(run(Folder(Path(sys.argv[1])), summary=False))
    except Trouble as trouble:
        sys.exit(f"plaudit: {trouble}")
