"""Exactly once through the real services: repeats, reuse, races and poison, for every kind of fact."""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from libs.common import clock, ingest, tenancy
from libs.common.errors import InvalidArgument, from_rpc
from plaudit.common.v1.ingest_pb2 import (
    ITEM_STATUS_DUPLICATE,
    ITEM_STATUS_REJECTED,
    ITEM_STATUS_STORED,
    ItemResult,
)
from plaudit.event.v1.event_batch_pb2 import EventBatch
from plaudit.feedback.v1 import feedback_service_pb2 as feedback_pb
from plaudit.feedback.v1 import feedback_service_pb2_grpc as feedback_rpc
from plaudit.feedback.v1.feedback_events_pb2 import MentionRecorded, ResponseRecorded
from plaudit.feedback.v1.feedback_pb2 import METRIC_NPS, Mention, Response
from plaudit.profile.v1 import profile_service_pb2 as profile_pb
from plaudit.profile.v1 import profile_service_pb2_grpc as profile_rpc
from plaudit.profile.v1.profile_events_pb2 import ActivityRecorded
from plaudit.profile.v1.profile_pb2 import Activity

STORED, DUPLICATE, REJECTED = ITEM_STATUS_STORED, ITEM_STATUS_DUPLICATE, ITEM_STATUS_REJECTED
AT = clock.now().replace(microsecond=0) - timedelta(hours=1)


@dataclass(frozen=True)
class Kind:
    """One kind of fact: where it goes, and how it is made."""

    service: str
    noun: str
    table: str
    stub: Any
    method: str
    request: Any
    message: Any
    event: Any
    fields: dict[str, Any]
    other: dict[str, Any]
    """What makes it other content."""

    def item(self, name: str, **changed: Any) -> Any:
        return self.message(**{f"{self.noun}_id": name, "occurred_at": AT, **self.fields, **changed})


ACTIVITY = Kind(
    "profile", "activity", "activities", profile_rpc.ActivityServiceStub, "RecordActivities",
    profile_pb.RecordActivitiesRequest, Activity, ActivityRecorded,
    {"customer_id": "c-1", "type": "service_visit.completed"}, {"type": "purchase.completed"},
)  # fmt: skip
HAPPY = Kind(
    "feedback", "response", "responses", feedback_rpc.ResponseServiceStub, "RecordResponses",
    feedback_pb.RecordResponsesRequest, Response, ResponseRecorded,
    {"metric": METRIC_NPS, "score": 10, "customer_id": "c-1"}, {"score": 9},
)  # fmt: skip
UNHAPPY = Kind(
    "feedback", "response", "responses", feedback_rpc.ResponseServiceStub, "RecordResponses",
    feedback_pb.RecordResponsesRequest, Response, ResponseRecorded,
    {"metric": METRIC_NPS, "score": 0, "customer_id": "c-1"}, {"score": 1},
)  # fmt: skip
MENTION = Kind(
    "feedback", "mention", "mentions", feedback_rpc.MentionServiceStub, "RecordMentions",
    feedback_pb.RecordMentionsRequest, Mention, MentionRecorded,
    {"text": "canary", "reach": 7}, {"reach": 8},
)  # fmt: skip
KINDS = {"activity": ACTIVITY, "response": HAPPY, "case": UNHAPPY, "mention": MENTION}


@dataclass
class Facts:
    """One tenant's facts of one kind."""

    kind: Kind
    world: Any
    channel: grpc.aio.Channel
    metadata: tuple[tuple[str, str], ...]
    tenant: uuid.UUID

    async def send(self, *items: Any, token: bytes = b"", history: bool = False) -> Sequence[ItemResult]:
        """Send items as one flush."""
        context = {"request_token": token, "history": history}
        wrapped = [{self.kind.noun: item, "context": context} for item in items]
        call = getattr(self.kind.stub(self.channel), self.kind.method)
        try:
            answer = await call(self.kind.request(items=wrapped), metadata=self.metadata, timeout=20)
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error) from None
        results: Sequence[ItemResult] = answer.results
        return results

    async def statuses(self, *items: Any, token: bytes = b"") -> list[int]:
        return [result.status for result in await self.send(*items, token=token)]

    async def rows(self) -> list[str]:
        """Return the ids in the ledger, one for each row."""
        return await self._values(f"select {self.kind.noun}_id from {self.kind.table} order by 1")

    async def told(self) -> list[list[str]]:
        """Return the ids that each message in the outbox tells of."""
        query = "select payload from outbox where subject = $1 order by created_at"
        batches = map(EventBatch.FromString, await self._values(query, self.kind.event.DESCRIPTOR.full_name))
        read = self.kind.event.FromString
        return [[getattr(read(event.payload), f"{self.kind.noun}_id") for event in batch.events] for batch in batches]

    async def _values(self, query: str, *arguments: Any) -> list[Any]:
        conn = await self.world.connect(self.kind.service, self.tenant)
        try:
            return [row[0] for row in await conn.fetch(query, *arguments)]
        finally:
            await conn.close()


