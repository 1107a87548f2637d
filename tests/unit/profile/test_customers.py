"""What becomes of a customer when a change comes in."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.profile.v1.profile_pb2 import Customer
from plaudit.profile.v1.profile_service_pb2 import (
    SAVE_STATUS_CREATED,
    SAVE_STATUS_REJECTED,
    SAVE_STATUS_UNCHANGED,
    SAVE_STATUS_UPDATED,
)
from services.profile import domain
from services.profile.domain.customers import patched

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def kept(**fields):
    return Customer(customer_id="c-1", known=True, version=4, created_at=NOW, updated_at=NOW, **fields)


def change(fields=None, *, versions=(), must_exist=False, **values):
    return domain.Change(Customer(customer_id="c-1", **values), fields, must_exist, versions)


def outcome(before, wanted):
    return domain.outcome_of(before, wanted, NOW + timedelta(hours=1))


def test_the_first_put_makes_version_1():
    made = outcome(None, change(name="Ada"))

    assert made.status == SAVE_STATUS_CREATED
    assert (made.customer.version, made.customer.known) == (1, True)


def test_the_same_again_is_unchanged():
    before = kept(name="Ada", traits=b'{"a":1}')

    assert outcome(before, change(name="Ada", traits=b'{"a":1.0}')).status == SAVE_STATUS_UNCHANGED
    assert outcome(before, change(["name"], name="Ada")).status == SAVE_STATUS_UNCHANGED
    assert outcome(before, change([])).status == SAVE_STATUS_UNCHANGED


def test_true_is_not_one():
    assert outcome(kept(traits=b'{"a":1}'), change(traits=b'{"a":true}')).status == SAVE_STATUS_UPDATED


def test_a_stub_counts_as_made_when_it_is_filled():
    stub = Customer(customer_id="c-1", created_at=NOW, updated_at=NOW)

    assert outcome(stub, change()).status == SAVE_STATUS_CREATED
    assert outcome(stub, change([])).status == SAVE_STATUS_CREATED


def test_only_replacing_revives():
    before = kept(name="Ada", archived_at=NOW)

    assert not outcome(before, change(name="Ada")).customer.HasField("archived_at")
    assert outcome(before, change(["role"], role="buyer")).customer.HasField("archived_at")
    assert outcome(before, change(["name"], name="Ada")).status == SAVE_STATUS_UNCHANGED


@pytest.mark.parametrize(
    ("hours", "status"), [(-1, SAVE_STATUS_UNCHANGED), (0, SAVE_STATUS_UPDATED), (1, SAVE_STATUS_UPDATED)]
)
def test_older_data_has_no_effect(hours, status):
    before = kept(name="Ada", source_updated_at=NOW)
    newer = change(name="Grace", source_updated_at=NOW + timedelta(hours=hours))

    assert outcome(before, newer).status == status


def test_undated_data_is_taken():
    before = kept(name="Ada", source_updated_at=NOW)
    merged = outcome(before, change(["name"], name="Grace")).customer

    assert merged.name == "Grace"
    assert merged.source_updated_at == before.source_updated_at


@pytest.mark.parametrize(
    ("before", "wanted", "code"),
    [
        (None, change(["name"], must_exist=True, name="A"), "CUSTOMER_NOT_FOUND"),
        (None, change(must_exist=True), "VERSION_MISMATCH"),
        (None, change(versions=[1]), "VERSION_MISMATCH"),
        (kept(), change(versions=[3]), "VERSION_MISMATCH"),
        (
            kept(traits=b'{"a":1}'),
            change(["traits"], traits=json.dumps({"b": "x" * 17_000}).encode()),
            "ITEM_TOO_LARGE",
        ),
    ],
)
def test_a_change_may_be_refused(before, wanted, code):
    refused = outcome(before, wanted)

    assert (refused.status, refused.problem.code) == (SAVE_STATUS_REJECTED, code)


def test_any_of_the_versions_will_do():
    assert outcome(kept(), change(versions=[3, 4], name="Ada")).status == SAVE_STATUS_UPDATED


# The table of RFC 7396, appendix A.
@pytest.mark.parametrize(
    ("base", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_does_what_its_standard_says(base, patch, result):
    assert patched(base, patch) == result


LEAVES = st.none() | st.booleans() | st.text() | st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.recursive(
        LEAVES | st.integers(-(2**60), 2**60), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_is_written_in_one_way(value):
    once = domain.json_bytes(value)

    assert domain.json_bytes(json.loads(once)) == once


@given(st.text(min_size=1), st.text())
def test_a_prefix_range_holds_all_that_begins_so(prefix, rest):
    end = domain.prefix_end(prefix)
    within = prefix.encode("utf-8", "surrogatepass") <= (prefix + rest).encode("utf-8", "surrogatepass")

    assert within
    assert end > prefix or prefix[-1] == "\U0010ffff"


def test_a_customer_is_found_by_words_address_and_number():
    customer = Customer(customer_id="c-1", name="José  María Álvarez", email="Jose@Example.com", phone="+34600000001")

    assert domain.search_tokens(customer) == {
        "jose maria alvarez",
        "maria alvarez",
        "alvarez",
        "jose@example.com",
        "34600000001",
    }


@pytest.mark.parametrize(("one", "other"), [("İstanbul", "istanbul"), ("Straße", "STRASSE"), ("\u212a", "k")])
def test_case_folds_the_same_way_from_both_sides(one, other):
    assert domain.search_key(one) == domain.search_key(other)


@pytest.mark.parametrize("token", ["", "x", "[]", "W10", "bnVsbA", "WzEsMl0", "\ud800", "é"])
def test_what_is_no_position_reads_as_none(token):
    assert domain.position_of(token, 2) is None


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",))), min_size=1, max_size=3))
def test_a_position_survives_its_token(position):
    assert domain.position_of(domain.token_of(*position), len(position)) == position
