"""Puts the referral service together."""

import grpc

from libs.common.server import Deps, Service
from plaudit.referral.v1 import referral_service_pb2 as pb
from plaudit.referral.v1 import referral_service_pb2_grpc as rpc

from .consumers import HANDLERS
from .servicer import ProgramServicer
from .settings import Settings


def build(settings: Settings, deps: Deps) -> Service:  # noqa: ARG001
    """Put the referral service together."""
    servicer = ProgramServicer(deps.db)

    def register(server: grpc.aio.Server) -> None:
        rpc.add_ProgramServiceServicer_to_server(servicer, server)

    names = [service.full_name for service in pb.DESCRIPTOR.services_by_name.values()]
    return Service("referral", register=register, rpc_services=names, handlers=HANDLERS)