@pytest.fixture(params=KINDS.values(), ids=KINDS.keys())
async def facts(request: Any, world: Any, channel: Any, metadata: Any, tenant: uuid.UUID) -> Facts:
    """Each kind of fact in turn, for a fresh tenant."""
    kind = request.param
    return Facts(kind, world, await channel(kind.service), metadata(tenant), tenant)


async def test_the_same_again_is_a_duplicate_for_ever(facts: Facts) -> None:
    item = facts.kind.item("one")
    assert [await facts.statuses(item) for _ in range(3)] == [[STORED], [DUPLICATE], [DUPLICATE]]


async def test_a_duplicate_has_one_row(facts: Facts) -> None:
    item = facts.kind.item("one")
    await facts.send(item)
    await facts.send(item)
    assert (await facts.rows(), await facts.told()) == (["one"], [["one"]])


async def test_a_duplicate_tells_when_the_first_was_received(facts: Facts) -> None:
    first = await facts.send(facts.kind.item("one"))
    second = await facts.send(facts.kind.item("one"))
    assert first[0].received_at == second[0].received_at


async def test_an_id_outlives_its_published_event(facts: Facts) -> None:
    item = facts.kind.item("one")
    await facts.send(item)
    pump = await facts.world.connect(facts.kind.service, role="pump")
    try:
        await pump.execute("update outbox set published_at = now() where tenant_id = $1", facts.tenant)
    finally:
        await pump.close()
    assert await facts.statuses(item) == [DUPLICATE]


async def test_other_content_under_the_same_id_is_refused(facts: Facts) -> None:
    await facts.send(facts.kind.item("one"))
    (result,) = await facts.send(facts.kind.item("one", **facts.kind.other))
    assert (result.status, result.code) == (REJECTED, "ID_REUSED")


async def test_a_refused_reuse_leaves_the_first(facts: Facts) -> None:
    item = facts.kind.item("one")
    await facts.send(item)
    await facts.send(facts.kind.item("one", **facts.kind.other))
    assert await facts.statuses(item) == [DUPLICATE]


async def test_twice_in_one_flush_is_stored_once(facts: Facts) -> None:
    item = facts.kind.item("one")
    assert await facts.statuses(item, item) == [STORED, DUPLICATE]


async def test_reuse_in_one_flush_is_refused(facts: Facts) -> None:
    results = await facts.send(facts.kind.item("one"), facts.kind.item("one", **facts.kind.other))
    assert [result.code for result in results] == ["", "ID_REUSED"]


async def test_a_known_id_twice_in_one_flush_is_twice_a_duplicate(facts: Facts) -> None:
    item = facts.kind.item("one")
    await facts.send(item)
    assert await facts.statuses(item, item) == [DUPLICATE, DUPLICATE]


async def test_fifty_at_once_are_stored_once(facts: Facts) -> None:
    item = facts.kind.item("one")
    answers = await asyncio.gather(*(facts.statuses(item) for _ in range(50)))
    assert sorted(answers) == [[STORED], *[[DUPLICATE]] * 49]


async def test_fifty_at_once_have_one_row_and_one_event(facts: Facts) -> None:
    item = facts.kind.item("one")
    await asyncio.gather(*(facts.statuses(item) for _ in range(50)))
    assert (await facts.rows(), await facts.told()) == (["one"], [["one"]])


async def test_of_two_contents_at_once_one_wins(facts: Facts) -> None:
    one, other = facts.kind.item("one"), facts.kind.item("one", **facts.kind.other)
    answers = await asyncio.gather(*(facts.send(item) for item in [one, other] * 5))
    by_content = [{(result.status, result.code) for (result,) in answers[start::2]} for start in (0, 1)]
    assert sorted(by_content, key=len) == [{(REJECTED, "ID_REUSED")}, {(STORED, ""), (DUPLICATE, "")}]


async def test_the_own_retry_is_stored(facts: Facts) -> None:
    item = facts.kind.item("one")
    token = uuid.uuid4().bytes
    assert [await facts.statuses(item, token=token) for _ in range(2)] == [[STORED], [STORED]]


async def test_anothers_retry_is_a_duplicate(facts: Facts) -> None:
    item = facts.kind.item("one")
    assert [await facts.statuses(item, token=uuid.uuid4().bytes) for _ in range(2)] == [[STORED], [DUPLICATE]]


async def test_the_own_token_does_not_excuse_other_content(facts: Facts) -> None:
    token = uuid.uuid4().bytes
    await facts.send(facts.kind.item("one"), token=token)
    (result,) = await facts.send(facts.kind.item("one", **facts.kind.other), token=token)
    assert result.code == "ID_REUSED"


async def test_flushes_in_opposite_order_never_block_each_other(facts: Facts) -> None:
    items = [facts.kind.item(f"i-{number:03}") for number in range(120)]
    flushes = [items, items[::-1], items[60:] + items[:60], items[::2] + items[1::2]]
    answers = await asyncio.gather(*(facts.statuses(*flush) for flush in flushes))
    assert sum(statuses.count(STORED) for statuses in answers) == 120


