"""SQL of what unhappy answers cause, in the transaction that stores them: cases opened or joined, or suppressions."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from libs.common import clock
from plaudit.feedback.v1.feedback_events_pb2 import CASE_CHANGE_JOINED, CASE_CHANGE_OPENED, CaseChanged
from plaudit.feedback.v1.feedback_pb2 import URGENCY_UNSPECIFIED, Trigger

from .. import domain
from .words import STATE, URGENCY


class Unhappy(NamedTuple):
    """One trigger that asks for a case."""

    trigger: Trigger
    customer_id: str
    starts_at: datetime
    """When the clocks of a case that it opens start."""
    do_not_contact: bool
    history: bool


# The row lock of `do update` is the guard: a case that is being closed meanwhile is joined before, or not at all.
_OPEN_OR_JOIN = """insert into cases (tenant_id, case_id, customer_id, team, urgency, state, do_not_contact, opened_at,
    updated_at, version, due_at)
select $1, t.case_id, t.customer_id, $2, t.urgency, 'open', t.do_not_contact, t.opened_at, $3, t.num, t.due_at
from unnest($4::text[], $5::text[], $6::text[], $7::boolean[], $8::timestamptz[], $9::bigint[], $10::timestamptz[])
    as t(case_id, customer_id, urgency, do_not_contact, opened_at, num, due_at)
on conflict (tenant_id, customer_id) where state not in ('closed', 'suppressed') do update set
    urgency = case cases.urgency when 'urgent' then 'urgent' else 'high' end,
    do_not_contact = cases.do_not_contact or excluded.do_not_contact,
    version = cases.version + excluded.version,
    updated_at = excluded.updated_at
returning case_id, customer_id, state, urgency, opened_at, team, version, due_at, xmax = 0 as is_new"""

_LINK = """insert into triggers (tenant_id, kind, id, at, case_id, reason)
select $1, k, i, a, c, r from unnest($2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[])
    as t(k, i, a, c, r)"""

_FIRST_STEP = """insert into case_steps (tenant_id, case_id, num, to_state, at)
select $1, c, 1, 'open', a from unnest($2::text[], $3::timestamptz[]) as t(c, a)"""


async def open_cases(conn: asyncpg.Connection, tenant_id: UUID, unhappy: Sequence[Unhappy]) -> list[CaseChanged]:
    """Open a case for each customer, or join the open one; link every trigger.

    Args:
        conn: in a transaction under the tenant.
        tenant_id: whose customers these are.
        unhappy: triggers, none of them linked before.

    Returns:
        What to tell the others: one event a trigger.
    """
    by_customer: dict[str, list[Unhappy]] = {}
    for item in sorted(unhappy, key=lambda item: (item.customer_id, item.starts_at, item.trigger.id)):
        by_customer.setdefault(item.customer_id, []).append(item)
    groups = list(by_customer.values())
    rows = await conn.fetch(
        _OPEN_OR_JOIN,
        tenant_id,
        domain.DEFAULT_TEAM,
        clock.now(),
        [clock.new_id("case") for _ in groups],
        list(by_customer),
        [URGENCY.word(domain.urgency_after(URGENCY_UNSPECIFIED, len(group))) for group in groups],
        [any(item.do_not_contact for item in group) for group in groups],
        [group[0].starts_at for group in groups],
        [len(group) for group in groups],
        [domain.first_due_at(group[0].starts_at) for group in groups],
    )
    linked = [(item.trigger, row["case_id"], None) for row in rows for item in by_customer[row["customer_id"]]]
    await _link(conn, tenant_id, linked)
    opened = [row for row in rows if row["is_new"]]
    if opened:
        ids, times = [row["case_id"] for row in opened], [row["opened_at"] for row in opened]
        await conn.execute(_FIRST_STEP, tenant_id, ids, times)
    return [event for row in rows for event in _events_of(row, by_customer[row["customer_id"]])]


async def suppress(conn: asyncpg.Connection, tenant_id: UUID, reasons: Sequence[tuple[Trigger, str]]) -> None:
    """Log the triggers that open no case, each with its reason."""
    await _link(conn, tenant_id, [(trigger, None, reason) for trigger, reason in reasons])


async def _link(
    conn: asyncpg.Connection, tenant_id: UUID, links: Sequence[tuple[Trigger, str | None, str | None]]
) -> None:
    """Link triggers to a case or a reason; one that is linked already fails the transaction."""
    await conn.execute(
        _LINK,
        tenant_id,
        [trigger.kind for trigger, _, _ in links],
        [trigger.id for trigger, _, _ in links],
        [trigger.at.ToDatetime(clock.now().tzinfo) for trigger, _, _ in links],
        [case_id for _, case_id, _ in links],
        [reason for _, _, reason in links],
    )


def _events_of(row: asyncpg.Record, group: Sequence[Unhappy]) -> list[CaseChanged]:
    """Return one event a trigger, each with a version of its own, the last one the row's."""
    first = row["version"] - len(group) + 1
    return [
        CaseChanged(
            change=CASE_CHANGE_OPENED if row["is_new"] and index == 0 else CASE_CHANGE_JOINED,
            case_id=row["case_id"],
            customer_id=row["customer_id"],
            state=STATE.number(row["state"]),
            urgency=URGENCY.number(row["urgency"]),
            opened_at=domain.stamp_of(row["opened_at"]),
            changed_at=domain.stamp_of(item.starts_at),
            version=first + index,
            trigger=item.trigger,
            history=item.history,
            team=row["team"],
            due_at=domain.stamp_of(row["due_at"]),
        )
        for index, item in enumerate(group)
    ]
