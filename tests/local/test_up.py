"""`plaudit up` in the background: what it says, what it survives, and that it leaves nothing behind."""

import stat

import httpx

from .conftest import Operator, descendants, kill, running


async def test_status_has_the_promised_shape(operator: Operator):
    status = operator.status()
    assert set(status) == {"ready", "base_url", "api_key", "tenant_id", "data_dir", "postgres", "nats", "services"}
    assert status["ready"] is True
    assert status["data_dir"] == str(operator.root)
    assert status["postgres"].keys() == {"pid", "port"}
    assert status["nats"].keys() == {"pid", "url", "store_dir"}
    assert set(status["services"]) == {"profile", "feedback", "referral", "scoring", "gateway"}
    assert all(one.keys() == {"state", "pid", "grpc", "restarts"} for one in status["services"].values())


async def test_the_printed_key_opens_the_printed_url(operator: Operator):
    status = operator.status()
    async with httpx.AsyncClient(base_url=status["base_url"]) as client:
        answer = await client.get("/v1/api_keys", headers={"Authorization": f"Bearer {status['api_key']}"})
    assert answer.status_code == 200


async def test_secrets_are_readable_by_their_owner_alone(operator: Operator):
    private = [operator.root / name for name in ("secrets.json", "state.json", "nats.conf", "logs/gateway.log")]
    assert [stat.S_IMODE(path.stat().st_mode) & 0o077 for path in private] == [0, 0, 0, 0]


async def test_a_second_up_on_the_same_folder_is_refused(operator: Operator):
    refused = operator.plaudit("up")
    assert refused.returncode == 1
    assert "already running" in refused.stderr


async def test_a_killed_service_comes_back(operator: Operator, eventually):
    before = operator.status()["services"]["scoring"]["pid"]
    kill(before)

    async def is_back() -> bool:
        status = operator.status()
        return status["ready"] and status["services"]["scoring"]["pid"] != before

    await eventually(is_back)
    assert operator.status()["services"]["scoring"]["restarts"] == 1


async def test_killed_servers_come_back_where_they_were(operator: Operator, eventually):
    before = operator.status()
    kill(before["postgres"]["pid"])
    kill(before["nats"]["pid"])

    async def are_back() -> bool:
        status = operator.status()
        pids = {status["postgres"]["pid"], status["nats"]["pid"]}
        return status["ready"] and not pids & {before["postgres"]["pid"], before["nats"]["pid"]}

    await eventually(are_back)
    after = operator.status()
    assert after["postgres"]["port"] == before["postgres"]["port"]
    assert after["nats"]["url"] == before["nats"]["url"]


async def test_a_killed_supervisor_leaves_nothing_and_its_data_start_again(operator: Operator, eventually):
    before, supervisor = operator.status(), operator.supervisor()
    family = descendants(supervisor)
    kill(supervisor)

    async def are_gone() -> bool:
        return not running(family)

    await eventually(are_gone)
    assert operator.status()["ready"] is False
    assert operator.plaudit("up", "--detach").returncode == 0
    after = operator.status()
    assert [after[name] for name in ("ready", "base_url", "api_key")] == [True, before["base_url"], before["api_key"]]


async def test_down_leaves_nothing(operator: Operator):
    family = descendants(operator.supervisor())
    assert operator.plaudit("down").returncode == 0
    assert running(family) == set()
