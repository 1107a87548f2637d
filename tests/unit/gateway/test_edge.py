"""Keys, cursors, versions, bodies and lines: the parts of the edge that need no server."""

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common import clock
from services.gateway import edge, store
from services.gateway.edge import keys
from services.gateway.edge.decode import is_json, items_of
from services.gateway.problems import Problem
from services.gateway.routes.ingest.intake import _chunks
from services.gateway.routes.ingest.lines import MAX_LINE_BYTES, Lines

PEPPER = b"pepper of sixteen bytes"
TENANT = uuid.UUID(int=1)


def test_a_key_says_its_kind_and_id():
    key, key_id, secret = keys.generate(live=True)
    assert (len(key), key.startswith(f"pl_live_{key_id}")) == (65, True)
    assert keys.parse(key.encode()) == keys.Presented(key_id, secret, live=True)


@pytest.mark.parametrize("position", range(8, 65, 7))
def test_a_key_with_a_typing_error_is_refused_offline(position):
    key, _, _ = keys.generate(live=False)
    wrong = key[:position] + ("x" if key[position] != "x" else "y") + key[position + 1 :]
    assert keys.parse(wrong.encode()) is None


@pytest.mark.parametrize("value", [b"", b"pl_live_", b"pl_prod_" + b"a" * 57, b"x" * 20_000, b"pl_live_\xc3\xa9"])
def test_what_is_no_key_is_none(value):
    assert keys.parse(value) is None


class Table:
    """Holds keys, and counts the look-ups."""

    def __init__(self):
        self.rows = {}
        self.asked = 0

    def add(self, *, live=True, scopes=("platform:read",), **more):
        plain, key_id, secret = keys.generate(live=live)
        fields = {"expires_at": None, "revoked_at": None, **more}
        digest = keys.digest_of(PEPPER, secret)
        key = store.Key(TENANT, key_id, "n", frozenset(scopes), digest, clock.now(), **fields)
        self.rows[key_id] = (key, live)
        return f"Bearer {plain}".encode()

    async def find(self, key_id):
        self.asked += 1
        return self.rows.get(key_id)


async def refused(ring, header):
    with pytest.raises(Problem) as found:
        await ring.caller(header)
    return (found.value.status, found.value.code, found.value.detail)


async def test_a_good_key_is_looked_up_once_for_many():
    table = Table()
    header, ring = table.add(), edge.Keyring(table.find, PEPPER, 4)
    callers = await asyncio.gather(*(ring.caller(header) for _ in range(20)))
    assert {caller.tenant_id for caller in callers} == {TENANT}
    assert table.asked == 1


@pytest.mark.parametrize("scheme", [b"bearer", b"BEARER"])
async def test_the_scheme_is_read_in_either_case(scheme):
    table = Table()
    header, ring = table.add(), edge.Keyring(table.find, PEPPER, 4)
    assert (await ring.caller(header.replace(b"Bearer", scheme))).tenant_id == TENANT


async def test_unknown_expired_and_revoked_keys_look_alike():
    table = Table()
    ring = edge.Keyring(table.find, PEPPER, 4)
    expired = table.add(expires_at=clock.now() - timedelta(seconds=1))
    revoked = table.add(revoked_at=clock.now())
    unknown = f"Bearer {keys.generate(live=True)[0]}".encode()
    assert len({await refused(ring, header) for header in (expired, revoked, unknown)}) == 1


async def test_an_unknown_key_is_not_looked_up_again_at_once():
    table = Table()
    ring = edge.Keyring(table.find, PEPPER, 4)
    unknown = f"Bearer {keys.generate(live=True)[0]}".encode()
    for _ in range(5):
        await refused(ring, unknown)
    assert table.asked == 1


async def test_a_key_with_another_secret_is_refused():
    table = Table()
    header = table.add()
    key_id = header.removeprefix(b"Bearer ")[8:16].decode()
    forged, _ = keys.assemble(key_id, b"x" * 64, live=True)
    assert (await refused(edge.Keyring(table.find, PEPPER, 4), f"Bearer {forged}".encode()))[0] == 401


async def test_a_malformed_key_costs_no_look_up():
    table = Table()
    await refused(edge.Keyring(table.find, PEPPER, 4), table.add()[:-1] + b"!")
    assert table.asked == 0


async def test_the_ring_is_bounded(monkeypatch):
    monkeypatch.setattr(edge.access, "_MAX_CACHED", 3)
    table = Table()
    ring = edge.Keyring(table.find, PEPPER, 4)
    for _ in range(10):
        await ring.caller(table.add())
    assert len(ring._known) == 3


CURSORS = edge.Cursors(PEPPER)


def test_a_cursor_opens_to_its_token():
    sealed = CURSORS.seal(TENANT, "/v1/cases", {"state": "open"}, "token")
    assert CURSORS.open(TENANT, "/v1/cases", {"state": "open"}, sealed) == "token"


@pytest.mark.parametrize("token", ["t", "to", "tok", "toke"])
def test_a_cursor_opens_to_the_letter_only(token):
    cursor = CURSORS.seal(TENANT, "events", {}, token)
    for last in set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") - {cursor[-1]}:
        with pytest.raises(Problem):
            CURSORS.open(TENANT, "events", {}, cursor[:-1] + last)


def test_no_token_is_no_cursor():
    assert CURSORS.seal(TENANT, "x", {}, "") is None
    assert CURSORS.open(TENANT, "x", {}, None) == ""


