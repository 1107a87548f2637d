"""CustomerService over gRPC: reading the 360 view, saving one customer or many, archiving."""

from collections.abc import Iterable, Sequence

import asyncpg

from libs.common import audit, clock, faults, tenancy
from libs.common.db import Database
from libs.common.errors import Aborted, InvalidArgument, NotFound, ServiceError
from libs.common.events import emit
from libs.common.tenancy import Call, Context
from plaudit.profile.v1 import profile_service_pb2 as pb
from plaudit.profile.v1 import profile_service_pb2_grpc as rpc
from plaudit.profile.v1.profile_events_pb2 import CustomerChanged
from plaudit.profile.v1.profile_pb2 import Customer, CustomerView

from .. import domain, store
from .pages import MOST_ITEMS, id_after, position_after, problem_with_filters, refuse

_TOLD = ("account_id", "locale", "timezone", "preferred_channel")
"""What an event says of a customer word for word: keys, never a name or an address."""

Saved = tuple[domain.Outcome, Customer | None]


class CustomerServicer(rpc.CustomerServiceServicer):
    def __init__(self, database: Database) -> None:
        self._db = database

    async def GetCustomer(self, request: pb.GetCustomerRequest, context: Context) -> pb.GetCustomerResponse:
        refuse(domain.problem_with_id(request.customer_id, "/customer_id"))
        return pb.GetCustomerResponse(view=await self._view(tenancy.call_of(context), request.customer_id))

    async def ListCustomers(self, request: pb.ListCustomersRequest, context: Context) -> pb.ListCustomersResponse:
        refuse(problem_with_filters(request))
        size = domain.size_of(request.page_size)
        by_time = request.HasField("updated_after")
        after = position_after(request.page_token) if by_time else id_after(request.page_token)
        async with tenancy.transaction(self._db, context) as conn:
            found = await store.list_views(conn, request, after=after, limit=size + 1, now=clock.now())
        return pb.ListCustomersResponse(views=found[:size], next_page_token=_token(found, size, by_time=by_time))

    async def SaveCustomer(self, request: pb.SaveCustomerRequest, context: Context) -> pb.SaveCustomerResponse:
        call = tenancy.call_of(context)
        is_merge = request.HasField("update_mask")
        fields = list(request.update_mask.paths) if is_merge else None
        _refuse(_problem_with(request.customer, fields))
        must_exist = request.must_exist or is_merge
        change = domain.Change(request.customer, fields, must_exist, list(request.versions))
        async with tenancy.hot(self._db, call) as conn:
            saved = await self._save(conn, call, "SaveCustomer", [change])
        outcome, _ = saved[0]
        _refuse(outcome.problem)
        view = await self._view(call, request.customer.customer_id)
        return pb.SaveCustomerResponse(view=view, status=outcome.status)

    async def SaveCustomers(self, request: pb.SaveCustomersRequest, context: Context) -> pb.SaveCustomersResponse:
        call = tenancy.call_of(context)
        if not 1 <= len(request.items) <= MOST_ITEMS:
            raise InvalidArgument("BATCH_TOO_LARGE", f"a call has 1 to {MOST_ITEMS} items", pointer="/items")
        results: dict[int, pb.SaveResult] = {}
        waves: list[dict[str, int]] = []
        for index, item in enumerate(request.items):
            if problem := _problem_with(item.customer, item.update_mask.paths):
                results[index] = _rejected(problem)
            else:
                _into_waves(waves, item.customer.customer_id, index)
        async with tenancy.hot(self._db, call) as conn:
            for wave in waves:
                items = [request.items[index] for index in wave.values()]
                changes = [domain.Change(item.customer, list(item.update_mask.paths)) for item in items]
                saved = await self._save(conn, call, "SaveCustomers", changes)
                for index, (outcome, _) in zip(wave.values(), saved, strict=True):
                    problem = outcome.problem
                    results[index] = _rejected(problem) if problem else pb.SaveResult(status=outcome.status)
        return pb.SaveCustomersResponse(results=[results[index] for index in range(len(request.items))])

    async def ArchiveCustomer(self, request: pb.ArchiveCustomerRequest, context: Context) -> pb.ArchiveCustomerResponse:
        call = tenancy.call_of(context)
        refuse(domain.problem_with_id(request.customer_id, "/customer_id"))
        async with tenancy.hot(self._db, call) as conn:
            found = await store.get_customers(conn, [request.customer_id], for_update=True)
            before = found.get(request.customer_id)
            if before is None:
                raise NotFound("CUSTOMER_NOT_FOUND", "there is no such customer")
            _refuse(domain.problem_with_versions(before, request.versions))
            if before.HasField("archived_at"):
                return pb.ArchiveCustomerResponse(customer=before)
            after = await store.archive_customer(conn, before, clock.now())
            await audit.record(conn, call, "ArchiveCustomer", ("customer", after.customer_id), before, after)
            await emit(conn, call.tenant_id, [_changed(after)])
        return pb.ArchiveCustomerResponse(customer=after)

    async def _view(self, call: Call, customer_id: str) -> CustomerView:
        async with tenancy.transaction(self._db, call) as conn:
            view = await store.get_view(conn, customer_id, clock.now())
        if view is None:
            raise NotFound("CUSTOMER_NOT_FOUND", "there is no such customer")
        return view

    async def _save(
        self, conn: asyncpg.Connection, call: Call, action: str, changes: Sequence[domain.Change]
    ) -> list[Saved]:
        """Save changes of different customers, with an audit row and an event for each that changed."""
        saved = await store.save_customers(conn, call.tenant_id, changes, clock.now())
        changed = [(after.customer, before) for after, before in saved if after.is_change and after.customer]
        if changed:
            rows = [
                (("customer", after.customer_id), before if before and before.version else None, after)
                for after, before in changed
            ]
            await audit.record_all(conn, call, action, rows)
            await emit(conn, call.tenant_id, [_changed(after) for after, _ in changed])
        faults.hit("svc.before_commit")
        return saved


