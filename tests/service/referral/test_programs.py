"""Programs over gRPC: saved, read, listed, told, audited, and each tenant's own."""

import uuid

import grpc
import pytest

from libs.common.errors import from_rpc
from plaudit.event.v1.event_batch_pb2 import EventBatch
from plaudit.referral.v1 import referral_service_pb2 as pb
from plaudit.referral.v1 import referral_service_pb2_grpc as rpc
from plaudit.referral.v1.referral_events_pb2 import ProgramChanged
from plaudit.referral.v1.referral_pb2 import (
    ATTRIBUTION_MODEL_LAST,
    PROGRAM_STATE_DRAFT,
    REWARD_KIND_PERCENTAGE,
    Attribution,
    Program,
    Reward,
    Rewards,
)


def program(key="spring", **more):
    rewards = Rewards(friend=Reward(kind=REWARD_KIND_PERCENTAGE, basis_points=1000))
    fields = {"name": "Bring a friend", "rewards": rewards, "attribution": Attribution(model=ATTRIBUTION_MODEL_LAST)}
    return Program(key=key, **{**fields, **more})


@pytest.fixture
async def programs(channel):
    return rpc.ProgramServiceStub(await channel("referral"))


@pytest.fixture
def save(programs, metadata, tenant):
    async def call(wanted):
        request = pb.SaveProgramRequest(request_id="q1", program=wanted)
        return await programs.SaveProgram(request, metadata=metadata(tenant, x_request_id="q1"), timeout=5)

    return call


@pytest.fixture
def get(programs, metadata, tenant):
    async def call(key, tenant_id=tenant):
        request = pb.GetProgramRequest(key=key)
        return (await programs.GetProgram(request, metadata=metadata(tenant_id), timeout=5)).program

    return call


@pytest.fixture
def page(programs, metadata, tenant):
    async def call(**fields):
        request = pb.ListProgramsRequest(**fields)
        return await programs.ListPrograms(request, metadata=metadata(tenant), timeout=5)

    return call


@pytest.fixture
async def conn(world, tenant):
    opened = await world.connect("referral", tenant)
    yield opened
    await opened.close()


async def reason_of(call):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return from_rpc(refused.value)


async def test_a_saved_program_is_read_as_it_was_answered(save, get):
    saved = await save(program())
    assert saved.created
    assert (saved.program.state, saved.program.version) == (PROGRAM_STATE_DRAFT, 1)
    assert await get("spring") == saved.program


async def test_the_same_again_changes_nothing(save):
    first = await save(program())
    again = await save(program())
    assert not again.created
    assert again.program == first.program


async def test_another_definition_is_another_version(save, get):
    await save(program())
    changed = await save(program(name="Bring two", holding_days=0))
    assert not changed.created
    found = await get("spring")
    assert (found.name, found.holding_days, found.version) == ("Bring two", 0, 2)


async def test_a_program_that_is_wrong_is_refused_with_its_field(save, get):
    error = await reason_of(save(program(name="")))
    assert (error.reason, error.metadata["pointer"]) == ("PROGRAM_INVALID", "/name")
    assert (await reason_of(get("spring"))).reason == "PROGRAM_NOT_FOUND"


async def test_a_key_that_cannot_be_kept_is_refused(get):
    assert (await reason_of(get("a\0b"))).reason == "PROGRAM_INVALID"


async def test_another_tenant_sees_nothing(save, get):
    await save(program())
    assert (await reason_of(get("spring", uuid.uuid4()))).reason == "PROGRAM_NOT_FOUND"


async def test_pages_hold_every_program_once_by_key(save, page):
    for key in ("c", "a", "b"):
        await save(program(key))
    first = await page(page_size=2)
    second = await page(page_size=2, page_token=first.next_page_token)
    assert [found.key for found in (*first.programs, *second.programs)] == ["a", "b", "c"]
    assert second.next_page_token == ""


async def test_archived_programs_are_listed_apart_and_saving_revives_them(save, page, conn):
    saved = await save(program())
    await conn.execute("update programs set archived_at = $1", saved.program.updated_at.ToDatetime(None).astimezone())
    assert not (await page()).programs
    assert [found.key for found in (await page(archived=True)).programs] == ["spring"]
    await save(program())
    assert [found.key for found in (await page()).programs] == ["spring"]


@pytest.mark.parametrize("token", ["€", "AA==", "not a token"])
async def test_a_token_that_is_not_ours_is_refused(page, token):
    assert (await reason_of(page(page_token=token))).reason == "CURSOR_INVALID"


async def test_each_change_is_told_and_audited_once(save, conn):
    await save(program())
    await save(program())
    await save(program(name="Bring two"))
    rows = await conn.fetch("select payload from outbox where subject = $1", ProgramChanged.DESCRIPTOR.full_name)
    events = [event for row in rows for event in EventBatch.FromString(row["payload"]).events]
    assert sorted(ProgramChanged.FromString(event.payload).version for event in events) == [1, 2]
    audited = await conn.fetch("select action, subject_id, request_id, before_hash from audit order by audit_id")
    assert [tuple(row)[:3] for row in audited] == [("SaveProgram", "spring", "q1")] * 2
    assert [row["before_hash"] is None for row in audited] == [True, False]


async def test_a_call_without_a_credential_is_refused(programs, tenant):
    call = programs.GetProgram(pb.GetProgramRequest(key="a"), metadata=(("x-plaudit-tenant", str(tenant)),), timeout=5)
    assert (await reason_of(call)).reason == "CREDENTIAL_INVALID"