@pytest.mark.parametrize(
    ("tenant_id", "what", "filters"),
    [(uuid.UUID(int=2), "x", {}), (TENANT, "y", {}), (TENANT, "x", {"state": "open"})],
)
def test_a_cursor_is_bound_to_tenant_list_and_filter(tenant_id, what, filters):
    sealed = CURSORS.seal(TENANT, "x", {}, "token")
    with pytest.raises(Problem, match="CURSOR_INVALID"):
        CURSORS.open(tenant_id, what, filters, sealed)


@given(st.text(max_size=60))
def test_no_made_up_cursor_opens(text):
    with pytest.raises(Problem, match="CURSOR_INVALID"):
        CURSORS.open(TENANT, "x", {}, text)


@pytest.mark.parametrize(
    ("header", "versions"),
    [(None, []), ("*", []), ('"3"', [3]), ('"3", "4"', [3, 4]), ('W/"3"', [-1]), ('"abc"', [-1]), ('""', [-1])],
)
def test_if_match_names_versions(header, versions):
    assert edge.versions_of(header) == versions


@pytest.mark.parametrize("header", ["", "3", '"3', "'3'", '"3";"4"', '"a"b"'])
def test_a_malformed_if_match_is_400(header):
    with pytest.raises(Problem, match="IF_MATCH_INVALID"):
        edge.versions_of(header)


def scope(headers=(), method="POST"):
    return {
        "type": "http",
        "method": method,
        "path": "/",
        "headers": list(headers),
        "query_string": b"",
        "raw_path": b"/",
    }


JSON = (b"content-type", b"application/json")


async def never():
    await asyncio.Event().wait()


async def test_a_body_that_does_not_come_is_408():
    with pytest.raises(Problem, match="BODY_TIMEOUT"):
        await edge.Exchange(scope([JSON])).body(never, 0.01)


async def test_a_body_that_stops_half_way_is_408():
    parts = iter([{"type": "http.request", "body": b"{", "more_body": True}])

    async def receive():
        return next(parts, None) or await never()

    with pytest.raises(Problem, match="BODY_TIMEOUT"):
        await edge.Exchange(scope([JSON])).body(receive, 0.01)


@pytest.mark.parametrize("parts", [2, 3])
async def test_a_body_too_large_by_its_last_part_is_answered_at_once(parts):
    messages = iter(range(parts))

    async def receive():
        number = next(messages, None)
        if number is None:
            return await never()
        size = 1024 if number < parts - 1 else 1024 * 1024
        return {"type": "http.request", "body": bytes(size), "more_body": number < parts - 1}

    async with asyncio.timeout(2):
        with pytest.raises(Problem, match="BODY_TOO_LARGE"):
            await edge.Exchange(scope([JSON])).body(receive, 1)


async def test_a_caller_that_hangs_up_is_noticed():
    async def receive():
        return {"type": "http.disconnect"}

    with pytest.raises(edge.Disconnected):
        await edge.Exchange(scope([JSON])).body(receive, 1)


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"


@pytest.mark.parametrize(("value", "kept"), [(TRACE + "01", True), (TRACE + "00", False), ("00-x", False), ("", False)])
def test_only_a_sampled_trace_is_carried(value, kept):
    exchange = edge.Exchange(scope([(b"traceparent", value.encode())]))
    assert exchange.traceparent() == (value if kept else "")


@given(st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=12), st.integers(1, 9))
def test_lines_are_the_same_however_they_are_cut(lines, step):
    content = b"\n".join(lines)
    cut = Lines()
    found = [line for at in range(0, len(content), step) for line in cut.feed(content[at : at + step])]
    found += cut.end()
    assert found == [line.strip(b" \t\r") for line in lines if line.strip(b" \t\r")]


def test_a_line_that_is_too_long_is_not_held():
    cut = Lines()
    for _ in range(100):
        assert list(cut.feed(b"x" * 10_000)) == []
        assert len(cut._held) <= MAX_LINE_BYTES + 10_000
    assert list(cut.feed(b"\nshort\n")) == [None, b"short"]


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(), st.lists, max_leaves=20))
def test_what_is_json_is_seen_as_json(value):
    assert is_json(json.dumps(value).encode())


def test_a_batch_with_half_a_character_is_cut_all_the_same():
    cut = items_of(b'{"items":[{"a":"\\ud800"},1],"history":true}')
    assert cut is not None
    assert [bytes(raw) for raw in cut[0]] == [b'{"a": "\\ud800"}', b"1"]
    assert json.loads(cut[1]) == {"items": [], "history": True}


@pytest.mark.parametrize(
    "body", [b'{"items":[NaN]}', b'{"items":' + b"[" * 100 + b"]" * 100 + b"}", b"[]", b'{"items":1}']
)
def test_what_is_no_batch_is_not_cut(body):
    assert items_of(body) is None


QUOTES = b'"' + b'\\"' * 500_000


@pytest.mark.parametrize("body", [QUOTES, QUOTES + b"\\", b'"' * 999_999, b"[" * 999_999], ids=range(4))
async def test_hostile_bodies_are_judged_in_linear_time(body):
    async with asyncio.timeout(5):
        await asyncio.to_thread(is_json, body)


async def silent():
    yield_one = iter([{"type": "http.request", "body": b"{}\n", "more_body": True}])

    async def receive():
        return next(yield_one, None) or await never()

    return receive


async def test_a_silent_stream_of_lines_is_408():
    with pytest.raises(Problem, match="BODY_TIMEOUT"):
        assert [chunk async for chunk in _chunks(await silent(), 0.01)]


def test_times_are_written_in_utc():
    assert edge.rfc3339(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "2026-01-02T03:04:05Z"
