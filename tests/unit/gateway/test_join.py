"""The gateway's joining of what arrives at once: one flush in flight for each tenant, bounded, nobody forgotten."""

import asyncio
import uuid
from typing import Any

import pytest

from libs.common.errors import Aborted, InvalidArgument, ServiceError, Unavailable
from plaudit.common.v1.ingest_pb2 import ITEM_STATUS_STORED, ItemContext, ItemResult
from plaudit.feedback.v1.feedback_pb2 import Mention
from services.gateway.edge.join import Joiner

AWAY = Unavailable("SERVICE_UNAVAILABLE", "away")
BROKEN = ServiceError("INTERNAL", "broken")


class Service:
    """Stands where the service is: notes every flush, answers each item with its id, fails as it is told."""

    def __init__(self, *failures: Exception, poison: str = "", error: Exception = BROKEN) -> None:
        self.flushes: list[list[str]] = []
        self.contexts: list[list[ItemContext]] = []
        self.in_flight: dict[uuid.UUID, int] = {}
        self.most_in_flight = 0
        self.arrived = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self._failures = list(failures)
        self._poison = poison
        self._error = error

    async def flush(self, tenant_id: uuid.UUID, items: list[bytes], contexts: list[ItemContext]) -> list[ItemResult]:
        names = [Mention.FromString(item).mention_id for item in items]
        self.flushes.append(names)
        self.contexts.append(contexts)
        self.arrived.set()
        self.in_flight[tenant_id] = self.in_flight.get(tenant_id, 0) + 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight[tenant_id])
        try:
            await self.open.wait()
        finally:
            self.in_flight[tenant_id] -= 1
        if self._failures:
            raise self._failures.pop(0)
        if self._poison in self.flushes[-1]:
            raise self._error
        return [ItemResult(status=ITEM_STATUS_STORED, detail=name) for name in names]


TENANT = uuid.uuid4()


def mention(name: str, size: int = 0) -> bytes:
    return Mention(mention_id=name, text="x" * size).SerializeToString()


def submit(
    joiner: Joiner, *names: str, tenant: uuid.UUID = TENANT, token: bytes = b"", size: int = 0
) -> asyncio.Task[list[str]]:
    """Hand in one request; give the ids that its answers are for."""

    async def run() -> list[str]:
        items = [mention(name, size) for name in names]
        answers = await joiner.submit(tenant, items, ItemContext(request_token=token))
        return [answer.detail for answer in answers]

    return asyncio.create_task(run())


async def queued(*tasks: asyncio.Task[Any]) -> None:
    """Let tasks run up to where they wait."""
    await asyncio.wait(tasks, timeout=0)


async def held(service: Service, joiner: Joiner) -> asyncio.Task[list[str]]:
    """Put a first flush in flight that does not end until the service opens."""
    service.open.clear()
    first = submit(joiner, "first")
    await asyncio.wait_for(service.arrived.wait(), 5)
    return first


async def test_an_idle_joiner_sends_at_once() -> None:
    service = Service()
    await submit(Joiner(service.flush), "a")
    assert service.flushes == [["a"]]


async def test_what_arrives_during_a_flush_is_joined_into_the_next() -> None:
    service = Service()
    joiner = Joiner(service.flush)
    first = await held(service, joiner)
    tasks = [submit(joiner, name) for name in "abcd"]
    await queued(*tasks)
    service.open.set()
    await asyncio.gather(first, *tasks)
    assert service.flushes == [["first"], ["a", "b", "c", "d"]]


async def test_one_flush_of_a_tenant_is_in_flight() -> None:
    service = Service()
    joiner = Joiner(service.flush, max_items=2)
    await asyncio.gather(*(submit(joiner, str(number)) for number in range(20)))
    assert service.most_in_flight == 1


async def test_tenants_flush_side_by_side() -> None:
    service = Service()
    joiner = Joiner(service.flush)
    first = await held(service, joiner)
    second = submit(joiner, "other", tenant=uuid.uuid4())
    await queued(second)
    await queued(second)
    assert service.flushes == [["first"], ["other"]]
    service.open.set()
    await asyncio.gather(first, second)


async def test_each_request_gets_its_own_answers_in_order() -> None:
    service = Service()
    joiner = Joiner(service.flush)
    first = await held(service, joiner)
    tasks = [submit(joiner, "b", "a"), submit(joiner, "c"), submit(joiner, "e", "d", "f")]
    await queued(*tasks)
    service.open.set()
    assert await asyncio.gather(first, *tasks) == [["first"], ["b", "a"], ["c"], ["e", "d", "f"]]


async def test_a_flush_keeps_each_requests_context() -> None:
    service = Service()
    joiner = Joiner(service.flush)
    first = await held(service, joiner)
    tasks = [submit(joiner, "a", "b", token=b"1"), submit(joiner, "c", token=b"2")]
    await queued(*tasks)
    service.open.set()
    await asyncio.gather(first, *tasks)
    assert [context.request_token for context in service.contexts[1]] == [b"1", b"1", b"2"]


async def test_a_long_request_is_cut_and_answered_in_order() -> None:
    service = Service()
    names = [str(number) for number in range(600)]
    assert await submit(Joiner(service.flush), *names) == names


