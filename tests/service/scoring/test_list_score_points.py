"""A score's history over gRPC: the same figures as the score itself at each of its times."""

from datetime import UTC, datetime, timedelta

import grpc
import pytest

from libs.common import clock
from libs.common.errors import from_rpc
from plaudit.scoring.v1 import scoring_service_pb2 as pb

from .conftest import LONG_AGO, activity, response

MIDNIGHT = datetime(2026, 1, 15, tzinfo=UTC)


@pytest.fixture
def page(scores, metadata, tenant):
    async def call(customer_id, start=None, end=None, **more):
        request = pb.ListScorePointsRequest(customer_id=customer_id, **{"from": start, "to": end}, **more)
        return await scores.ListScorePoints(request, metadata=metadata(tenant), timeout=5)

    return call


@pytest.fixture
async def ann(tell, eventually, ledger_of, tenant):
    """A customer with five answers and five purchases over ten days."""
    await tell(*(response(f"r{n}", "ann", 2 * n, at=LONG_AGO + timedelta(days=2 * n)) for n in range(5)))
    await tell(*(activity(f"a{n}", "ann", "purchase.completed", at=LONG_AGO + timedelta(days=n)) for n in range(5)))
    await eventually(lambda: _is(ledger_of(tenant), 10))


async def test_each_point_is_the_score_as_of_its_time(ann, page, get_score):
    points = (await page("ann", MIDNIGHT, MIDNIGHT + timedelta(days=12, hours=3))).points
    found = [
        (point.at.ToDatetime(UTC), point.value_micros if point.HasField("value_micros") else None) for point in points
    ]
    wanted = [(await get_score("ann", at)).value_micros for at, _ in found]
    assert [value for _, value in found] == wanted
    assert found[0][0] == MIDNIGHT + timedelta(days=1)
    assert found[-1][0] == MIDNIGHT + timedelta(days=12, hours=3)
    assert len(found) == 13


async def test_a_point_before_the_first_signal_has_no_value(ann, page):
    first = (await page("ann", MIDNIGHT - timedelta(days=3), MIDNIGHT)).points[0]
    assert not first.HasField("value_micros")
    assert not first.HasField("dimensions")


async def test_pages_hold_the_same_points_as_one_page(ann, page):
    period = (MIDNIGHT, MIDNIGHT + timedelta(days=9))
    whole = list((await page("ann", *period)).points)
    parts, token = [], ""
    for _ in range(3):
        answer = await page("ann", *period, page_size=4, page_token=token)
        parts += answer.points
        token = answer.next_page_token
    assert parts == whole
    assert token == ""


async def test_months_end_on_their_firsts(ann, page):
    points = (await page("ann", MIDNIGHT, datetime(2026, 4, 1, tzinfo=UTC), interval=pb.INTERVAL_MONTH)).points
    assert [point.at.ToDatetime(UTC).isoformat()[:10] for point in points] == ["2026-02-01", "2026-03-01", "2026-04-01"]


async def test_without_a_period_it_is_the_last_ninety_days(ann, page):
    before = clock.now()
    points = (await page("ann", page_size=200)).points
    assert len(points) == 91
    assert before <= points[-1].at.ToDatetime(UTC) <= clock.now()


@pytest.mark.parametrize(
    ("start", "end", "pointer"),
    [
        (MIDNIGHT, MIDNIGHT, "?to"),
        (datetime(1969, 1, 1, tzinfo=UTC), None, "?from"),
        (None, datetime(2200, 1, 1, tzinfo=UTC), "?to"),
    ],
)
async def test_a_period_that_cannot_be_is_refused(page, start, end, pointer):
    error = await reason_of(page("ann", start, end))
    assert (error.reason, error.metadata["pointer"]) == ("PERIOD_INVALID", pointer)


@pytest.mark.parametrize("token", ["€", "AAAA", "MjAyNi0wMS0xNQ==", "MjAxMC0wMS0wMVQwMDowMDowMCswMDowMA=="])
async def test_a_token_that_is_not_ours_is_refused(ann, page, token):
    error = await reason_of(page("ann", MIDNIGHT, MIDNIGHT + timedelta(days=9), page_token=token))
    assert error.reason == "CURSOR_INVALID"


async def test_an_id_never_seen_is_not_found(page):
    assert (await reason_of(page("nobody"))).reason == "CUSTOMER_NOT_FOUND"


async def reason_of(call):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return from_rpc(refused.value)


async def _is(count, wanted):
    return await count == wanted
