"""The script in docs/grpc.md runs as it stands, against real services, and what the page says of refusals is so."""

import asyncio
import os
import re
import sys
import uuid
from importlib import import_module
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from libs.common.errors import from_rpc
from plaudit.scoring.v1 import scoring_service_pb2 as pb
from plaudit.scoring.v1 import scoring_service_pb2_grpc as rpc

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/grpc.md"
SERVICES = ("profile", "feedback", "referral", "scoring")


def script() -> str:
    """Return the one Python script of the page."""
    found = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(found) == 1
    return found[0]


@pytest.fixture
async def settings(world, tenant):
    """The script's environment, as the page says to set it."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "protos/gen"),
        "FEEDBACK_ADDRESS": (await world.service("feedback")).address,
        "SCORING_ADDRESS": (await world.service("scoring")).address,
        "TENANT_ID": str(tenant),
        "SERVICE_CREDENTIAL": world.stack.secrets["credentials"]["internal"],
    }


async def run(settings, tmp_path) -> tuple[int, str, str]:
    """Run the script from elsewhere, so that nothing but its import path is found."""
    pasted = tmp_path / "script.py"
    pasted.write_text(script())
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", str(pasted), env=settings, cwd=tmp_path, stdout=pipe, stderr=pipe
    )
    out, err = await asyncio.wait_for(process.communicate(), 40)
    return process.returncode, out.decode(), err.decode()


async def test_the_script_runs_as_it_stands(settings, tmp_path):
    code, out, err = await run(settings, tmp_path)
    assert (code, err) == (0, "")
    assert "-2: " in out.splitlines()[1]
    assert "serving: True True" in out
    assert "stored: [7, 10]" in out
    assert "score: 73.0" in out
    assert "nobody: None" in out


async def test_the_script_fails_with_a_wrong_credential(settings, tmp_path):
    code, _, err = await run({**settings, "SERVICE_CREDENTIAL": "wrong"}, tmp_path)
    assert code == 1
    assert "UNAUTHENTICATED" in err


@pytest.mark.parametrize(
    ("without", "reason"), [("authorization", "CREDENTIAL_INVALID"), ("x-plaudit-tenant", "TENANT_MISSING")]
)
async def test_a_call_without_what_every_call_carries_is_refused(channel, metadata, tenant, without, reason):
    stub = rpc.ScoreServiceStub(await channel("scoring"))
    carried = [pair for pair in metadata(tenant) if pair[0] != without]
    assert await reason_of(stub.GetScore(pb.GetScoreRequest(customer_id="a"), metadata=carried, timeout=5)) == reason


async def test_a_call_without_a_deadline_is_refused(channel, metadata, tenant):
    stub = rpc.ScoreServiceStub(await channel("scoring"))
    call = stub.GetScore(pb.GetScoreRequest(customer_id="a"), metadata=metadata(tenant))
    assert await reason_of(call) == "DEADLINE_MISSING"


@pytest.mark.parametrize("name", SERVICES)
async def test_every_rpc_service_says_that_it_serves_and_reflects(channel, name):
    opened = await channel(name)
    reflected = reflection_pb2_grpc.ServerReflectionStub(opened)
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    answers = [answer async for answer in reflected.ServerReflectionInfo(iter([asked]), timeout=5)]
    names = [service.name for service in answers[0].list_services_response.service]
    own = [found for found in names if found.startswith(f"plaudit.{name}.")]
    assert own
    health = health_pb2_grpc.HealthStub(opened)
    for service in ("", *own):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("name", SERVICES)
async def test_every_rpc_service_refuses_strangers(channel, name):
    opened = await channel(name)
    for method in methods_of(name):
        call = opened.unary_unary(method, request_serializer=bytes, response_deserializer=bytes)
        assert await reason_of(call(b"", metadata=(("x-plaudit-tenant", str(uuid.uuid4())),), timeout=5)) == (
            "CREDENTIAL_INVALID"
        )


def methods_of(name) -> list[str]:
    """Return the paths of all RPCs of a service, as its contracts say."""
    module = import_module(f"plaudit.{name}.v1.{name}_service_pb2")
    services = module.DESCRIPTOR.services_by_name.values()
    return [f"/{service.full_name}/{method.name}" for service in services for method in service.methods]


async def reason_of(call) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return from_rpc(refused.value).reason
