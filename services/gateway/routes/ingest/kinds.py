"""The table of kinds of facts: what each looks like, and which call stores it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from plaudit.feedback.v1 import feedback_pb2, feedback_service_pb2, feedback_service_pb2_grpc
from plaudit.profile.v1 import profile_pb2, profile_service_pb2, profile_service_pb2_grpc

from ... import edge
from .shapes import ActivityIn, MentionIn, ResponseIn


@dataclass(frozen=True)
class Kind:
    """One kind of fact."""

    noun: str
    plural: str
    scope: str
    shape: type[edge.Body]
    message: type[Message]
    item: type[Message]
    """Holds the fact, in the field named as the noun, and its `context`."""
    request: type[Message]
    """Holds `items`."""
    stub: type[Any]
    method: Callable[[Any], Any]
    """Takes the stub, returns the call."""

    @property
    def path(self) -> str:
        """Where single facts are posted."""
        return f"/v1/{self.plural}"

    @property
    def id_name(self) -> str:
        """The name of the fact's id."""
        return f"{self.noun}_id"


KINDS = (
    Kind(
        noun="activity",
        plural="activities",
        scope="profile:write",
        shape=ActivityIn,
        message=profile_pb2.Activity,
        item=profile_service_pb2.ActivityItem,
        request=profile_service_pb2.RecordActivitiesRequest,
        stub=profile_service_pb2_grpc.ActivityServiceStub,
        method=lambda stub: stub.RecordActivities,
    ),
    Kind(
        noun="response",
        plural="responses",
        scope="feedback:write",
        shape=ResponseIn,
        message=feedback_pb2.Response,
        item=feedback_service_pb2.ResponseItem,
        request=feedback_service_pb2.RecordResponsesRequest,
        stub=feedback_service_pb2_grpc.ResponseServiceStub,
        method=lambda stub: stub.RecordResponses,
    ),
    Kind(
        noun="mention",
        plural="mentions",
        scope="feedback:write",
        shape=MentionIn,
        message=feedback_pb2.Mention,
        item=feedback_service_pb2.MentionItem,
        request=feedback_service_pb2.RecordMentionsRequest,
        stub=feedback_service_pb2_grpc.MentionServiceStub,
        method=lambda stub: stub.RecordMentions,
    ),
)
