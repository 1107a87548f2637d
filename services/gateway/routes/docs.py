"""The documentation that comes with the API: OpenAPI, a page to try it, the catalogue of problems; all served by us."""

import html
from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from .. import edge, problems

router = edge.Router()

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'"
)
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">{head}</head><body>{body}</body></html>
"""
_START = """SwaggerUIBundle({url: "/openapi.json", dom_id: "#api", persistAuthorization: true, filter: true});
"""


def _served(body: bytes | str, kind: str) -> Response:
    return Response(body, media_type=kind, headers={"Content-Security-Policy": _POLICY})


@cache
def _asset(name: str) -> bytes:
    return files("fastapi_swagger").joinpath("resources", name).read_bytes()


@router.page("/docs")
async def show_docs(request: Request) -> Response:
    """Show the API, to read and to try."""
    del request
    head = '<script src="/docs/swagger-ui-bundle.js" defer></script><script src="/docs/start.js" defer></script>'
    return _served(_PAGE.format(title="Plaudit", head=head, body='<div id="api"></div>'), "text/html")


@router.page("/docs/swagger-ui.css")
async def show_style(request: Request) -> Response:
    """Give the style."""
    del request
    return _served(_asset("swagger-ui.css"), "text/css")


@router.page("/docs/swagger-ui-bundle.js")
async def show_bundle(request: Request) -> Response:
    """Give the script."""
    del request
    return _served(_asset("swagger-ui-bundle.js"), "text/javascript")


@router.page("/docs/start.js")
async def show_start(request: Request) -> Response:
    """Give the line that starts the script."""
    del request
    return _served(_START, "text/javascript")


@router.page("/docs/errors")
async def show_errors(request: Request) -> Response:
    """Show every code of a problem, its cause and the way out."""
    del request
    rows = "".join(
        f'<tr id="{code.lower()}"><td>{code}</td><td>{html.escape(cause)}</td><td>{html.escape(way)}</td></tr>'
        for code, (cause, way) in sorted(problems.CATALOGUE.items())
    )
    table = f"<h1>Problems</h1><table><tr><th>Code</th><th>Cause</th><th>Way out</th></tr>{rows}</table>"
    return _served(_PAGE.format(title="Plaudit: problems", head="", body=table), "text/html")


@router.page("/openapi.json")
async def show_openapi(request: Request) -> Response:
    """Give the OpenAPI document."""
    return edge.answer(request.app.openapi())
