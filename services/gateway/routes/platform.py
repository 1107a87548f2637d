"""API keys over HTTP, and whether this process and those behind it are well."""

import asyncio
import hashlib
import hmac
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from google.protobuf.wrappers_pb2 import BytesValue, StringValue
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response

from libs.common import audit, clock, idempotency, tenancy

from .. import edge, problems, store
from ..edge import keys, rules

router = edge.Router()

_MAX_OVERLAP_SECONDS = 7 * 24 * 3600
_STATE = {"type": "object", "properties": {"status": {"type": "string"}}}


@router.operation("GET /healthz", scope=edge.PUBLIC, answer=_STATE)
async def live(request: Request) -> Response:
    """Say that this process answers."""
    del request
    return edge.answer({"status": "live"})


@router.operation("GET /readyz", scope=edge.PUBLIC, answer=_STATE)
async def ready(request: Request) -> Response:
    """Say whether the store and the four services answer: 200, or 503 with the parts that do not."""
    gateway = edge.gateway(request)
    parts, store_answers = await asyncio.gather(gateway.peers.health(), store.answers(gateway.db))
    parts = {"store": store_answers, **parts}
    if all(parts.values()):
        return edge.answer({"status": "ready", "parts": parts})
    raise problems.Problem(
        503,
        "NOT_READY",
        "a part of the system does not answer",
        headers={"Retry-After": "1"},
        extra={"parts": parts},
    )


def _scopes(values: list[str]) -> list[str]:
    unknown = [
        problems.Fault(f"/{i}", "SCOPE_UNKNOWN", "no such scope") for i, v in enumerate(values) if v not in edge.SCOPES
    ]
    if unknown:
        raise rules.Refused(unknown)
    if not values:
        raise rules.refuse("SCOPE_UNKNOWN", "a key needs at least one scope")
    return sorted(set(values))


class KeyIn(edge.Body):
    """A key to make."""

    name: edge.Label
    scopes: Annotated[list[str], edge.Checked(_scopes)]
    expires_at: edge.AnyTime | None = None


class RotateIn(edge.Body):
    """How the old key goes."""

    overlap_seconds: Annotated[int, edge.Checked(rules.integer(0, _MAX_OVERLAP_SECONDS))] = 0
    """How long the old key works beside the new one."""


class KeyOut(msgspec.Struct, kw_only=True):
    """A key without its secret."""

    key_id: str
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class NewKeyOut(KeyOut):
    """A key as it is shown once."""

    key: str


def _out(key: store.Key) -> KeyOut:
    return KeyOut(
        key_id=key.key_id,
        name=key.name,
        scopes=sorted(key.scopes),
        created_at=key.created_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
    )


@router.operation("POST /v1/api_keys", scope="keys:write", body=KeyIn, answer=NewKeyOut, status=201)
async def create_api_key(request: Request) -> Response:
    """Make a key. The secret is in this answer and nowhere else; nobody grants a scope that they lack."""
    body = await edge.read(request, KeyIn)
    caller = _caller(request)
    for scope in body.scopes:
        caller.need(scope)
    if body.expires_at is not None and body.expires_at <= clock.now():
        raise problems.refused("/expires_at", "TIME_OUT_OF_RANGE", "must lie ahead")

    async def make(conn: AsyncConnection, new: "_New") -> store.Key:
        return await _insert(conn, new, body.name, frozenset(body.scopes), body.expires_at)

    return await _once(request, "create", msgspec.json.encode(body), make)


@router.operation("POST /v1/api_keys/{key_id}/rotate", scope="keys:write", body=RotateIn, answer=NewKeyOut, status=201)
async def rotate_api_key(request: Request, key_id: str) -> Response:
    """Make a key of the same name, scopes and expiry; the old one ends after `overlap_seconds` (0 by default)."""
    body = await edge.read(request, RotateIn)
    caller = _caller(request)

    async def make(conn: AsyncConnection, new: "_New") -> store.Key:
        old = await store.get_key(conn, key_id, for_update=True)
        if old is None or old.revoked_at is not None:
            raise _no_such_key()
        for scope in old.scopes:
            caller.need(scope)
        made = await _insert(conn, new, old.name, old.scopes, old.expires_at)
        until = clock.now() + timedelta(seconds=body.overlap_seconds)
        await store.hand_over_key(conn, key_id, made.key_id, until)
        return made

    answer = await _once(request, f"rotate:{key_id}", msgspec.json.encode(body), make)
    edge.gateway(request).keyring.forget(key_id)
    return answer


class KeyQuery(edge.ListQuery):
    """Pages of keys."""


