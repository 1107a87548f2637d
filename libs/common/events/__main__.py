"""`NATS_URL=… python -m libs.common.events services.profile …` makes the stream and the services' durables."""

import asyncio
import importlib
import os
import sys

from .broker import ensure_stream


def main() -> None:
    """Make or update the stream and two durables for each package named on the command line; again is no change."""
    found = {package.split(".")[-1]: importlib.import_module(f"{package}.consumers") for package in sys.argv[1:]}
    services = {name: consumers.HANDLERS for name, consumers in found.items()}
    limits = {"max_bytes": os.environ.get("STREAM_MAX_BYTES", "2147483648")}
    limits |= {"replicas": os.environ.get("STREAM_REPLICAS", "1")}
    limit = {name: int(value) for name, value in limits.items()}
    made = asyncio.run(ensure_stream(os.environ["NATS_URL"], services, **limit))
    sys.stdout.write(f"stream EVENTS ready; made anew: {', '.join(made) or 'nothing'}\n")


if __name__ == "__main__":
    main()
