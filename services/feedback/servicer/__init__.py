"""The feedback service over gRPC: one class per RPC service, one transaction per method."""

from .cases import CaseServicer
from .mentions import MentionServicer
from .metrics import MetricServicer
from .responses import ResponseServicer
from .surveys import SurveyServicer

__all__ = ["CaseServicer", "MentionServicer", "MetricServicer", "ResponseServicer", "SurveyServicer"]
