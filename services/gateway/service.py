"""Puts the gateway together: peers, keys, routes, the application around them, and the feed's consumers."""

import asyncio
from functools import partial
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from libs.common.server import Deps, Service

from . import consumers, edge, problems, routes, store
from .edge import openapi
from .routes import ingest
from .settings import Settings


def build(settings: Settings, deps: Deps) -> Service:
    """Put the gateway together."""
    pepper = settings.key_pepper.get_secret_value().encode()
    peers = edge.Peers(
        {name: getattr(settings, f"{name}_address") for name in ("profile", "feedback", "referral", "scoring")},
        settings.service_credential.get_secret_value(),
        settings.call_seconds,
    )
    gateway = edge.Gateway(
        settings=settings,
        db=deps.db,
        keyring=edge.Keyring(partial(store.find_key, deps.db), pepper, settings.key_cache_seconds),
        peers=peers,
        cursors=edge.Cursors(pepper),
        pepper=pepper,
        closing=asyncio.Event(),
    )
    return Service(
        "gateway",
        handlers=consumers.HANDLERS,
        app=application(gateway),
        http_address=settings.http_address,
        closing=gateway.closing.set,
        close=peers.close,
    )


def application(gateway: edge.Gateway) -> edge.Edge:
    """Return the ASGI application."""
    app = FastAPI(
        title="Plaudit", version="0.1.0", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False
    )
    app.state.gateway = gateway
    app.state.fast = ingest.fast_routes(gateway)
    for router in routes.routers():
        # Not included but added: FastAPI would keep the router between, and nobody could say which methods a path has.
        app.router.routes.extend(router.routes)
    app.openapi = partial(openapi.document, app)  # type: ignore[method-assign]
    app.add_exception_handler(HTTPException, partial(_refuse_route, app))
    app.add_exception_handler(RequestValidationError, _refuse_parameters)
    return edge.Edge(app, app.state.fast)


async def _refuse_route(app: FastAPI, request: Request, error: Exception) -> Response:
    """Answer for a path or a method that there is not; Allow names every method that the path has."""
    assert isinstance(error, HTTPException)
    methods = {method for route in app.routes if _matches(route, request) for method in getattr(route, "methods", ())}
    if methods:
        allow = {"Allow": ", ".join(sorted(methods))}
        problem = problems.Problem(405, "METHOD_NOT_ALLOWED", "this path does not take that method", headers=allow)
    else:
        problem = problems.Problem(404, "ROUTE_NOT_FOUND", "there is no such path")
    return edge.refusal(edge.exchange(request), problem)


def _matches(route: Any, request: Request) -> bool:
    return bool(route.matches(request.scope)[0] is not Match.NONE)


async def _refuse_parameters(request: Request, error: Exception) -> Response:
    del error
    return edge.refusal(
        edge.exchange(request), problems.refused("", "VALUE_INVALID", "a parameter is not what it should be")
    )