def _problem_with(customer: Customer, fields: Iterable[str] | None) -> domain.Problem | None:
    if fields is not None and domain.unknown_fields(fields):
        return domain.Problem("FIELD_UNKNOWN", "", "update_mask names a field that no save may change")
    return domain.problem_with_customer(customer, clock.now())


def _refuse(problem: domain.Problem | None) -> None:
    """Raise what a problem means for a call about one customer."""
    if problem is None:
        return
    kinds: dict[str, type[ServiceError]] = {"CUSTOMER_NOT_FOUND": NotFound, "VERSION_MISMATCH": Aborted}
    if kind := kinds.get(problem.code):
        raise kind(problem.code, problem.detail)
    refuse(problem)


def _into_waves(waves: list[dict[str, int]], customer_id: str, index: int) -> None:
    """Put an item into the first wave that has no item of the same customer: they take effect one after the other."""
    wave = next((wave for wave in waves if customer_id not in wave), None)
    if wave is None:
        wave = {}
        waves.append(wave)
    wave[customer_id] = index


def _rejected(problem: domain.Problem) -> pb.SaveResult:
    return pb.SaveResult(
        status=pb.SAVE_STATUS_REJECTED, code=problem.code, pointer=problem.pointer, detail=problem.detail
    )


def _changed(customer: Customer) -> CustomerChanged:
    """Return the event of a customer as it is now: no name, no contact, no words."""
    event = CustomerChanged(
        customer_id=customer.customer_id,
        version=customer.version,
        known=customer.known,
        changed_at=customer.updated_at,
    )
    for field in _TOLD:
        if (value := domain.value_of(customer, field)) is not None:
            setattr(event, field, value)
    for field in ("acquired_at", "archived_at"):
        if (at := domain.value_of(customer, field)) is not None:
            getattr(event, field).CopyFrom(at)
    return event


def _token(found: Sequence[CustomerView], size: int, *, by_time: bool) -> str:
    if len(found) <= size:
        return ""
    last = found[size - 1].customer
    if by_time:
        return domain.token_of(domain.utc(last.updated_at).isoformat(), last.customer_id)
    return domain.token_of(last.customer_id)
