"""`NATS_URL=… python -m libs.common.events services.profile …` makes the stream and the services' durables."""

import asyncio
import importlib
import importlib.util
import os
import sys

from .broker import ensure_stream


def _handlers(package: str) -> list[object]:
    if importlib.util.find_spec(f"{package}.consumers") is None:
        return []
    return list(importlib.import_module(f"{package}.consumers").HANDLERS)


def main() -> None:
    """Make or update the stream and two durables for each package named on the command line; again is no change."""
    services = {package.rpartition(".")[2]: _handlers(package) for package in sys.argv[1:]}
    made = asyncio.run(
        ensure_stream(
            os.environ["NATS_URL"],
            services,
            max_bytes=int(os.environ.get("STREAM_MAX_BYTES", "2147483648")),
            replicas=int(os.environ.get("STREAM_REPLICAS", "1")),
        )
    )
    sys.stdout.write(f"stream EVENTS ready; made anew: {', '.join(made) or 'nothing'}\n")


if __name__ == "__main__":
    main()
