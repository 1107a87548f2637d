"""Facts coming in: single, in batches and as streams of lines, joined per tenant on their way to the services.

The handlers are plain ASGI, without a framework in between; they share models, problems and OpenAPI with all others.
A new kind of fact is a shape, and a row in `kinds.KINDS`.
"""

from .intake import Intake, fast_routes
from .kinds import KINDS, Kind
from .mount import router

__all__ = ["KINDS", "Intake", "Kind", "fast_routes", "router"]
