"""Puts the profile service together."""

import grpc

from libs.common.server import Deps, Service
from plaudit.profile.v1 import profile_service_pb2 as pb
from plaudit.profile.v1 import profile_service_pb2_grpc as rpc

from .consumers import HANDLERS
from .servicer import ActivityServicer, CustomerServicer
from .settings import Settings


def build(settings: Settings, deps: Deps) -> Service:
    """Put the profile service together."""
    customers = CustomerServicer(deps.db)
    activities = ActivityServicer(deps.db, settings.fingerprint_key.get_secret_value().encode())

    def register(server: grpc.aio.Server) -> None:
        rpc.add_CustomerServiceServicer_to_server(customers, server)
        rpc.add_ActivityServiceServicer_to_server(activities, server)

    names = [service.full_name for service in pb.DESCRIPTOR.services_by_name.values()]
    return Service("profile", register=register, rpc_services=names, handlers=HANDLERS)
