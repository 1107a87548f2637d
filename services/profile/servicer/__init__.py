"""The profile service over gRPC: one class per RPC service, one transaction per method that writes."""

from .activities import ActivityServicer
from .customers import CustomerServicer

__all__ = ["ActivityServicer", "CustomerServicer"]
