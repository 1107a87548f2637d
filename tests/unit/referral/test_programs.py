"""What a program must be, and what saving it makes of it."""

from datetime import UTC, datetime

import pytest
from google.protobuf import json_format

from plaudit.referral.v1.referral_pb2 import Program
from services.referral import domain

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
LATER = datetime(2026, 3, 5, 12, tzinfo=UTC)
GOOD = {
    "key": "spring",
    "name": "Bring a friend",
    "destination_url": "https://shop.example/friends",
    "share": {"en": {"title": "Try it", "text": "I did."}},
    "rewards": {
        "referrer": {"kind": "REWARD_KIND_FIXED", "amount": {"amount_minor": "2500", "currency": "EUR"}},
        "friend": {"kind": "REWARD_KIND_PERCENTAGE", "basis_points": 1000},
    },
    "attribution": {"model": "ATTRIBUTION_MODEL_LAST"},
}


def program(**more):
    return json_format.ParseDict({**GOOD, **more}, Program())


def money(minor, currency="EUR"):
    return {"amount_minor": str(minor), "currency": currency}


def test_a_good_program_has_no_problem():
    assert domain.problem_with(program()) is None


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"key": ""}, "/key"),
        ({"name": "  "}, "/name"),
        ({"name": "x" * 201}, "/name"),
        ({"destination_url": "http://shop.example"}, "/destination_url"),
        ({"destination_url": "https://user@shop.example"}, "/destination_url"),
        ({"destination_url": "https://[::1"}, "/destination_url"),
        ({"terms_url": "javascript:alert(1)"}, "/terms_url"),
        ({"terms_url": "https://" + "x" * 2048}, "/terms_url"),
        ({"share": {"en": {"title": "x" * 201}}}, "/share/en/title"),
        ({"share": {"en": {"text": "x" * 1001}}}, "/share/en/text"),
        ({"share": {f"x{n}": {} for n in range(65)}}, "/share"),
        ({"rewards": None}, "/rewards"),
        ({"rewards": {"friend": {}}}, "/rewards/friend/kind"),
        ({"rewards": {"friend": {"kind": "REWARD_KIND_FIXED"}}}, "/rewards/friend/amount"),
        ({"rewards": {"friend": {"kind": "REWARD_KIND_PERCENTAGE"}}}, "/rewards/friend/basis_points"),
        (
            {"rewards": {"friend": {"kind": "REWARD_KIND_PERCENTAGE", "basis_points": 1, "amount": money(1)}}},
            "/rewards/friend/amount",
        ),
        (
            {"rewards": {"friend": {"kind": "REWARD_KIND_FIXED", "amount": money(1), "basis_points": 5}}},
            "/rewards/friend/kind",
        ),
        ({"conditions": {"min_amount": money(-1)}}, "/conditions/min_amount/amount_minor"),
        ({"conditions": {"min_amount": money(1, "eur")}}, "/conditions/min_amount/currency"),
        ({"conditions": {"min_amount": money(1, "USD")}}, "/conditions/min_amount/currency"),
        ({"caps": {"budget": money(2**53)}}, "/caps/budget/amount_minor"),
        ({"caps": {"per_referrer": 0}}, "/caps/per_referrer"),
        ({"attribution": None}, "/attribution/model"),
        ({"attribution": {"model": "ATTRIBUTION_MODEL_LAST", "window_days": 3651}}, "/attribution/window_days"),
        ({"holding_days": -1}, "/holding_days"),
        ({"holdout_basis_points": 10_001}, "/holdout_basis_points"),
        ({"starts_at": "2026-01-02T00:00:00Z", "ends_at": "2026-01-02T00:00:00Z"}, "/ends_at"),
    ],
)
def test_a_problem_names_its_field(more, pointer):
    found = domain.problem_with(program(**more))
    assert found is not None
    assert found[0] == pointer


def test_a_new_program_is_a_draft_with_its_defaults():
    made = domain.next_program(None, program(), NOW)
    assert json_format.MessageToDict(made, preserving_proto_field_name=True) == {
        **GOOD,
        "state": "PROGRAM_STATE_DRAFT",
        "refund_rule": "REFUND_RULE_POLICY",
        "holding_days": 14,
        "attribution": {"model": "ATTRIBUTION_MODEL_LAST", "window_days": 90},
        "created_at": "2026-03-04T12:00:00Z",
        "updated_at": "2026-03-04T12:00:00Z",
    }


def test_holding_for_no_day_at_all_is_kept():
    assert domain.next_program(None, program(holding_days=0), NOW).holding_days == 0


def test_saving_the_same_again_changes_nothing():
    before = domain.next_program(None, program(), NOW)
    assert domain.next_program(before, program(state="PROGRAM_STATE_PUBLISHED", version="9"), LATER) is before


def test_saving_another_keeps_state_version_and_first_time():
    before = domain.next_program(None, program(), NOW)
    before.version = 3
    after = domain.next_program(before, program(name="Bring two"), LATER)
    assert (after.name, after.state, after.version) == ("Bring two", before.state, 3)
    assert (after.created_at, after.updated_at.ToDatetime(UTC)) == (before.created_at, LATER)


def test_saving_an_archived_program_revives_it():
    before = domain.next_program(None, program(), NOW)
    before.archived_at.FromDatetime(NOW)
    assert not domain.next_program(before, program(), LATER).HasField("archived_at")
