"""A score over gRPC: what counts, what it is made of, and what is refused."""

import uuid
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from libs.common import clock
from libs.common.errors import from_rpc
from plaudit.feedback.v1.feedback_pb2 import METRIC_CES, METRIC_CSAT
from plaudit.profile.v1.profile_events_pb2 import ActivityVoided, CustomerChanged

from .conftest import LONG_AGO, activity, response

POINT = 1_000_000


async def test_an_answer_is_worth_its_weight_on_its_day(tell, get_score, eventually, ledger_of, tenant):
    await tell(response("r1", "ann", 10))
    await eventually(lambda: ledger_of(tenant))
    score = await get_score("ann", LONG_AGO)
    assert score.value_micros == 70 * POINT
    assert score.dimensions.satisfaction_micros == 20 * POINT
    assert [(item.signal, item.contribution_micros) for item in score.evidence] == [
        ("base", 50 * POINT),
        ("nps.promoter", 20 * POINT),
    ]
    assert (score.evidence[1].source.kind, score.evidence[1].source.id) == ("response", "r1")
    assert score.evidence[1].occurred_at.ToDatetime(UTC) == LONG_AGO


async def test_an_answer_counts_half_after_ninety_days(tell, get_score, eventually, ledger_of, tenant):
    await tell(response("r1", "ann", 9))
    await eventually(lambda: ledger_of(tenant))
    assert (await get_score("ann", LONG_AGO + timedelta(days=90))).value_micros == 60 * POINT


async def test_evidence_sums_exactly_to_the_value(tell, get_score, eventually, ledger_of, tenant):
    await tell(*(response(f"r{n}", "ann", n % 11, at=LONG_AGO + timedelta(hours=7 * n)) for n in range(60)))
    await tell(
        *(activity(f"a{n}", "ann", "purchase.completed", at=LONG_AGO + timedelta(hours=5 * n)) for n in range(40))
    )
    await eventually(lambda: _is(ledger_of(tenant), 100))
    score = await get_score("ann", LONG_AGO + timedelta(days=133))
    assert sum(item.contribution_micros for item in score.evidence) == score.value_micros
    dimensions = score.dimensions
    summed = dimensions.satisfaction_micros + dimensions.loyalty_micros
    clamp = [item.contribution_micros for item in score.evidence if item.signal == "clamp"]
    assert score.value_micros == 50 * POINT + summed + sum(clamp)


async def test_every_listed_signal_has_its_weight(tell, get_score, eventually, ledger_of, tenant):
    await tell(
        response("n", "c1", 7),
        response("s", "c2", 2, metric=METRIC_CSAT),
        response("e", "c3", 6, metric=METRIC_CES),
    )
    await tell(
        activity("p", "c4", "subscription.started"),
        activity("q", "c5", "review.published", verified=True, solicited=False),
        activity("x", "c6", "review.published", verified=True, incentivised=True, solicited=False),
    )
    await eventually(lambda: _is(ledger_of(tenant), 6))
    found = [(await get_score(f"c{number}", LONG_AGO)).value_micros / POINT for number in range(1, 7)]
    assert found == [53, 38, 55, 50, 65, 53]


async def test_a_customer_without_a_signal_has_no_score(tell, get_score, eventually):
    await tell(activity("a1", "ann", "x.hello"), activity("a2", "ann", "review.published"))
    score = await eventually(lambda: _found(get_score("ann")))
    assert not score.HasField("value_micros")
    assert not score.HasField("dimensions")
    assert not score.evidence


async def test_a_customer_known_from_profile_alone_has_no_score(tell, get_score, eventually):
    await tell(CustomerChanged(customer_id="ann", version=1, known=True))
    assert not (await eventually(lambda: _found(get_score("ann")))).HasField("value_micros")


async def test_an_id_never_seen_is_not_found(get_score):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await get_score("nobody")
    assert from_rpc(refused.value).reason == "CUSTOMER_NOT_FOUND"


async def test_an_id_that_cannot_be_kept_is_refused(get_score):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await get_score("a\0b")
    assert from_rpc(refused.value).reason == "TEXT_INVALID"


async def test_a_fact_of_tomorrow_counts_today_and_not_yesterday(tell, get_score, eventually, ledger_of, tenant):
    now = clock.now()
    await tell(response("r1", "ann", 10, at=now + timedelta(hours=20), received_at=now))
    await eventually(lambda: ledger_of(tenant))
    assert (await get_score("ann")).value_micros == 70 * POINT
    assert not (await get_score("ann", now - timedelta(hours=1))).HasField("value_micros")


async def test_what_happened_later_is_left_out_of_an_earlier_score(tell, get_score, eventually, ledger_of, tenant):
    await tell(response("r1", "ann", 10), response("r2", "ann", 0, at=LONG_AGO + timedelta(days=5)))
    await eventually(lambda: _is(ledger_of(tenant), 2))
    assert (await get_score("ann", LONG_AGO + timedelta(hours=1))).value_micros == 70 * POINT


async def test_a_late_fact_changes_the_past(tell, get_score, eventually, ledger_of, tenant):
    await tell(response("r1", "ann", 10))
    await eventually(lambda: ledger_of(tenant))
    before = await get_score("ann", LONG_AGO)
    await tell(response("r0", "ann", 7, at=LONG_AGO - timedelta(days=400)))
    await eventually(lambda: _is(ledger_of(tenant), 2))
    assert (await get_score("ann", LONG_AGO)).value_micros > before.value_micros


async def test_a_voided_activity_counts_no_more(tell, get_score, eventually):
    await tell(activity("a1", "ann", "subscription.cancelled"))
    await eventually(lambda: _worth(get_score("ann", LONG_AGO), 20))
    await tell(ActivityVoided(activity_id="a1", customer_id="ann", voided_at=clock.now()))
    await eventually(lambda: _worth(get_score("ann", LONG_AGO), None))


async def test_a_void_that_comes_first_holds(tell, get_score, eventually, ledger_of, tenant):
    await tell(ActivityVoided(activity_id="a1", customer_id="ann", voided_at=clock.now()))
    await tell(activity("a1", "ann", "subscription.cancelled"), activity("a2", "ann", "purchase.completed"))
    await eventually(lambda: _is(ledger_of(tenant), 2))
    await eventually(lambda: _worth(get_score("ann", LONG_AGO), 52))


async def test_a_response_and_an_activity_may_share_an_id(tell, get_score, eventually):
    await tell(response("same", "ann", 9))
    await tell(activity("same", "ann", "purchase.completed"))
    await eventually(lambda: _worth(get_score("ann", LONG_AGO), 72))


async def test_another_tenant_sees_nothing(tell, get_score, eventually, ledger_of, tenant):
    await tell(response("r1", "ann", 10))
    await eventually(lambda: ledger_of(tenant))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await get_score("ann", tenant_id=uuid.uuid4())
    assert from_rpc(refused.value).reason == "CUSTOMER_NOT_FOUND"


@pytest.mark.parametrize("as_of", [datetime(1969, 12, 31, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)])
async def test_an_instant_outside_of_the_times_we_take_is_refused(get_score, as_of):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await get_score("ann", as_of)
    assert from_rpc(refused.value).reason == "AS_OF_INVALID"
    assert from_rpc(refused.value).metadata["pointer"] == "?as_of"


async def _is(count, wanted):
    return await count == wanted


async def _found(call):
    try:
        return await call
    except grpc.aio.AioRpcError:
        return None


async def _worth(call, points):
    score = await _found(call)
    if score is None:
        return False
    return (score.value_micros / POINT if score.HasField("value_micros") else None) == points
