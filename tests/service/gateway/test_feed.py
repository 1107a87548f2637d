"""The feed's consumers: whatever the order, split or repetition of messages, each public event stands in it once."""

import asyncio
import random

import pytest

from libs.common import clock, tenancy
from libs.common.events import Batch, Received
from plaudit.feedback.v1.feedback_events_pb2 import (
    CASE_CHANGE_JOINED,
    CASE_CHANGE_OPENED,
    CaseChanged,
    MentionRecorded,
    ResponseRecorded,
)
from services.gateway import consumers, store


def received(payload, event_id):
    return Received(event_id, clock.now(), clock.now(), payload, "")


@pytest.fixture
async def database(world):
    return (await world.service("gateway")).deps.db


@pytest.fixture
def handle(database, tenant):
    async def run(handler, events):
        async with tenancy.hot(database, tenant) as conn:
            await handler(conn, Batch(tenant, events))

    return run


async def test_messages_in_any_split_and_order_fill_the_feed_once(database, tenant, handle):
    events = [received(ResponseRecorded(response_id=f"r-{i}"), f"evt_{i:03}") for i in range(60)]
    parts = [events[start : start + 7] for start in range(0, 60, 7)] * 2 + [events]
    random.Random(7).shuffle(parts)
    await asyncio.gather(*(handle(consumers.on_response_recorded, part) for part in parts))
    found, last = await store.read_feed(database, tenant, 0, None, 200)
    assert sorted(event.event_id for event in found) == [event.event_id for event in events]
    assert [event.seq for event in found] == list(range(1, 61))
    assert last == 60


async def test_a_message_that_repeats_an_event_within_itself_shows_it_once(database, tenant, handle):
    event = received(ResponseRecorded(response_id="r"), "evt_1")
    await handle(consumers.on_response_recorded, [event, event])
    assert len((await store.read_feed(database, tenant, 0, None, 50))[0]) == 1


async def test_what_is_not_public_takes_no_number(database, tenant, handle):
    changes = [(CASE_CHANGE_JOINED, "evt_1"), (CASE_CHANGE_OPENED, "evt_2")]
    events = [received(CaseChanged(change=change, case_id="case_1"), event_id) for change, event_id in changes]
    await handle(consumers.on_case_changed, events)
    (shown,), last = await store.read_feed(database, tenant, 0, None, 50)
    assert (shown.type, shown.data["case_id"], last) == ("case.opened", "case_1", 1)


async def test_a_reader_that_skips_types_still_moves_on(database, tenant, handle):
    events = [received(ResponseRecorded(response_id=f"r-{i}"), f"evt_{i}") for i in range(5)]
    await handle(consumers.on_response_recorded, events)
    assert await store.read_feed(database, tenant, 0, ["case.opened"], 50) == ([], 5)


async def test_a_reader_never_passes_what_is_not_committed(database, tenant, handle):
    """While one transaction holds the head, the next waits: no number can be seen before a smaller one."""
    await handle(consumers.on_response_recorded, [received(ResponseRecorded(response_id="r-1"), "evt_1")])
    async with tenancy.hot(database, tenant) as conn:
        await store.add_to_feed(
            conn, tenant, [store.FeedEvent("evt_2", "response.received", clock.now(), {})], clock.now()
        )
        following = asyncio.create_task(
            handle(consumers.on_response_recorded, [received(ResponseRecorded(response_id="r-3"), "evt_3")]),
        )
        found, last = await store.read_feed(database, tenant, 0, None, 50)
        assert ([event.event_id for event in found], last) == (["evt_1"], 1)
        assert not following.done()
    await following
    found, last = await store.read_feed(database, tenant, 1, None, 50)
    assert ([event.event_id for event in found], last) == (["evt_2", "evt_3"], 3)


def test_every_type_has_a_handler_that_can_show_it():
    shown = {*consumers.CASE_TYPES.values(), "response.received", "customer.changed"}
    assert shown == set(store.EVENT_TYPES)
    assert MentionRecorded not in {handler.payload for handler in consumers.HANDLERS}
