"""One effect for one key: repeats, races and mistakes, through an RPC that leaves a trace of every effect."""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import grpc
import pytest

from libs.common import clock
from libs.common.errors import Aborted, InvalidArgument, NotFound, ServiceError, from_rpc
from libs.common.tenancy import REPLAYED_KEY
from plaudit.feedback.v1 import feedback_service_pb2 as pb
from plaudit.feedback.v1 import feedback_service_pb2_grpc as rpc
from plaudit.feedback.v1.feedback_pb2 import CONTACT_OUTCOME_FAILED, METRIC_NPS, Contact, Response


@dataclass(frozen=True)
class Case:
    """A case of one tenant, and attempts to speak with its customer: each effect adds one."""

    channel: grpc.aio.Channel
    metadata: Any
    tenant: uuid.UUID
    case_id: str

    async def contact(self, key: str = "", by: str = "Ada", case_id: str = "") -> tuple[pb.AddContactResponse, bool]:
        """Note a contact; return the answer, and whether it was replayed."""
        request = pb.AddContactRequest(
            case_id=case_id or self.case_id, by=by, channel="phone", outcome=CONTACT_OUTCOME_FAILED
        )
        headers = {"x_idempotency_key": key} if key else {}
        call = rpc.CaseServiceStub(self.channel).AddContact(
            request, metadata=self.metadata(self.tenant, **headers), timeout=20
        )
        try:
            answer = await call
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error) from None
        return answer, dict(await call.trailing_metadata() or ()).get(REPLAYED_KEY) == "true"

    async def contacts(self) -> Sequence[Contact]:
        """Return the contacts that took effect."""
        request = pb.GetCaseRequest(case_id=self.case_id)
        call = rpc.CaseServiceStub(self.channel).GetCase(request, metadata=self.metadata(self.tenant), timeout=20)
        contacts: Sequence[Contact] = (await call).case.contacts
        return contacts


async def opened(channel: grpc.aio.Channel, metadata: Any, tenant: uuid.UUID) -> str:
    """Make an unhappy customer; return the case."""
    unhappy = Response(
        response_id="r-1", customer_id="c-1", metric=METRIC_NPS, score=0, occurred_at=clock.stamp(clock.now())
    )
    of = {"metadata": metadata(tenant), "timeout": 20}
    recorded = pb.RecordResponsesRequest(items=[pb.ResponseItem(response=unhappy)])
    await rpc.ResponseServiceStub(channel).RecordResponses(recorded, **of)
    cases = (await rpc.CaseServiceStub(channel).ListCases(pb.ListCasesRequest(), **of)).cases
    return str(cases[0].case_id)


@pytest.fixture
async def case(channel: Any, metadata: Any, tenant: uuid.UUID) -> Case:
    """An open case of a fresh tenant."""
    feedback = await channel("feedback")
    return Case(feedback, metadata, tenant, await opened(feedback, metadata, tenant))


async def test_a_repeat_has_one_effect(case: Case) -> None:
    await case.contact("k-1")
    await case.contact("k-1")
    assert len(await case.contacts()) == 1


async def test_a_repeat_gets_the_first_answer(case: Case) -> None:
    first, _ = await case.contact("k-1")
    await case.contact("k-2")
    again, _ = await case.contact("k-1")
    assert again == first


async def test_a_repeat_says_so(case: Case) -> None:
    assert [(await case.contact("k-1"))[1] for _ in range(3)] == [False, True, True]


async def test_without_a_key_every_call_has_its_effect(case: Case) -> None:
    await case.contact()
    await case.contact()
    assert len(await case.contacts()) == 2


async def test_another_key_is_another_effect(case: Case) -> None:
    await case.contact("k-1")
    await case.contact("k-2")
    assert len(await case.contacts()) == 2


async def test_a_key_with_another_body_is_refused(case: Case) -> None:
    await case.contact("k-1")
    with pytest.raises(InvalidArgument) as refusal:
        await case.contact("k-1", by="Grace")
    assert refusal.value.reason == "IDEMPOTENCY_KEY_REUSED"


async def test_a_key_with_another_body_has_no_effect(case: Case) -> None:
    await case.contact("k-1")
    await asyncio.gather(case.contact("k-1", by="Grace"), return_exceptions=True)
    assert [contact.by for contact in await case.contacts()] == ["Ada"]


async def test_twenty_at_once_have_one_effect(case: Case) -> None:
    await asyncio.gather(*(case.contact("k-1") for _ in range(20)), return_exceptions=True)
    assert len(await case.contacts()) == 1


async def test_of_twenty_at_once_each_is_answered_replayed_or_told_to_wait(case: Case) -> None:
    outcomes = await asyncio.gather(*(case.contact("k-1") for _ in range(20)), return_exceptions=True)
    answers = {answer.SerializeToString() for answer, _ in (one for one in outcomes if isinstance(one, tuple))}
    refusals = {(type(one), one.reason) for one in outcomes if isinstance(one, ServiceError)}
    assert len(answers) == 1
    assert refusals <= {(Aborted, "IDEMPOTENCY_KEY_IN_FLIGHT")}


async def test_at_most_one_of_twenty_at_once_is_no_replay(case: Case) -> None:
    outcomes = await asyncio.gather(*(case.contact("k-1") for _ in range(20)), return_exceptions=True)
    assert [replayed for _, replayed in (one for one in outcomes if isinstance(one, tuple))].count(False) == 1


async def test_of_two_bodies_at_once_one_has_its_effect(case: Case) -> None:
    calls = [case.contact("k-1", by=by) for by in ("Ada", "Grace") * 5]
    await asyncio.gather(*calls, return_exceptions=True)
    assert len(await case.contacts()) == 1


async def test_a_refusal_does_not_use_up_the_key(case: Case) -> None:
    with pytest.raises(NotFound):
        await case.contact("k-1", case_id="nobody")
    await case.contact("k-1")
    assert len(await case.contacts()) == 1


async def test_another_tenant_uses_the_same_key_on_its_own(case: Case) -> None:
    await case.contact("k-1")
    other = uuid.uuid4()
    theirs = replace(case, tenant=other, case_id=await opened(case.channel, case.metadata, other))
    _, replayed = await theirs.contact("k-1", by="Grace")
    assert (replayed, [contact.by for contact in await theirs.contacts()]) == (False, ["Grace"])


async def test_another_call_uses_the_same_key_on_its_own(case: Case) -> None:
    await case.contact("k-1")
    request = pb.AcknowledgeCaseRequest(case_id=case.case_id)
    answer = await rpc.CaseServiceStub(case.channel).AcknowledgeCase(
        request, metadata=case.metadata(case.tenant, x_idempotency_key="k-1"), timeout=20
    )
    assert len(answer.case.contacts) == 1


async def test_an_effect_and_its_key_are_one_transaction(world: Any, case: Case) -> None:
    await case.contact("k-1")
    conn = await world.connect("feedback", case.tenant)
    try:
        query = "select xmin::text from idempotency union all select xmin::text from contacts"
        transactions = {row[0] for row in await conn.fetch(query)}
    finally:
        await conn.close()
    assert len(transactions) == 1
