"""`python -m services.feedback` runs the service until SIGTERM."""

from libs.common.server import serve

from .service import build
from .settings import Settings

if __name__ == "__main__":
    serve(build, Settings())
