"""The table of kinds of facts: what each looks like, and which call stores it."""

from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from plaudit.feedback.v1 import feedback_pb2, feedback_service_pb2
from plaudit.profile.v1 import profile_pb2, profile_service_pb2

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
    request: type[Any]
    """Holds `items`, each with the fact, in the field named as the noun, and its `context`."""
    reply: type[Any]
    call: str
    """The method's path."""
    is_filled: bool = False
    """Whether the service fills in what the fact leaves open, and says so in `defaults`."""

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
        request=profile_service_pb2.RecordActivitiesRequest,
        reply=profile_service_pb2.RecordActivitiesResponse,
        call="/plaudit.profile.v1.ActivityService/RecordActivities",
    ),
    Kind(
        noun="response",
        plural="responses",
        scope="feedback:write",
        shape=ResponseIn,
        message=feedback_pb2.Response,
        request=feedback_service_pb2.RecordResponsesRequest,
        reply=feedback_service_pb2.RecordResponsesResponse,
        call="/plaudit.feedback.v1.ResponseService/RecordResponses",
        is_filled=True,
    ),
    Kind(
        noun="mention",
        plural="mentions",
        scope="feedback:write",
        shape=MentionIn,
        message=feedback_pb2.Mention,
        request=feedback_service_pb2.RecordMentionsRequest,
        reply=feedback_service_pb2.RecordMentionsResponse,
        call="/plaudit.feedback.v1.MentionService/RecordMentions",
    ),
)
