"""MentionService over gRPC: the hot path of mentions, their reading and counting."""

from datetime import UTC, datetime

from libs.common import clock, ingest, tenancy
from libs.common.db import Database
from libs.common.errors import InvalidArgument, NotFound
from libs.common.tenancy import Context
from plaudit.common.v1.ingest_pb2 import ItemContext, ItemResult
from plaudit.feedback.v1 import feedback_service_pb2 as pb
from plaudit.feedback.v1 import feedback_service_pb2_grpc as rpc
from plaudit.feedback.v1.feedback_pb2 import Mention

from .. import domain, store
from .calls import checked

MOST_ITEMS = 256
COUNTED_BY = ("", "campaign", "site")


class MentionServicer(rpc.MentionServiceServicer):
    def __init__(self, db: Database, fingerprint_key: bytes) -> None:
        self._db = db
        self._key = fingerprint_key

    async def RecordMentions(self, request: pb.RecordMentionsRequest, context: Context) -> pb.RecordMentionsResponse:
        call = tenancy.call_of(context)
        if not 1 <= len(request.items) <= MOST_ITEMS:
            raise InvalidArgument("BATCH_TOO_LARGE", f"a call has 1 to {MOST_ITEMS} items", pointer="/items")
        now = clock.now()
        answers: dict[int, ItemResult] = {}
        items: list[ingest.Item] = []
        shared = request.context
        for index, item in enumerate(request.items):
            mention = item.mention
            if problem := _problem_with(mention, now):
                answers[index] = ingest.rejected(*problem)
            else:
                came = item.context if item.HasField("context") else shared
                items.append(self._item(index, mention, came, now))
        answers |= await ingest.record(self._db, call.tenant_id, store.MENTIONS, items)
        if request.brief and (at := ingest.all_stored_at(answers, len(request.items))):
            return pb.RecordMentionsResponse(all_stored_at=at)
        return pb.RecordMentionsResponse(results=[answers[index] for index in range(len(request.items))])

    async def GetMention(self, request: pb.GetMentionRequest, context: Context) -> pb.GetMentionResponse:
        async with tenancy.transaction(self._db, checked(request, context)) as conn:
            record = await store.get_mention(conn, request.mention_id)
        if record is None:
            raise NotFound("MENTION_NOT_FOUND", "there is no mention with this id")
        return pb.GetMentionResponse(record=record)

    async def ListMentions(self, request: pb.ListMentionsRequest, context: Context) -> pb.ListMentionsResponse:
        async with tenancy.transaction(self._db, checked(request, context)) as conn:
            return await store.list_mentions(conn, request)

    async def CountMentions(self, request: pb.CountMentionsRequest, context: Context) -> pb.CountMentionsResponse:
        if request.by not in COUNTED_BY:
            raise InvalidArgument("MENTION_BY_UNSUPPORTED", "mentions are counted by campaign or site", pointer="?by")
        async with tenancy.transaction(self._db, checked(request, context)) as conn:
            groups = {
                group.key if group.HasField("key") else None: group
                for group in await store.count_mentions(conn, request)
            }
        ordered = [groups[key] for key in domain.sorted_keys(groups)]
        total = pb.MentionCount(n=sum(g.n for g in ordered), reach=min(sum(g.reach for g in ordered), 2**63 - 1))
        return pb.CountMentionsResponse(total=total, groups=ordered if request.by else [])

    def _item(self, index: int, mention: Mention, context: ItemContext, now: datetime) -> ingest.Item:
        occurred_at = mention.occurred_at.ToDatetime(UTC)
        received_at = occurred_at if context.history else now
        return ingest.Item(
            index=index,
            id=mention.mention_id,
            fingerprint=ingest.fingerprint(self._key, mention),
            request_token=context.request_token,
            occurred_at=occurred_at,
            received_at=received_at,
            history=context.history,
            values=store.mention_values(mention),
            event=store.mention_event(mention, received_at, history=context.history),
            traceparent=context.traceparent,
        )


def _problem_with(mention: Mention, now: datetime) -> domain.Problem | None:
    return domain.problem_with_form(mention, "mention_id") or domain.problem_with_mention(mention, now)
