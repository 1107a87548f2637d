"""Customers over HTTP: the 360 view, replacing, merging, archiving, listing."""

from datetime import datetime
from typing import Annotated, Any, Literal

from google.protobuf.field_mask_pb2 import FieldMask
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from plaudit.profile.v1 import profile_service_pb2 as pb
from plaudit.profile.v1 import profile_service_pb2_grpc as rpc
from plaudit.profile.v1.profile_pb2 import Customer, CustomerView

from .. import edge
from ..edge import rules

router = edge.Router()

_LABEL, _TYPE = rules.label(1_000), rules.label(64)


class IdentityIn(edge.Body):
    """A way by which another system knows the customer."""

    type: Annotated[str, edge.Checked(_TYPE)]
    value: Annotated[str, edge.Checked(_LABEL)]


Goals = Annotated[list[str], edge.list_of(_LABEL, 64)]
Identities = list[IdentityIn]


class CustomerIn(edge.Body):
    """A customer's own fields; what is absent is cleared."""

    name: edge.Label | None = None
    email: edge.Email | None = None
    phone: edge.Phone | None = None
    locale: edge.Locale | None = None
    timezone: edge.Timezone | None = None
    account_id: edge.Id | None = None
    role: edge.Label | None = None
    preferred_channel: edge.Channel | None = None
    acquired_at: edge.Time | None = None
    goals: Goals | None = None
    traits: edge.JsonObject | None = None
    identities: Identities | None = None
    source: edge.Label | None = None
    source_updated_at: edge.Time | None = None


class CustomerPatchIn(edge.Body):
    """What to change: absent leaves a field as it is, null clears it, `traits` is itself a merge patch."""

    name: edge.Label | edge.Absent | None = edge.UNSET
    email: edge.Email | edge.Absent | None = edge.UNSET
    phone: edge.Phone | edge.Absent | None = edge.UNSET
    locale: edge.Locale | edge.Absent | None = edge.UNSET
    timezone: edge.Timezone | edge.Absent | None = edge.UNSET
    account_id: edge.Id | edge.Absent | None = edge.UNSET
    role: edge.Label | edge.Absent | None = edge.UNSET
    preferred_channel: edge.Channel | edge.Absent | None = edge.UNSET
    acquired_at: edge.Time | edge.Absent | None = edge.UNSET
    goals: Goals | edge.Absent | None = edge.UNSET
    traits: edge.JsonObjectPatch | edge.Absent | None = edge.UNSET
    identities: Identities | edge.Absent | None = edge.UNSET
    source: edge.Label | edge.Absent | None = edge.UNSET
    source_updated_at: edge.Time | edge.Absent | None = edge.UNSET


class CustomerQuery(edge.ListQuery):
    """Which customers."""

    q: edge.Label | None = None
    account_id: edge.Id | None = None
    min_score: edge.Number | None = None
    max_score: edge.Number | None = None
    updated_after: edge.QueryTime | None = None
    archived: bool = False


class LifecycleOut(Struct, kw_only=True):
    """Where the customer stands, worked out at the time of reading."""

    stage: Literal["lead", "new", "active", "quiet", "lapsed", "churned"]


class LadderOut(Struct, kw_only=True):
    """The rung of the loyalty ladder."""

    rung: str
    since: datetime
    overlays: list[str]


class AdvocacyScoreOut(Struct, kw_only=True):
    """A copy of the score, renewed when it moves by a point; `/score` is exact."""

    value: float | None
    dimensions: dict[str, float]
    model_version: str


class SentimentOut(Struct, kw_only=True):
    """How the customer feels."""

    label: str
    polarity: float
    emotion: str | None
    trend: Literal["up", "flat", "down"]


class LastAnswerOut(Struct, kw_only=True):
    """The latest answer; `score` is null for one in words only."""

    response_id: str
    metric: str
    score: int | None
    at: datetime


class FeedbackOut(Struct, kw_only=True):
    """What the customer answered."""

    last: LastAnswerOut | None
    nps_category: Literal["detractor", "passive", "promoter"] | None


class IdentityOut(Struct, kw_only=True):
    """A way by which another system knows the customer."""

    type: str
    value: str


class CustomerOut(Struct, kw_only=True):
    """The 360 view: the partner's own fields, and what the other services last said. A block not filled yet is null."""

    customer_id: str
    name: str | None
    email: str | None
    phone: str | None
    locale: str | None
    timezone: str | None
    account_id: str | None
    role: str | None
    preferred_channel: str | None
    acquired_at: datetime | None
    goals: list[str]
    traits: dict[str, Any] | None
    identities: list[IdentityOut]
    source: str | None
    source_updated_at: datetime | None
    known: bool
    """False while only facts speak of the customer."""
    archived_at: datetime | None
    created_at: datetime
    updated_at: datetime
    lifecycle: LifecycleOut
    ladder: LadderOut | None
    advocacy_score: AdvocacyScoreOut | None
    sentiment: SentimentOut | None
    feedback: FeedbackOut | None
    open_cases: list[str]
    referrals: dict[str, Any] | None
    influence: float | None
    recognition: dict[str, Any] | None
    value: dict[str, Any] | None
    next_ask: dict[str, Any] | None
    consents: list[dict[str, Any]]
    as_of: dict[str, datetime | None]


