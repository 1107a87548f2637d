"""What the command prints."""

import os
import sys
from pathlib import Path


def say(text: str) -> None:
    """Print a line; a reader that went away is no reason to stop."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - kept until the process ends
