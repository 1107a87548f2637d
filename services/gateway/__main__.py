"""Runs the gateway."""

from libs.common.server import serve

from .service import build
from .settings import Settings

if __name__ == "__main__":
    serve(build, Settings())