_BLOCKS = (
    "lifecycle",
    "ladder",
    "advocacy_score",
    "sentiment",
    "feedback",
    "open_cases",
    "referrals",
    "influence",
    "recognition",
    "value",
    "next_ask",
    "consents",
)
_LISTS = ("open_cases", "consents")
_DIMENSIONS = ("satisfaction", "loyalty", "advocacy", "influence")


@router.operation("GET /v1/customers/{customer_id}", scope="profile:read", answer=CustomerOut)
async def get_customer(request: Request, customer_id: str) -> Response:
    """Give one customer in one view, archived or not. The ETag covers the partner's own fields only."""
    message = pb.GetCustomerRequest(customer_id=customer_id)
    reply = await edge.call(request, edge.stub(request, rpc.CustomerServiceStub).GetCustomer, message)
    return _answer(reply.view)


@router.operation("GET /v1/customers", scope="profile:read", query=CustomerQuery, answer=CustomerOut, listed=True)
async def list_customers(request: Request) -> Response:
    """List customers by id; with `updated_after` in the order of their last change.

    `q` finds the beginning of a name, of a word of it, of an e-mail address, a phone number or an id.
    """
    asked = edge.query(request, CustomerQuery)
    message = edge.listing(request, asked, pb.ListCustomersRequest)
    reply = await edge.call(request, edge.stub(request, rpc.CustomerServiceStub).ListCustomers, message)
    return edge.page(request, asked, reply.views, reply.next_page_token, shown)


@router.operation(
    "PUT /v1/customers/{customer_id}",
    scope="profile:write",
    body=CustomerIn,
    answer=CustomerOut,
    status=(200, 201),
)
async def put_customer(request: Request, customer_id: str) -> Response:
    """Replace a customer, or make or revive it: 201 when nothing but facts was known of it, 200 otherwise.

    The same content again changes nothing, nor does data that is older by `source_updated_at` than what is kept.
    """
    body = await edge.read(request, CustomerIn)
    customer = edge.to_message(body, Customer, customer_id=customer_id)
    return await _save(request, pb.SaveCustomerRequest(customer=customer))


@router.operation("PATCH /v1/customers/{customer_id}", scope="profile:write", body=CustomerPatchIn, answer=CustomerOut)
async def patch_customer(request: Request, customer_id: str) -> Response:
    """Change the fields that are given (JSON merge patch); an archived customer stays archived."""
    body = await edge.read(request, CustomerPatchIn)
    customer = edge.to_message(body, Customer, customer_id=customer_id)
    return await _save(
        request, pb.SaveCustomerRequest(customer=customer, update_mask=FieldMask(paths=edge.given(body)))
    )


@router.operation("DELETE /v1/customers/{customer_id}", scope="profile:write", status=204)
async def archive_customer(request: Request, customer_id: str) -> Response:
    """Archive a customer: out of lists, while GET still shows it and facts about it are taken. PUT revives it."""
    versions = edge.versions_of(request.headers.get("if-match"))
    message = pb.ArchiveCustomerRequest(customer_id=customer_id, versions=versions)
    await edge.call(request, edge.stub(request, rpc.CustomerServiceStub).ArchiveCustomer, message)
    return edge.no_content()


async def _save(request: Request, message: pb.SaveCustomerRequest) -> Response:
    condition = request.headers.get("if-match")
    message.versions.extend(edge.versions_of(condition))
    message.must_exist = condition is not None
    reply = await edge.call(request, edge.stub(request, rpc.CustomerServiceStub).SaveCustomer, message)
    is_new = reply.status == pb.SAVE_STATUS_CREATED and not message.HasField("update_mask")
    return _answer(reply.view, status=201 if is_new else 200)


def _answer(view: CustomerView, *, status: int = 200) -> Response:
    return edge.answer(shown(view), status=status, headers={"ETag": edge.etag(view.customer.version)})


def shown(view: CustomerView) -> dict[str, Any]:
    """Return a view as it is answered: the customer's fields and the blocks side by side, their times in one map."""
    blocks = edge.to_json(view)
    found: dict[str, Any] = blocks.pop("customer")
    found.pop("version")
    found["goals"] = found["goals"] or []
    times = {name: block.pop("as_of") for name, block in blocks.items() if block}
    if score := blocks["advocacy_score"]:
        each = {name: score.pop(name) for name in _DIMENSIONS}
        score["dimensions"] = {} if score["value"] is None else each
    if answer := blocks["feedback"]:
        blocks["feedback"] = {"nps_category": answer.pop("nps_category"), "last": answer}
    blocks["open_cases"] = list(view.open_cases.case_ids)
    for name in _BLOCKS:
        found[name] = blocks.get(name) if name not in _LISTS else blocks.get(name) or []
    found["as_of"] = {name: times.get(name) for name in _BLOCKS}
    return found
