"""ActivityService: recording each id once for ever, reading, taking back."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from libs.common import clock
from libs.common.errors import from_rpc
from plaudit.common.v1.ingest_pb2 import ITEM_STATUS_DUPLICATE, ITEM_STATUS_REJECTED, ITEM_STATUS_STORED
from plaudit.profile.v1.profile_events_pb2 import ActivityRecorded, ActivityVoided

from .conftest import activity

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def reason_of(awaitable):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await awaitable
    return from_rpc(raised.value)


async def test_an_activity_comes_back_as_it_was_given(call, record):
    given = activity(
        "a-1",
        "x.lab.visit",
        NOON,
        customer_id="c-1",
        device_id="d-1",
        account_id="acme",
        channel="web",
        source="crm",
        staff_id="s-1",
        team="north",
        site="berlin",
        moment="checkout",
        value=0.0,
        amount={"amount_minor": 1250, "currency": "EUR"},
        solicited=False,
        incentivised=True,
        verified=True,
        act={"ask_id": "ask_1", "incentive": "a mug", "evidence_url": "https://example.com/e"},
        properties=b'{"a":1,"b":[true,null]}',
    )
    results = await record(given)
    kept = (await call("GetActivity", activity_id="a-1")).record

    assert results[0].status == ITEM_STATUS_STORED
    assert kept.activity == given
    assert kept.received_at == results[0].received_at
    assert not kept.HasField("voided_at")


async def test_absent_fields_stay_absent(call, record):
    given = activity("a-1", at=NOON, device_id="d-1")
    await record(given)

    assert (await call("GetActivity", activity_id="a-1")).record.activity == given


async def test_the_same_id_counts_once(record, told):
    first = await record(activity("a-1", at=NOON, customer_id="c-1"))
    again = await record(activity("a-1", at=NOON, customer_id="c-1"))
    other = await record(activity("a-1", at=NOON, customer_id="c-2"))

    assert [first[0].status, again[0].status] == [ITEM_STATUS_STORED, ITEM_STATUS_DUPLICATE]
    assert (other[0].status, other[0].code) == (ITEM_STATUS_REJECTED, "ID_REUSED")
    assert len(await told(ActivityRecorded)) == 1


async def test_a_retry_of_the_same_request_answers_stored(record):
    one = activity("a-1", at=NOON, customer_id="c-1")
    await record(one, request_token=b"0123456789abcdef")
    again = await record(one, request_token=b"0123456789abcdef")

    assert again[0].status == ITEM_STATUS_STORED


async def test_many_at_once_store_one(record, count):
    results = await asyncio.gather(*(record(activity("a-1", at=NOON, customer_id="c-1")) for _ in range(8)))

    assert sum(result[0].status == ITEM_STATUS_STORED for result in results) == 1
    assert await count("select count(*) from activities") == 1


async def test_one_bad_item_costs_the_others_nothing(record, count):
    results = await record(
        activity("a-1", customer_id="c-1"),
        activity("a-2", "nonsense", customer_id="c-1"),
        activity("a-3", customer_id="c-2"),
    )

    assert [result.status for result in results] == [ITEM_STATUS_STORED, ITEM_STATUS_REJECTED, ITEM_STATUS_STORED]
    assert await count("select count(*) from activities") == 2
    assert await count("select count(*) from seen where kind = 'activity'") == 2


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"kind": "a.*"}, "ACTIVITY_TYPE_UNKNOWN", "/type"),
        ({"kind": ">"}, "ACTIVITY_TYPE_UNKNOWN", "/type"),
        ({"kind": "x."}, "ACTIVITY_TYPE_UNKNOWN", "/type"),
        ({"kind": "x.a b"}, "ACTIVITY_TYPE_UNKNOWN", "/type"),
        ({"kind": "x.a\n"}, "ACTIVITY_TYPE_UNKNOWN", "/type"),
        ({"kind": "x..a"}, "ACTIVITY_TYPE_UNKNOWN", "/type"),
        ({"kind": "x." + "a" * 127}, "ACTIVITY_TYPE_UNKNOWN", "/type"),
        ({"kind": "$JS.API"}, "ACTIVITY_TYPE_UNKNOWN", "/type"),
        ({"kind": ""}, "FIELD_REQUIRED", "/type"),
        ({"customer_id": None}, "SUBJECT_MISSING", "/customer_id"),
        ({"customer_id": "ada@example.com"}, "ID_IS_PERSONAL", "/customer_id"),
        ({"customer_id": ""}, "ID_INVALID", "/customer_id"),
        ({"at": datetime(2999, 1, 1, tzinfo=UTC)}, "OCCURRED_AT_IN_FUTURE", "/occurred_at"),
        ({"at": datetime(1969, 12, 31, tzinfo=UTC)}, "TIME_OUT_OF_RANGE", "/occurred_at"),
        ({"value": float("nan")}, "OUT_OF_RANGE", "/value"),
        ({"value": float("inf")}, "OUT_OF_RANGE", "/value"),
        ({"amount": {"amount_minor": 1, "currency": "eur"}}, "CURRENCY_UNKNOWN", "/amount/currency"),
        ({"amount": {"amount_minor": -1, "currency": "EUR"}}, "OUT_OF_RANGE", "/amount/amount_minor"),
        ({"amount": {"amount_minor": 2**53, "currency": "EUR"}}, "OUT_OF_RANGE", "/amount/amount_minor"),
        ({"channel": "a\x00b"}, "TEXT_INVALID", "/channel"),
        ({"site": "x" * 1001}, "ITEM_TOO_LARGE", "/site"),
        ({"act": {"evidence_url": "javascript:alert(1)"}}, "URL_INVALID", "/act/evidence_url"),
        ({"properties": b"{"}, "JSON_INVALID", "/properties"),
        ({"properties": b'{"a": "\\ud800"}'}, "JSON_INVALID", "/properties"),
        ({"properties": '{"a": 1}'.encode("utf-16")}, "JSON_INVALID", "/properties"),
        ({"properties": b'{"a": NaN}'}, "JSON_INVALID", "/properties"),
        ({"properties": b'{"a": 1e400}'}, "OUT_OF_RANGE", "/properties/a"),
        ({"properties": b'{"a/b": "\\u0000"}'}, "TEXT_INVALID", "/properties/a~1b"),
        ({"properties": b'{"a":"' + b"x" * 17_000 + b'"}'}, "ITEM_TOO_LARGE", "/properties"),
        ({"properties": b"[" * 10_000}, "JSON_INVALID", "/properties"),
    ],
)
async def test_a_bad_field_is_named_and_nothing_is_stored(record, count, fields, code, pointer):
    results = await record(activity("a-1", **{"customer_id": "c-1", **fields}))

    assert (results[0].status, results[0].code, results[0].pointer) == (ITEM_STATUS_REJECTED, code, pointer)
    assert await count("select count(*) from activities") == 0
    assert await count("select count(*) from outbox") == 0


async def test_a_little_ahead_is_good(record):
    results = await record(activity("a-1", at=clock.now() + timedelta(hours=23), customer_id="c-1"))

    assert results[0].status == ITEM_STATUS_STORED


async def test_the_event_carries_no_words(record, told):
    await record(
        activity(
            "a-1",
            customer_id="c-1",
            act={"ask_id": "ask_1", "incentive": "a secret mug", "evidence_url": "https://example.com/secret"},
            properties=b'{"note":"secret"}',
        )
    )
    event = (await told(ActivityRecorded))[0]

    assert event.ask_id == "ask_1"
    assert event.has_incentive
    assert b"secret" not in event.SerializeToString()


async def test_history_is_received_when_it_occurred(call, record, told):
    await record(activity("a-1", at=NOON, customer_id="c-1"), history=True)
    kept = (await call("GetActivity", activity_id="a-1")).record
    event = (await told(ActivityRecorded))[0]

    assert kept.received_at.ToDatetime(UTC) == NOON
    assert event.history
    assert event.received_at.ToDatetime(UTC) == NOON


async def test_history_is_no_part_of_the_content(record):
    await record(activity("a-1", at=NOON, customer_id="c-1"), history=True)
    again = await record(activity("a-1", at=NOON, customer_id="c-1"))

    assert again[0].status == ITEM_STATUS_DUPLICATE


async def test_lists_are_newest_first_and_page(call, record):
    await record(*(activity(f"a-{n}", at=NOON + timedelta(hours=n // 2), customer_id=f"c-{n % 2}") for n in range(8)))
    seen, token = [], ""
    for _ in range(3):
        page = await call("ListActivities", page_size=3, page_token=token)
        seen += [one.activity.activity_id for one in page.records]
        token = page.next_page_token
    own = (await call("ListActivities", customer_id="c-1")).records
    some = (await call("ListActivities", **{"from": NOON + timedelta(hours=1)}, to=NOON + timedelta(hours=2))).records

    assert seen == [f"a-{n}" for n in reversed(range(8))]
    assert token == ""
    assert [one.activity.activity_id for one in own] == ["a-7", "a-5", "a-3", "a-1"]
    assert [one.activity.activity_id for one in some] == ["a-3", "a-2"]


async def test_a_void_is_kept_once_and_told_once(call, record, told, count):
    await record(activity("a-1", customer_id="c-1"))
    first = (await call("VoidActivity", activity_id="a-1", reason="entered twice")).record
    again = (await call("VoidActivity", activity_id="a-1", reason="another reason")).record
    events = await told(ActivityVoided)

    assert first.void_reason == "entered twice"
    assert first.HasField("voided_at")
    assert again == first
    assert [(event.activity_id, event.customer_id) for event in events] == [("a-1", "c-1")]
    assert b"twice" not in events[0].SerializeToString()
    assert await count("select count(*) from audit where action = 'VoidActivity'") == 1
    assert (await call("GetActivity", activity_id="a-1")).record == first


async def test_a_void_with_a_key_gives_its_first_answer_again(call, record):
    await record(activity("a-1", customer_id="c-1"))
    headers = {"x_idempotency_key": "k-1"}
    first = await call("VoidActivity", activity_id="a-1", reason="why", headers=headers)
    again = await call("VoidActivity", activity_id="a-1", reason="why", headers=headers)
    error = await reason_of(call("VoidActivity", activity_id="a-1", reason="other", headers=headers))

    assert first == again
    assert error.reason == "IDEMPOTENCY_KEY_REUSED"


async def test_voiding_at_once_has_one_effect(call, record, told):
    await record(activity("a-1", customer_id="c-1"))
    results = await asyncio.gather(*(call("VoidActivity", activity_id="a-1", reason=f"r{n}") for n in range(6)))

    assert len({result.record.void_reason for result in results}) == 1
    assert len(await told(ActivityVoided)) == 1


async def test_what_is_not_there_is_not_found(call):
    assert (await reason_of(call("GetActivity", activity_id="a-1"))).reason == "ACTIVITY_NOT_FOUND"
    assert (await reason_of(call("VoidActivity", activity_id="a-1", reason=""))).reason == "ACTIVITY_NOT_FOUND"


async def test_another_tenant_sees_nothing_and_may_use_the_same_id(call, record):
    other = uuid.uuid4()
    await record(activity("a-1", at=NOON, customer_id="c-1"))

    assert (await reason_of(call("GetActivity", other, activity_id="a-1"))).reason == "ACTIVITY_NOT_FOUND"
    assert not (await call("ListActivities", other)).records
    assert (await record(activity("a-1", at=NOON, customer_id="c-9"), of=other))[0].status == ITEM_STATUS_STORED


@pytest.mark.parametrize("size", [0, 257])
async def test_a_batch_has_1_to_256_items(call, size):
    items = [{"activity": activity(f"a-{n}", customer_id="c-1")} for n in range(size)]

    assert (await reason_of(call("RecordActivities", items=items))).reason == "BATCH_TOO_LARGE"


async def test_a_batch_is_no_larger_than_the_message_that_tells_of_it(call):
    words = dict.fromkeys(("channel", "source", "staff_id", "team", "site", "moment"), "x" * 1_000)
    items = [{"activity": activity(f"a-{n}", customer_id="c-1", **words)} for n in range(100)]
    assert (await reason_of(call("RecordActivities", items=items))).reason == "BATCH_TOO_LARGE"
    assert (await reason_of(call("GetActivity", activity_id="a-1"))).reason == "ACTIVITY_NOT_FOUND"


@pytest.mark.parametrize("seconds", [2**62, -(2**62)])
async def test_a_period_may_be_as_wide_as_its_type(call, record, seconds):
    await record(activity("a-1", customer_id="c-1"))
    found = (await call("ListActivities", to={"seconds": seconds})).records

    assert len(found) == (seconds > 0)
