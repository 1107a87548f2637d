"""What each process of the stack is told: addresses, roles, secrets. Nothing is on a command line."""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from deploy.local.folder import SERVICES, Folder, Secrets

_OURS = "PLAUDIT_"
_UNWANTED = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONHOME")


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where everything of one stack is reached."""

    admin_dsn: str
    nats_url: str
    ports: dict[str, int]
    embedded_postgres: bool

    def grpc(self, name: str) -> str:
        """Return where a service listens for gRPC."""
        return f"127.0.0.1:{self.ports[name]}"

    @property
    def http(self) -> str:
        """Where the gateway listens for HTTP."""
        return f"127.0.0.1:{self.ports['gateway']}"


def role_dsn(admin_dsn: str, *, service: str, role: str, password: str) -> str:
    """Return the address of a service's database for one of its roles, on the server of the administrator."""
    parts = urlsplit(admin_dsn)
    host = parts.netloc.rpartition("@")[2]
    login = f"{service}_{role}:{quote(password, safe='')}"
    return urlunsplit((parts.scheme, f"{login}@{host}", f"/{service}", parts.query, ""))


def without_login(dsn: str) -> str:
    """Return an address without user and password."""
    parts = urlsplit(dsn)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))


def base_environment(*, embedded_postgres: bool) -> dict[str, str]:
    """Return the environment that every process of the stack shares."""
    passed = {name: value for name, value in os.environ.items() if not name.startswith(_OURS) and name not in _UNWANTED}
    passed |= {"PYTHONUNBUFFERED": "1"}
    if embedded_postgres:
        passed["PGSSLMODE"] = "disable"  # else asyncpg looks for certificates in a home that it may not read
    return passed


def service_environment(name: str, *, folder: Folder, secrets: Secrets, addresses: Addresses) -> dict[str, str]:
    """Return a service's environment; `<data>/<name>.env` goes before everything, and is read again at each start."""
    roles = secrets["roles"][name]
    env = base_environment(embedded_postgres=addresses.embedded_postgres)
    env |= {
        "DATABASE_URL": role_dsn(addresses.admin_dsn, service=name, role="app", password=roles["app"]),
        "PUMP_DATABASE_URL": role_dsn(addresses.admin_dsn, service=name, role="pump", password=roles["pump"]),
        "NATS_URL": addresses.nats_url,
        "SERVICE_CREDENTIALS": ",".join(f"{who}={token}" for who, token in secrets["credentials"].items()),
        "FINGERPRINT_KEY": secrets["fingerprint_key"],
        "CLOCK_FILE": str(folder.clock),
        "ENVIRONMENT": "dev",
        "LOG_LEVEL": os.environ.get("LOG_LEVEL", "INFO"),
    }
    if name == "gateway":
        env |= {f"{other.upper()}_ADDRESS": addresses.grpc(other) for other in SERVICES if other != "gateway"}
        env |= {
            "HTTP_ADDRESS": addresses.http,
            "SERVICE_CREDENTIAL": secrets["credentials"]["gateway"],
            "KEY_PEPPER": secrets["key_pepper"],
        }
    else:
        env["GRPC_ADDRESS"] = addresses.grpc(name)
    return env | read_overlay(folder.overlay(name))


def read_overlay(path: Path) -> dict[str, str]:
    """Return the `NAME=value` lines of a file; empty where there is none."""
    if not path.exists():
        return {}
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}