async def test_flushes_in_opposite_order_store_each_once(facts: Facts) -> None:
    items = [facts.kind.item(f"i-{number:03}") for number in range(120)]
    await asyncio.gather(facts.send(*items), facts.send(*reversed(items)))
    assert await facts.rows() == [f"i-{number:03}" for number in range(120)]


@pytest.mark.parametrize(
    "poison",
    [
        {"occurred_at": AT + timedelta(days=30)},
        {"occurred_at": None},
        {"occurred_at": Timestamp(seconds=2**62)},
        {"occurred_at": Timestamp(seconds=-1)},
        {"occurred_at": Timestamp(seconds=1, nanos=2_000_000_000)},
        {"customer_id": "a\0b"},
        {"customer_id": "x" * 5_000},
    ],
    ids=["future", "timeless", "endless", "negative", "nanos", "nul", "long"],
)
async def test_poison_costs_its_neighbours_nothing(facts: Facts, poison: dict[str, Any]) -> None:
    items = [facts.kind.item("a"), facts.kind.item("bad", **poison), facts.kind.item("z")]
    assert await facts.statuses(*items) == [STORED, REJECTED, STORED]


async def test_poison_is_pointed_at(facts: Facts) -> None:
    (result,) = await facts.send(facts.kind.item("bad", customer_id="a\0b"))
    assert (result.pointer, result.HasField("received_at")) == ("/customer_id", False)


async def test_poison_takes_no_id(facts: Facts) -> None:
    await facts.send(facts.kind.item("one", customer_id="a\0b"))
    assert await facts.statuses(facts.kind.item("one")) == [STORED]


async def test_duplicates_alone_tell_nobody(facts: Facts) -> None:
    item = facts.kind.item("one")
    await facts.send(item)
    before = len(await facts.told())
    await facts.send(item, item)
    assert len(await facts.told()) == before


async def test_refusals_alone_tell_nobody(facts: Facts) -> None:
    await facts.send(facts.kind.item("bad", customer_id="a\0b"))
    assert await facts.told() == []


async def test_a_message_tells_of_exactly_what_was_stored(facts: Facts) -> None:
    await facts.send(facts.kind.item("old"), facts.kind.item("reused"))
    await facts.send(
        facts.kind.item("new-2"),
        facts.kind.item("old"),
        facts.kind.item("bad", customer_id="a\0b"),
        facts.kind.item("reused", **facts.kind.other),
        facts.kind.item("new-1"),
        facts.kind.item("new-2"),
    )
    assert await facts.told() == [["old", "reused"], ["new-1", "new-2"]]


async def test_the_past_is_received_when_it_occurred(facts: Facts) -> None:
    (result,) = await facts.send(facts.kind.item("one"), history=True)
    assert result.received_at == clock.stamp(AT)


@pytest.mark.parametrize("count", [0, 257])
async def test_a_flush_has_1_to_256_items(facts: Facts, count: int) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        await facts.send(*(facts.kind.item(f"i-{number}") for number in range(count)))
    assert refusal.value.reason == "BATCH_TOO_LARGE"


async def test_tenants_share_no_ids(facts: Facts, metadata: Any) -> None:
    await facts.send(facts.kind.item("one"))
    facts.metadata = metadata(uuid.uuid4())
    assert await facts.statuses(facts.kind.item("one", **facts.kind.other)) == [STORED]


# What follows the write, in its transaction.

NOTES = ingest.Stream(
    kind="mention",
    table="mentions",
    columns={"reach": "bigint"},
    subject=MentionRecorded.DESCRIPTOR.full_name,
)


def note(name: str, at: datetime = AT) -> ingest.Item:
    event = MentionRecorded(mention_id=name)
    return ingest.Item(
        index=0, id=name, fingerprint=b"f" * 16, request_token=b"", occurred_at=at, received_at=at,
        history=False, values=(1,), event=event,
    )  # fmt: skip


async def test_what_fails_after_the_write_takes_the_write_along(world: Any, tenant: uuid.UUID) -> None:
    db = (await world.service("feedback")).deps.db

    async def fail(conn: Any, fresh: list[ingest.Item]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await ingest.record(db, tenant, NOTES, [note("one")], then=fail)
    answers = await ingest.record(db, tenant, NOTES, [note("one")])
    assert answers[0].status == STORED


async def test_what_follows_the_write_gets_new_items_only(world: Any, tenant: uuid.UUID) -> None:
    db = (await world.service("feedback")).deps.db
    seen: list[str] = []

    async def follow(conn: Any, fresh: list[ingest.Item]) -> None:
        seen.extend(item.id for item in fresh)

    await ingest.record(db, tenant, NOTES, [note("one")], then=follow)
    await ingest.record(db, tenant, NOTES, [note("one"), note("two")], then=follow)
    assert seen == ["one", "two"]


async def test_an_id_is_claimed_once(world: Any, tenant: uuid.UUID) -> None:
    db = (await world.service("feedback")).deps.db

    async def claim(*ids: str) -> set[str]:
        async with tenancy.hot(db, tenant) as conn:
            return await ingest.claim(conn, tenant, "test", ids)

    assert [await claim("a", "b", "a"), await claim("b", "c")] == [{"a", "b"}, {"c"}]