async def test_a_flush_has_at_most_256_items() -> None:
    service = Service()
    await submit(Joiner(service.flush), *(str(number) for number in range(600)))
    assert [len(flush) for flush in service.flushes] == [256, 256, 88]


async def test_a_flush_has_at_most_its_bytes() -> None:
    service = Service()
    joiner = Joiner(service.flush, max_bytes=10_000)
    await asyncio.gather(*(submit(joiner, str(number), size=4_000) for number in range(5)))
    assert [len(flush) for flush in service.flushes] == [2, 2, 1]


async def test_an_item_over_the_bytes_goes_alone() -> None:
    service = Service()
    joiner = Joiner(service.flush, max_bytes=10)
    await submit(joiner, "a", "b", size=100)
    assert service.flushes == [["a"], ["b"]]


async def test_a_tenant_with_a_full_queue_is_refused() -> None:
    service = Service()
    joiner = Joiner(service.flush, max_queue=3)
    first = await held(service, joiner)
    tasks = [submit(joiner, "a", "b")]
    await queued(*tasks)
    with pytest.raises(Unavailable) as refusal:
        await submit(joiner, "c")
    assert refusal.value.reason == "QUEUE_FULL"
    service.open.set()
    await asyncio.gather(first, *tasks)


async def test_a_full_queue_says_when_to_come_again() -> None:
    with pytest.raises(Unavailable) as refusal:
        await submit(Joiner(Service().flush, max_queue=0), "a")
    assert refusal.value.metadata == {"retry_after": "1"}


async def test_one_tenants_queue_is_not_the_others() -> None:
    service = Service()
    joiner = Joiner(service.flush, max_queue=1)
    first = await held(service, joiner)
    other = submit(joiner, "other", tenant=uuid.uuid4())
    await queued(other)
    service.open.set()
    assert await asyncio.gather(first, other) == [["first"], ["other"]]


async def test_all_queues_together_are_bounded() -> None:
    service = Service()
    joiner = Joiner(service.flush, max_total=1)
    first = await held(service, joiner)
    with pytest.raises(Unavailable):
        await submit(joiner, "other", tenant=uuid.uuid4())
    service.open.set()
    await first


@pytest.mark.parametrize("failure", [(), (AWAY, AWAY), (BROKEN,)], ids=["stored", "away", "broken"])
async def test_a_queue_empties_however_it_went(failure: tuple[Exception, ...]) -> None:
    service = Service(*failure)
    joiner = Joiner(service.flush, max_queue=1, max_total=1)
    await asyncio.gather(submit(joiner, "a"), return_exceptions=True)
    assert await submit(joiner, "b") == ["b"]


async def test_a_lane_is_forgotten_when_idle() -> None:
    joiner = Joiner(Service().flush)
    await submit(joiner, "a")
    await asyncio.gather(*joiner._tasks)
    assert joiner._lanes == {}


async def test_a_service_that_is_away_is_asked_once_more() -> None:
    service = Service(AWAY)
    assert await submit(Joiner(service.flush), "a") == ["a"]


async def test_the_second_try_has_the_same_items_and_tokens() -> None:
    service = Service(AWAY)
    await submit(Joiner(service.flush), "a", "b", token=b"t")
    assert (service.flushes[0], service.contexts[0]) == (service.flushes[1], service.contexts[1])


async def test_a_service_that_stays_away_is_asked_twice() -> None:
    service = Service(AWAY, AWAY)
    with pytest.raises(Unavailable):
        await submit(Joiner(service.flush), "a")
    assert len(service.flushes) == 2


async def test_a_service_that_stays_away_refuses_all_of_the_flush() -> None:
    service = Service(AWAY, AWAY)
    joiner = Joiner(service.flush)
    tasks = [submit(joiner, name) for name in "abc"]
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(answer) for answer in answers} == {Unavailable}


@pytest.mark.parametrize("error", [BROKEN, InvalidArgument("BATCH_TOO_LARGE", "no"), Aborted("X", "no")])
async def test_a_flush_that_is_refused_whole_is_halved_until_the_culprit_is_alone(error: Exception) -> None:
    service = Service(poison="c", error=error)
    joiner = Joiner(service.flush)
    tasks = [submit(joiner, name) for name in "abcde"]
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert answers == [["a"], ["b"], error, ["d"], ["e"]]


async def test_a_caller_who_went_away_costs_the_others_nothing() -> None:
    service = Service()
    joiner = Joiner(service.flush)
    first = await held(service, joiner)
    gone, other = submit(joiner, "gone"), submit(joiner, "other")
    await queued(gone, other)
    gone.cancel()
    service.open.set()
    assert await asyncio.gather(first, other) == [["first"], ["other"]]


async def test_a_bug_in_a_flush_is_its_requests_own() -> None:
    service = Service(ZeroDivisionError())
    joiner = Joiner(service.flush, max_items=1)
    answers = await asyncio.gather(*(submit(joiner, name) for name in "abc"), return_exceptions=True)
    assert [type(answers[0]), *answers[1:]] == [ZeroDivisionError, ["b"], ["c"]]


async def test_a_bug_in_a_flush_takes_no_room_for_ever() -> None:
    service = Service(ZeroDivisionError())
    joiner = Joiner(service.flush, max_total=1)
    await asyncio.gather(submit(joiner, "a"), return_exceptions=True)
    assert await submit(joiner, "b") == ["b"]