@router.operation("GET /v1/api_keys", scope="keys:write", query=KeyQuery, answer=KeyOut, listed=True)
async def list_api_keys(request: Request) -> Response:
    """List the tenant's keys, revoked ones among them, without their secrets."""
    asked = edge.query(request, KeyQuery)
    after = edge.page_token(request, asked)
    gateway = edge.gateway(request)
    async with tenancy.transaction(gateway.db, _caller(request).tenant_id) as conn:
        found = await store.list_keys(conn, after, asked.limit + 1)
    further = found[asked.limit - 1].key_id if len(found) > asked.limit else ""
    return edge.page(request, asked, found[: asked.limit], further, _out)


@router.operation("DELETE /v1/api_keys/{key_id}", scope="keys:write", status=204)
async def revoke_api_key(request: Request, key_id: str) -> Response:
    """Revoke a key; it is useless within five seconds. A second time changes nothing."""
    gateway = edge.gateway(request)
    async with tenancy.transaction(gateway.db, _caller(request).tenant_id) as conn:
        key = await store.get_key(conn, key_id, for_update=True)
        if key is None:
            raise _no_such_key()
        if key.revoked_at is None:
            await store.revoke_key(conn, key_id, clock.now())
            await audit.record(conn, _call(request), "RevokeApiKey", ("api_key", key_id), _hashed(key), None)
    gateway.keyring.forget(key_id)
    return edge.no_content()


class _New:
    """A key about to be made: its plain text can be made again from the same idempotency key."""

    def __init__(self, gateway: edge.Gateway, call: tenancy.Call, *, live: bool, key_id: str = "") -> None:
        self.call = call
        self.key_id = key_id or keys.new_id()
        seed = f"{call.tenant_id}:{call.idempotency_key}:{self.key_id}".encode()
        self.plain, self.secret = keys.assemble(
            self.key_id, hmac.digest(gateway.pepper, b"key:" + seed, "sha512"), live=live
        )
        self.digest = keys.digest_of(gateway.pepper, self.secret)


async def _insert(
    conn: AsyncConnection,
    new: _New,
    name: str,
    scopes: frozenset[str],
    expires_at: datetime | None,
) -> store.Key:
    key = store.Key(
        tenant_id=new.call.tenant_id,
        key_id=new.key_id,
        name=name,
        scopes=scopes,
        digest=new.digest,
        created_at=clock.now(),
        expires_at=expires_at,
        revoked_at=None,
    )
    await store.insert_key(conn, key)
    await audit.record(conn, new.call, "CreateApiKey", ("api_key", key.key_id), None, _hashed(key))
    return key


class _Trailer:
    """Stands in for a gRPC context: hears that an answer was a stored one."""

    def __init__(self) -> None:
        self.replayed = False

    def set_trailing_metadata(self, metadata: Any) -> None:
        self.replayed = bool(metadata)


async def _once(request: Request, operation: str, body: bytes, make: Any) -> Response:
    """Make a key once per Idempotency-Key. What is stored is the key's id: the secret is derived anew."""
    gateway = edge.gateway(request)
    call = _call(request)
    scoped = replace(call, idempotency_key=hashlib.sha256(f"{operation}\0{call.idempotency_key}".encode()).hexdigest())
    trailer = _Trailer()
    async with tenancy.transaction(gateway.db, call.tenant_id) as conn:
        live = bool(await store.is_live(conn, call.tenant_id))

        async def effect() -> StringValue:
            return StringValue(value=(await make(conn, _New(gateway, scoped, live=live))).key_id)

        asked = BytesValue(value=operation.encode() + b"\0" + body)
        kept = await idempotency.once(conn, trailer, scoped, asked, StringValue, effect)  # type: ignore[arg-type]
        key = await store.get_key(conn, kept.value)
    assert key is not None
    edge.exchange(request).replayed = trailer.replayed
    new = _New(gateway, scoped, live=live, key_id=key.key_id)
    return edge.answer({**msgspec.to_builtins(_out(key), builtin_types=(datetime,)), "key": new.plain}, status=201)


def _call(request: Request) -> tenancy.Call:
    exchange, caller = edge.exchange(request), _caller(request)
    key = exchange.idempotency_key() if exchange.method == "POST" else ""
    return tenancy.Call(caller.tenant_id, exchange.request_id, "gateway", caller.key_id, key)


def _caller(request: Request) -> edge.Caller:
    caller = edge.exchange(request).caller
    assert caller is not None
    return caller


def _hashed(key: store.Key) -> StringValue:
    return StringValue(value=msgspec.json.encode(_out(key)).decode())


def _no_such_key() -> problems.Problem:
    return problems.Problem(404, "API_KEY_NOT_FOUND", "no such API key")
