"""Puts the scoring service together."""

import grpc

from libs.common.server import Deps, Service
from libs.common.timers import job_timer
from plaudit.scoring.v1 import scoring_service_pb2 as pb
from plaudit.scoring.v1 import scoring_service_pb2_grpc as rpc

from .consumers import HANDLERS
from .servicer import ScoreServicer
from .settings import Settings
from .timers import TIMERS


def build(settings: Settings, deps: Deps) -> Service:  # noqa: ARG001
    """Put the scoring service together."""
    servicer = ScoreServicer(deps.db)

    def register(server: grpc.aio.Server) -> None:
        rpc.add_ScoreServiceServicer_to_server(servicer, server)

    names = [service.full_name for service in pb.DESCRIPTOR.services_by_name.values()]
    return Service(
        "scoring",
        register=register,
        rpc_services=names,
        handlers=HANDLERS,
        # Partners watch the score move: less work saved, less waiting.
        bunch_seconds=0.004,
        timers=(*TIMERS, job_timer("scoring")),
    )
