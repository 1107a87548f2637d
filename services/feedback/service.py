"""Puts the feedback service together."""

import grpc

from libs.common.server import Deps, Service
from plaudit.feedback.v1 import feedback_service_pb2 as pb
from plaudit.feedback.v1 import feedback_service_pb2_grpc as rpc

from .consumers import HANDLERS
from .servicer import CaseServicer, MentionServicer, MetricServicer, ResponseServicer, SurveyServicer
from .settings import Settings


def build(settings: Settings, deps: Deps) -> Service:
    """Put the feedback service together."""
    key = settings.fingerprint_key.get_secret_value().encode()

    def register(server: grpc.aio.Server) -> None:
        rpc.add_ResponseServiceServicer_to_server(ResponseServicer(deps.db, key), server)
        rpc.add_MentionServiceServicer_to_server(MentionServicer(deps.db, key), server)
        rpc.add_SurveyServiceServicer_to_server(SurveyServicer(deps.db), server)
        rpc.add_CaseServiceServicer_to_server(CaseServicer(deps.db), server)
        rpc.add_MetricServiceServicer_to_server(MetricServicer(deps.db), server)

    names = [service.full_name for service in pb.DESCRIPTOR.services_by_name.values()]
    return Service("feedback", register=register, rpc_services=names, handlers=HANDLERS)
