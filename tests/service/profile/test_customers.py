"""CustomerService: replacing, merging, batches, archiving, listing."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from libs.common.errors import from_rpc
from plaudit.profile.v1 import profile_service_pb2 as pb
from plaudit.profile.v1.profile_events_pb2 import CustomerChanged

from .conftest import activity, customer

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def reason_of(awaitable):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await awaitable
    return from_rpc(raised.value)


def item(customer_id, **fields):
    return pb.CustomerItem(customer=customer(customer_id, **fields), update_mask={"paths": list(fields)})


async def test_put_stores_what_it_is_given(save, view):
    saved = await save(
        "c-1",
        name="Ada Lovelace",
        email="ada@example.com",
        phone="+441632960001",
        locale="en-GB",
        timezone="Europe/London",
        account_id="acme",
        role="buyer",
        preferred_channel="email",
        acquired_at=NOON,
        goals=["count", "compute"],
        traits={"b": 1, "a": {"x": [1.5, None]}},
        identities=[{"type": "crm", "value": "77"}],
        source="crm",
        source_updated_at=NOON,
    )
    kept = (await view("c-1")).customer

    assert saved.status == pb.SAVE_STATUS_CREATED
    assert saved.view.customer == kept
    assert (kept.name, kept.email, kept.phone) == ("Ada Lovelace", "ada@example.com", "+441632960001")
    assert kept.goals == b'["count","compute"]'
    assert kept.traits == b'{"a":{"x":[1.5,null]},"b":1}'
    assert [(i.type, i.value) for i in kept.identities] == [("crm", "77")]
    assert kept.acquired_at.ToDatetime(UTC) == NOON
    assert kept.known
    assert kept.version == 1


async def test_put_replaces_and_patch_merges(save, view):
    await save("c-1", name="Ada", email="ada@example.com", traits={"a": 1, "b": 2})
    await save("c-1", ["email", "traits"], traits={"a": None, "c": {"d": 3}})
    merged = (await view("c-1")).customer
    await save("c-1", name="Grace")
    replaced = (await view("c-1")).customer

    assert merged.name == "Ada"
    assert not merged.HasField("email")
    assert merged.traits == b'{"b":2,"c":{"d":3}}'
    assert replaced.name == "Grace"
    assert not replaced.HasField("traits")
    assert (merged.version, replaced.version) == (2, 3)


async def test_same_content_again_costs_nothing(save, told, count):
    first = await save("c-1", name="Ada", traits={"a": 1e22, "b": 1.0})
    again = await save("c-1", name="Ada", traits={"b": 1, "a": 1e22})

    assert again.status == pb.SAVE_STATUS_UNCHANGED
    assert again.view.customer == first.view.customer
    assert len(await told(CustomerChanged)) == 1
    assert await count("select count(*) from audit") == 1


async def test_each_change_has_one_event_and_one_audit_row(save, call, told, count):
    await save("c-1", name="Ada", account_id="acme", preferred_channel="sms")
    await save("c-1", ["name"], name="Grace")
    await call("ArchiveCustomer", customer_id="c-1")
    events = await told(CustomerChanged)

    assert [event.version for event in events] == [1, 2, 3]
    assert events[0].account_id == "acme"
    assert events[0].preferred_channel == "sms"
    assert events[2].HasField("archived_at")
    assert "Ada" not in str(events)
    assert await count("select count(*) from audit") == 3


async def test_patch_of_nobody_is_not_found(save, count):
    error = await reason_of(save("c-1", ["name"], name="Ada"))

    assert error.reason == "CUSTOMER_NOT_FOUND"
    assert await count("select count(*) from customers") == 0


async def test_a_stale_version_is_refused(save):
    await save("c-1", name="Ada")
    await save("c-1", name="Grace", versions=[1])
    error = await reason_of(save("c-1", name="Edsger", versions=[1]))

    assert error.reason == "VERSION_MISMATCH"


async def test_two_writers_of_one_version_do_not_both_win(save, view):
    await save("c-1", name="Ada")
    results = await asyncio.gather(
        *(save("c-1", name=f"Writer {n}", versions=[1]) for n in range(6)), return_exceptions=True
    )

    assert sum(not isinstance(result, Exception) for result in results) == 1
    assert (await view("c-1")).customer.version == 2


async def test_many_first_writers_make_one_customer(save, view):
    results = await asyncio.gather(*(save("c-1", traits={f"k{n}": n}) for n in range(8)))

    assert [result.status for result in results].count(pb.SAVE_STATUS_CREATED) == 1
    assert (await view("c-1")).customer.version == 8


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"email": "not an address"}, "EMAIL_INVALID", "/email"),
        ({"email": "a@b@example.com"}, "EMAIL_INVALID", "/email"),
        ({"email": "x" * 65 + "@example.com"}, "EMAIL_INVALID", "/email"),
        ({"email": "a@example.com\r\nBcc: b@example.com"}, "EMAIL_INVALID", "/email"),
        ({"phone": "+1234567890123456"}, "PHONE_INVALID", "/phone"),
        ({"phone": "+٤٤١٦٣٢٩٦٠٠٠١"}, "PHONE_INVALID", "/phone"),
        ({"locale": "english"}, "LOCALE_INVALID", "/locale"),
        ({"timezone": "../../etc/passwd"}, "TIMEZONE_UNKNOWN", "/timezone"),
        ({"timezone": "Etc/GMT+25"}, "TIMEZONE_UNKNOWN", "/timezone"),
        ({"preferred_channel": "pigeon"}, "VALUE_INVALID", "/preferred_channel"),
        ({"name": " \u3164 "}, "BLANK", "/name"),
        ({"name": "Ada\u202e"}, "TEXT_INVALID", "/name"),
        ({"name": "x" * 201}, "ITEM_TOO_LARGE", "/name"),
        ({"account_id": "with space"}, "ID_INVALID", "/account_id"),
        ({"acquired_at": datetime(1969, 12, 31, tzinfo=UTC)}, "TIME_OUT_OF_RANGE", "/acquired_at"),
        ({"source_updated_at": datetime(2999, 1, 1, tzinfo=UTC)}, "TIME_OUT_OF_RANGE", "/source_updated_at"),
        ({"goals": [1]}, "JSON_INVALID", "/goals"),
        ({"traits": [1]}, "JSON_INVALID", "/traits"),
        ({"traits": {"a": {"b": {"c": {"d": {}}}}}}, "ITEM_TOO_LARGE", "/traits/a/b/c/d"),
        ({"traits": {f"k{n}": n for n in range(65)}}, "ITEM_TOO_LARGE", "/traits"),
        ({"traits": {"a": "\x00"}}, "TEXT_INVALID", "/traits/a"),
        ({"traits": {"a": "x" * 1001}}, "ITEM_TOO_LARGE", "/traits/a"),
        ({"identities": [{"type": "a b", "value": "1"}]}, "IDENTITY_INVALID", "/identities/0/type"),
        ({"identities": [{"type": "crm", "value": " "}]}, "BLANK", "/identities/0/value"),
    ],
)
async def test_a_bad_field_is_named_and_nothing_is_stored(save, count, fields, code, pointer):
    error = await reason_of(save("c-1", **fields))

    assert (error.reason, error.metadata["pointer"]) == (code, pointer)
    assert await count("select count(*) from customers") == 0


async def test_traits_that_grow_too_large_by_merging_are_refused(save):
    await save("c-1", traits={f"a{n}": n for n in range(40)})
    error = await reason_of(save("c-1", ["traits"], traits={f"b{n}": n for n in range(40)}))

    assert (error.reason, error.metadata["pointer"]) == ("ITEM_TOO_LARGE", "/traits")


async def test_batch_answers_item_by_item(call, save, view):
    await save("same", name="Same")
    await save("old", name="Old")
    items = [
        item("new", name="New"),
        item("same", name="Same"),
        item("old", name="Newer"),
        item("bad", email="nobody"),
        item("new", role="buyer"),
    ]
    results = (await call("SaveCustomers", items=items)).results

    assert [result.status for result in results] == [
        pb.SAVE_STATUS_CREATED,
        pb.SAVE_STATUS_UNCHANGED,
        pb.SAVE_STATUS_UPDATED,
        pb.SAVE_STATUS_REJECTED,
        pb.SAVE_STATUS_UPDATED,
    ]
    assert (results[3].code, results[3].pointer) == ("EMAIL_INVALID", "/email")
    assert ((await view("new")).customer.name, (await view("new")).customer.role) == ("New", "buyer")


async def test_an_unchanged_batch_writes_nothing(call, told, count):
    items = [item(f"c-{n}", name=f"Name {n}", traits={"n": n}, source_updated_at=NOON) for n in range(200)]
    await call("SaveCustomers", items=items)
    before = await count("select sum(xmin::text::bigint)::bigint from customers")
    results = (await call("SaveCustomers", items=items)).results

    assert {result.status for result in results} == {pb.SAVE_STATUS_UNCHANGED}
    assert len(await told(CustomerChanged)) == 200
    assert await count("select count(*) from audit") == 200
    assert await count("select sum(xmin::text::bigint)::bigint from customers") == before


async def test_older_data_never_overwrites_newer(call, view):
    newer = item("c-1", name="Newer", source_updated_at=NOON)
    older = item("c-1", name="Older", role="gone", source_updated_at=NOON - timedelta(hours=1))
    await call("SaveCustomers", items=[newer])
    results = (await call("SaveCustomers", items=[older])).results
    kept = (await view("c-1")).customer

    assert results[0].status == pb.SAVE_STATUS_UNCHANGED
    assert (kept.name, kept.role, kept.version) == ("Newer", "", 1)


async def test_order_within_a_batch_does_not_matter_for_dated_data(call, view):
    items = [item("c-1", name=f"Name {n}", source_updated_at=NOON + timedelta(days=n)) for n in (3, 1, 2)]
    results = (await call("SaveCustomers", items=items)).results

    assert [result.status for result in results] == [
        pb.SAVE_STATUS_CREATED,
        pb.SAVE_STATUS_UNCHANGED,
        pb.SAVE_STATUS_UNCHANGED,
    ]
    assert (await view("c-1")).customer.name == "Name 3"


async def test_archiving_hides_from_lists_and_put_revives(call, save, view):
    await save("c-1", name="Ada")
    archived = (await call("ArchiveCustomer", customer_id="c-1")).customer
    again = (await call("ArchiveCustomer", customer_id="c-1")).customer
    live = (await call("ListCustomers")).views
    hidden = (await call("ListCustomers", archived=True)).views
    await save("c-1", ["role"], role="buyer")
    merged = (await view("c-1")).customer
    revived = await save("c-1", name="Ada", role="buyer")

    assert archived.HasField("archived_at")
    assert again == archived
    assert not live
    assert [one.customer.customer_id for one in hidden] == ["c-1"]
    assert merged.HasField("archived_at")
    assert not revived.view.customer.HasField("archived_at")
    assert revived.status == pb.SAVE_STATUS_UPDATED


async def test_archiving_nobody_is_not_found(call):
    assert (await reason_of(call("ArchiveCustomer", customer_id="c-1"))).reason == "CUSTOMER_NOT_FOUND"


async def test_facts_about_an_archived_customer_are_taken(call, save, record, view):
    await save("c-1", name="Ada")
    await call("ArchiveCustomer", customer_id="c-1")
    results = await record(activity("a-1", customer_id="c-1"))

    assert results[0].received_at.seconds
    assert (await view("c-1")).customer.HasField("archived_at")


async def test_a_stub_is_filled_by_a_later_put(save, record, view):
    await record(activity("a-1", customer_id="c-1"))
    stub = (await view("c-1")).customer
    filled = await save("c-1", name="Ada")

    assert not stub.known
    assert stub.version == 0
    assert filled.status == pb.SAVE_STATUS_CREATED
    assert filled.view.customer.known
    assert filled.view.customer.created_at == stub.created_at


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("ada", ["c-1"]),
        ("LOVEL", ["c-1"]),
        ("ada l", ["c-1"]),
        ("lace", []),
        ("jose", ["c-2"]),
        ("José Á", ["c-2"]),
        ("ada@ex", ["c-1"]),
        ("+44 1632", ["c-1"]),
        ("441632", ["c-1"]),
        ("c-", ["c-1", "c-2"]),
        ("%", []),
        ("_", []),
        ("' or 1=1--", []),
        ("\U0010ffff", []),
        ("nobody", []),
        ("", ["c-1", "c-2"]),
        ("\u0301", []),
    ],
)
async def test_search_finds_beginnings(call, save, query, found):
    await save("c-1", name="Ada Lovelace", email="Ada@example.com", phone="+441632960001")
    await save("c-2", name="José Ángel")
    views = (await call("ListCustomers", q=query)).views

    assert [one.customer.customer_id for one in views] == found


async def test_search_forgets_what_was_changed(call, save):
    await save("c-1", name="Ada Lovelace", email="ada@example.com")
    await save("c-1", name="Grace Hopper")
    gone = (await call("ListCustomers", q="ada")).views
    new = (await call("ListCustomers", q="hopper")).views

    assert not gone
    assert len(new) == 1


async def test_lists_page_through_everything_once(call, save):
    for n in range(7):
        await save(f"c-{n}", name="Same Name", account_id="acme" if n % 2 else "other")
    seen, token = [], ""
    for _ in range(4):
        page = await call("ListCustomers", page_size=2, page_token=token)
        seen += [one.customer.customer_id for one in page.views]
        token = page.next_page_token
    odd = (await call("ListCustomers", account_id="acme")).views

    assert seen == [f"c-{n}" for n in range(7)]
    assert token == ""
    assert [one.customer.customer_id for one in odd] == ["c-1", "c-3", "c-5"]


async def test_updated_after_pages_in_the_order_of_change(call, save, view):
    for n in (3, 1, 2):
        await save(f"c-{n}", name="Name")
    since = (await view("c-3")).customer.updated_at
    first = await call("ListCustomers", updated_after=since, page_size=1)
    second = await call("ListCustomers", updated_after=since, page_size=1, page_token=first.next_page_token)

    assert [one.customer.customer_id for one in (*first.views, *second.views)] == ["c-1", "c-2"]
    assert second.next_page_token == ""


@pytest.mark.parametrize("token", ["x", "!!", "W10", "WzFd", "WyJcdTAwMDAiXQ", "a" * 100_000])
async def test_a_made_up_page_token_is_refused(call, token):
    assert (await reason_of(call("ListCustomers", page_token=token))).reason == "CURSOR_INVALID"


async def test_another_tenant_sees_nothing(call, save, view):
    other = uuid.uuid4()
    await save("c-1", name="Ada")

    assert (await reason_of(view("c-1", other))).reason == "CUSTOMER_NOT_FOUND"
    assert (await reason_of(call("ArchiveCustomer", other, customer_id="c-1"))).reason == "CUSTOMER_NOT_FOUND"
    assert not (await call("ListCustomers", other)).views
    assert not (await call("ListCustomers", other, q="ada")).views


@pytest.mark.parametrize(
    ("name", "fields", "reason"),
    [
        ("GetCustomer", {"customer_id": "a\0b"}, "ID_INVALID"),
        ("GetCustomer", {}, "ID_INVALID"),
        ("ArchiveCustomer", {"customer_id": "a\0b"}, "ID_INVALID"),
        ("ListCustomers", {"q": "a\0b"}, "TEXT_INVALID"),
        ("ListCustomers", {"account_id": "a\0b"}, "TEXT_INVALID"),
        ("GetActivity", {"activity_id": "a\0b"}, "ID_INVALID"),
        ("ListActivities", {"customer_id": "a\0b"}, "TEXT_INVALID"),
        ("VoidActivity", {"activity_id": "a\0b"}, "ID_INVALID"),
        ("VoidActivity", {"activity_id": "a", "reason": "\0"}, "TEXT_INVALID"),
        ("SaveCustomer", {"update_mask": {"paths": ["known"]}}, "FIELD_UNKNOWN"),
        ("SaveCustomers", {}, "BATCH_TOO_LARGE"),
    ],
)
async def test_what_no_database_holds_is_refused_by_name(call, name, fields, reason):
    assert (await reason_of(call(name, **fields))).reason == reason
