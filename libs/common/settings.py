"""The knobs that every process has; a service adds its own in `services/<x>/settings.py`."""

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict


class _FileSource(EnvSettingsSource):
    """Reads `<NAME>_FILE`: the value is the content of the named file, stripped."""

    def __call__(self) -> dict[str, Any]:
        values = {}
        for name in self.settings_cls.model_fields:
            if path := os.environ.get(f"{name.upper()}_FILE"):
                values[name] = Path(path).read_text(encoding="utf-8").strip()
        return values


class ServiceSettings(BaseSettings):
    """Read once from the environment, without a prefix; a secret may also come as `<NAME>_FILE`."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True, extra="ignore")

    database_url: SecretStr
    """The app role's DSN, postgresql://…"""
    pump_database_url: SecretStr
    """The pump role's DSN: outbox, inbox, dead letters and timers only."""
    nats_url: str = "nats://127.0.0.1:4222"
    """The event broker. Comma-separated for a cluster."""
    nats_user: str = ""
    """User name at the broker; empty for none."""
    nats_password: SecretStr = SecretStr("")
    """Password at the broker."""
    grpc_address: str = "127.0.0.1:0"
    """host:port to listen on; port 0 takes a free one."""
    service_credentials: SecretStr
    """Who may call: `name=token,name=token`."""
    fingerprint_key: SecretStr
    """Keys the fingerprints of facts. At least 16 characters; a changed one makes repeats look like other content."""
    clock_file: Path | None = None
    """Eight bytes, little-endian: microseconds added to the machine's clock. Absent in production."""
    environment: Literal["dev", "prod"] = "prod"
    """dev turns gRPC reflection on."""
    log_level: str = "INFO"
    """A level of the standard library's logging."""
    fault: str = ""
    """Failpoints, such as `svc.before_commit:kill9@7`. Tests only."""
    drain_seconds: float = 10.0
    """How long calls in flight may take after SIGTERM. Seconds, > 0."""
    endpoint_removal_seconds: float = 0.0
    """Wait between NOT_SERVING and refusing calls, for load balancers to notice. Seconds, >= 0."""
    hot_pool_size: int = 8
    """Connections for ingest and consumers."""
    core_pool_size: int = 4
    """Connections for everything else."""
    outbox_retention_days: int = 14
    """How long published events can be replayed. Days, >= 14."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from arguments (tests), then `<NAME>_FILE`, then the environment."""
        del dotenv_settings, file_secret_settings
        return init_settings, _FileSource(settings_cls), env_settings
