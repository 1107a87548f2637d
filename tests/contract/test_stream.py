"""The live stream and its ten durables are what libs/common says, and every event has somebody who listens."""

import importlib
from collections.abc import Sequence
from typing import Any

import pytest
from nats.js.api import AckPolicy, ConsumerInfo, DeliverPolicy, DiscardPolicy, RetentionPolicy, StorageType

from libs.common.events import broker, ensure_stream

from .conftest import SERVICES

DURABLES = [f"{service}-{which}" for service in SERVICES for which in ("streams", "rest")]


def handlers_of(service: str) -> Sequence[Any]:
    handlers: Sequence[Any] = importlib.import_module(f"services.{service}.consumers").HANDLERS
    return handlers


@pytest.fixture
async def js(world: Any) -> Any:
    """The JetStream context of a running service."""
    return await (await world.service("referral")).deps.broker.jetstream()


async def consumer(js: Any, durable: str) -> ConsumerInfo:
    info: ConsumerInfo = await js.consumer_info(broker.STREAM, durable)
    return info


async def test_the_stream_keeps_what_a_durable_still_wants(js: Any) -> None:
    config = (await js.stream_info(broker.STREAM)).config
    assert (config.retention, config.discard, config.storage, config.subjects) == (
        RetentionPolicy.INTEREST,
        DiscardPolicy.NEW,
        StorageType.FILE,
        ["plaudit.>"],
    )


async def test_the_stream_has_the_limits_of_the_code(js: Any) -> None:
    config = (await js.stream_info(broker.STREAM)).config
    wanted = broker.stream_config(2_147_483_648, 1)
    names = ("max_age", "max_bytes", "max_msg_size", "duplicate_window", "num_replicas", "compression")
    assert {name: getattr(config, name) for name in names} == {name: getattr(wanted, name) for name in names}


async def test_an_event_message_fits_into_the_stream(js: Any) -> None:
    config = (await js.stream_info(broker.STREAM)).config
    assert config.max_msg_size > importlib.import_module("libs.common.events.emit").MAX_BYTES


@pytest.mark.parametrize("durable", DURABLES)
async def test_a_durable_acknowledges_each_message_and_never_gives_up(js: Any, durable: str) -> None:
    config = (await consumer(js, durable)).config
    assert (
        config.ack_policy,
        config.deliver_policy,
        config.ack_wait,
        config.max_ack_pending,
        config.max_deliver,
        config.backoff,
    ) == (AckPolicy.EXPLICIT, DeliverPolicy.ALL, 5.0, 1024, -1, None)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_has_the_durables_of_its_handlers(js: Any, service: str) -> None:
    wanted = broker.durables(service, handlers_of(service))
    found = {name: (await consumer(js, name)).config for name in wanted}
    subjects = {name: sorted(config.filter_subjects or [config.filter_subject]) for name, config in found.items()}
    assert subjects == wanted


async def test_the_stream_has_no_other_durables(js: Any) -> None:
    found = {info.name for info in await js.consumers_info(broker.STREAM)}
    assert {name for name in found if not name.startswith("test-")} == set(DURABLES)


async def test_setting_up_again_makes_nothing(world: Any) -> None:
    services = {service: handlers_of(service) for service in SERVICES}
    assert await ensure_stream(world.stack.addresses.nats_url, services) == []
