"""The gateway's own knobs."""

from pydantic import SecretStr

from libs.common.settings import ServiceSettings


class Settings(ServiceSettings):
    """Beside what every process has: where to listen, whom to call, and the pepper of the keys."""

    http_address: str = "127.0.0.1:0"
    """host:port to listen on; port 0 takes a free one."""
    profile_address: str = "127.0.0.1:20101"
    """host:port of the profile service."""
    feedback_address: str = "127.0.0.1:20102"
    """host:port of the feedback service."""
    referral_address: str = "127.0.0.1:20103"
    """host:port of the referral service."""
    scoring_address: str = "127.0.0.1:20104"
    """host:port of the scoring service."""
    service_credential: SecretStr
    """The gateway's own token at the other services."""
    service_credentials: SecretStr = SecretStr("")
    """Nobody calls the gateway over gRPC."""
    fingerprint_key: SecretStr = SecretStr("unused-by-the-gateway")
    """The gateway stores no facts."""
    key_pepper: SecretStr
    """Keys the digests of API key secrets and signs cursors. At least 16 characters; changing it revokes every key."""
    call_seconds: float = 5.0
    """Deadline of one call to a service. Seconds, > 0."""
    body_seconds: float = 30.0
    """How long a body may take, and how long an NDJSON stream may be silent. Seconds, > 0."""
    key_cache_seconds: float = 4.0
    """How long a key is trusted without a look at the table; a revoked one works no longer than this. Seconds, <= 5."""
