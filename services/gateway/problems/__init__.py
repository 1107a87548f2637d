"""Every refusal as application/problem+json: the problem, the map from gRPC to HTTP, and the catalogue of codes."""

from .catalogue import CATALOGUE, as_markdown
from .problem import (
    CONTENT_TYPE,
    STATUS_OF_KIND,
    STATUS_OF_REASON,
    Fault,
    Problem,
    body_of,
    invalid,
    malformed,
    of_rejection,
    of_rpc,
    of_service,
    refused,
    unavailable,
    unforeseen,
)

__all__ = [
    "CATALOGUE",
    "CONTENT_TYPE",
    "STATUS_OF_KIND",
    "STATUS_OF_REASON",
    "Fault",
    "Problem",
    "as_markdown",
    "body_of",
    "invalid",
    "malformed",
    "of_rejection",
    "of_rpc",
    "of_service",
    "refused",
    "unavailable",
    "unforeseen",
]
