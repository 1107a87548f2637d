"""The feedback service of the session's stack, and short ways to call it."""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from libs.common import clock
from libs.common.errors import ServiceError, from_rpc
from plaudit.common.v1.ingest_pb2 import ItemContext, ItemResult
from plaudit.feedback.v1 import feedback_service_pb2 as pb
from plaudit.feedback.v1 import feedback_service_pb2_grpc as rpc
from plaudit.feedback.v1.feedback_pb2 import METRIC_NPS, Case, Mention, Response


def ago(**units: float) -> datetime:
    """Return a time in the past, whole milliseconds."""
    at = clock.now() - timedelta(**units)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def stamp(at: datetime) -> Timestamp:
    """Return an instant as messages carry it."""
    made = Timestamp()
    made.FromDatetime(at)
    return made


@dataclass
class Feedback:
    """The five services over one channel, for one tenant."""

    channel: grpc.aio.Channel
    tenant_id: uuid.UUID
    metadata: Callable[..., tuple[tuple[str, str], ...]]

    async def call(self, method: str, request: Message, **more: str) -> Any:
        """Call an RPC by its name; a refusal is raised as the ServiceError that it carries."""
        for stub in (
            rpc.ResponseServiceStub,
            rpc.MentionServiceStub,
            rpc.SurveyServiceStub,
            rpc.CaseServiceStub,
            rpc.MetricServiceStub,
        ):
            made = stub(self.channel)
            if hasattr(made, method):
                try:
                    return await getattr(made, method)(
                        request, timeout=20, metadata=self.metadata(self.tenant_id, **more)
                    )
                except grpc.aio.AioRpcError as error:
                    raise from_rpc(error) from None
        raise AttributeError(method)

    async def record(self, *responses: Response, history: bool = False, token: bytes = b"") -> Sequence[ItemResult]:
        """Record answers in one call."""
        context = ItemContext(history=history, request_token=token)
        items = [pb.ResponseItem(response=response, context=context) for response in responses]
        return (await self.call("RecordResponses", pb.RecordResponsesRequest(items=items))).results

    async def mention(self, *mentions: Mention) -> Sequence[ItemResult]:
        """Record mentions in one call."""
        items = [pb.MentionItem(mention=mention) for mention in mentions]
        return (await self.call("RecordMentions", pb.RecordMentionsRequest(items=items))).results

    async def cases(self, **filters: Any) -> Sequence[Case]:
        """List cases."""
        return (await self.call("ListCases", pb.ListCasesRequest(**filters))).cases

    async def open_case(self, customer_id: str = "c-1", *, history_at: datetime | None = None) -> Case:
        """Make an unhappy customer, and return their case."""
        answer = nps(0, customer_id=customer_id, at=history_at)
        await self.record(answer, history=history_at is not None)
        return (await self.cases(trigger_id=answer.response_id))[0]


def nps(score: int | None, *, at: datetime | None = None, **fields: Any) -> Response:
    """Make an NPS answer with an id of its own."""
    given = {"response_id": f"r-{uuid.uuid4()}", "metric": METRIC_NPS, **fields}
    return Response(score=score, occurred_at=stamp(at or ago(minutes=5)), **given)


@pytest.fixture
async def feedback(
    channel: Callable[[str], Awaitable[grpc.aio.Channel]],
    tenant: uuid.UUID,
    metadata: Callable[..., tuple[tuple[str, str], ...]],
) -> Feedback:
    """The feedback service, for a fresh tenant."""
    return Feedback(await channel("feedback"), tenant, metadata)


Refusal = ServiceError
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
