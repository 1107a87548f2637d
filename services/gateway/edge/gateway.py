"""What every route works with: the keys, the peers, the cursors and the store of this process."""

import asyncio
import logging
from dataclasses import dataclass

import grpc
from starlette.exceptions import HTTPException

from libs.common import errors
from libs.common.db import Database

from .. import problems
from ..settings import Settings
from .access import Keyring
from .calls import Peers
from .pages import Cursors

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Gateway:
    """One process's wiring, made by `service.build`."""

    settings: Settings
    db: Database
    keyring: Keyring
    peers: Peers
    cursors: Cursors
    pepper: bytes
    closing: asyncio.Event
    """Set when the process is about to go: streams end."""


def problem_of(error: Exception, request_id: str) -> problems.Problem:
    """Return the problem that answers an exception; one that nobody foresaw is logged and says nothing."""
    if isinstance(error, problems.Problem):
        return error
    if isinstance(error, errors.ServiceError):
        return problems.of_service(error)
    if isinstance(error, grpc.aio.AioRpcError):
        return problems.of_rpc(error)
    if isinstance(error, HTTPException):
        return problems.Problem(error.status_code, f"HTTP_{error.status_code}", "the request cannot be served")
    if errors.is_transient(error):
        _log.warning("dependency away", extra={"request_id": request_id, "error": type(error).__name__})
        return problems.unavailable()
    _log.exception("unforeseen", exc_info=error, extra={"request_id": request_id})
    return problems.unforeseen()
