"""SQL of the cases: how triggers open or join them, how they are read, and how a step is written."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from plaudit.feedback.v1 import feedback_service_pb2 as pb
from plaudit.feedback.v1.feedback_pb2 import Case, CaseStep, Contact, Suppression, Trigger

from .. import domain
from ..tables import case_steps, cases, contacts, triggers
from .pages import Page
from .words import CONFIRMATION, OUTCOME, STATE, URGENCY

_PLAIN = ("case_id", "customer_id", "team", "owner", "external_ref", "external_url", "do_not_contact", "root_cause")
_OPEN = cases.c.state.not_in(["closed", "suppressed"])


async def get_case(conn: AsyncConnection, case_id: str, now: datetime, *, for_update: bool = False) -> Case | None:
    """Return one case with all that belongs to it and its clocks as of `now`, or None."""
    query = sa.select(cases).where(cases.c.case_id == case_id)
    row = (await conn.execute(query.with_for_update() if for_update else query)).one_or_none()
    return (await _cases_of(conn, [row], now))[0] if row else None


async def list_cases(conn: AsyncConnection, request: pb.ListCasesRequest, now: datetime) -> pb.ListCasesResponse:
    """Return one page of cases, newest first, clocks as of `now`."""
    page = Page(request, [cases.c.case_id], descending=True)
    query = sa.select(cases)
    for name in ("team", "owner", "customer_id", "external_ref"):
        if request.HasField(name):
            query = query.where(cases.c[name] == getattr(request, name))
    if request.state:
        query = query.where(cases.c.state == STATE.word(request.state))
    if request.HasField("overdue"):
        late = sa.and_(_OPEN, cases.c.due_at < now)
        query = query.where(late if request.overdue else sa.not_(sa.func.coalesce(late, sa.false())))
    if request.HasField("trigger_id"):
        caused = sa.select(triggers.c.case_id).where(triggers.c.id == request.trigger_id)
        query = query.where(cases.c.case_id.in_(caused.where(triggers.c.case_id.is_not(None))))
    if request.HasField("updated_after"):
        query = query.where(cases.c.updated_at > request.updated_after.ToDatetime(UTC))
    rows, token = page.cut((await conn.execute(page.apply(query))).all(), lambda row: [row.case_id])
    return pb.ListCasesResponse(cases=await _cases_of(conn, rows, now), next_page_token=token)


async def has_other_open_case(conn: AsyncConnection, case: Case) -> bool:
    """Tell whether the case's customer has another case that is open."""
    query = sa.select(sa.literal(1)).where(cases.c.customer_id == case.customer_id, _OPEN)
    return (await conn.execute(query.where(cases.c.case_id != case.case_id).limit(1))).first() is not None


async def save_case(conn: AsyncConnection, tenant_id: UUID, before: Case, after: Case, due_at: datetime | None) -> None:
    """Write a case that was read for update: what it is now, and the steps and contacts that were added."""
    values = {
        "owner": after.owner if after.HasField("owner") else None,
        "external_ref": after.external_ref if after.HasField("external_ref") else None,
        "external_url": after.external_url if after.HasField("external_url") else None,
        "root_cause": after.root_cause if after.HasField("root_cause") else None,
        "state": STATE.word(after.state),
        "urgency": URGENCY.word(after.urgency),
        "confirmation": CONFIRMATION.word(after.confirmation),
        "updated_at": after.updated_at.ToDatetime(UTC),
        "version": after.version,
        "due_at": due_at,
    }
    await conn.execute(sa.update(cases).where(cases.c.case_id == after.case_id).values(**values))
    owned = {"tenant_id": tenant_id, "case_id": after.case_id}
    steps = list(enumerate(after.history, start=1))[len(before.history) :]
    if steps:
        await conn.execute(sa.insert(case_steps), [owned | {"num": num} | _step_row(step) for num, step in steps])
    calls = list(enumerate(after.contacts, start=1))[len(before.contacts) :]
    if calls:
        await conn.execute(sa.insert(contacts), [owned | {"num": num} | _contact_row(call) for num, call in calls])


async def list_suppressions(conn: AsyncConnection, request: pb.ListSuppressionsRequest) -> pb.ListSuppressionsResponse:
    """Return one page of the triggers that opened no case, newest first."""
    page = Page(request, [triggers.c.at, triggers.c.id, triggers.c.kind], descending=True)
    query = sa.select(triggers).where(triggers.c.reason.is_not(None))
    if request.HasField("reason"):
        query = query.where(triggers.c.reason == request.reason)
    if request.HasField("from"):
        query = query.where(triggers.c.at >= getattr(request, "from").ToDatetime(UTC))
    if request.HasField("to"):
        query = query.where(triggers.c.at < request.to.ToDatetime(UTC))
    rows, token = page.cut((await conn.execute(page.apply(query))).all(), lambda row: [row.at, row.id, row.kind])
    found = [
        Suppression(trigger=Trigger(kind=row.kind, id=row.id, at=domain.stamp_of(row.at)), reason=row.reason)
        for row in rows
    ]
    return pb.ListSuppressionsResponse(suppressions=found, next_page_token=token)


async def _cases_of(conn: AsyncConnection, rows: Sequence[Any], now: datetime) -> list[Case]:
    """Put cases together with what belongs to them: three statements, however many cases."""
    ids = [row.case_id for row in rows]
    if not ids:
        return []
    caused = await _belonging(conn, triggers, ids, triggers.c.at, triggers.c.id)
    called = await _belonging(conn, contacts, ids, contacts.c.num)
    stepped = await _belonging(conn, case_steps, ids, case_steps.c.num)
    found = []
    for row in rows:
        case = Case(
            urgency=URGENCY.number(row.urgency),
            state=STATE.number(row.state),
            confirmation=CONFIRMATION.number(row.confirmation) or None,
            opened_at=domain.stamp_of(row.opened_at),
            updated_at=domain.stamp_of(row.updated_at),
            version=row.version,
            triggers=[_trigger_of(trigger) for trigger in caused[row.case_id]],
            contacts=[_contact_of(contact) for contact in called[row.case_id]],
            history=[_step_of(step) for step in stepped[row.case_id]],
            **{name: getattr(row, name) for name in _PLAIN},
        )
        case.clocks.CopyFrom(domain.default_clocks_of(case, now))
        found.append(case)
    return found


async def _belonging(
    conn: AsyncConnection, table: sa.Table, ids: Sequence[str], *order: sa.Column[Any]
) -> defaultdict[str, list[Any]]:
    by_case: defaultdict[str, list[Any]] = defaultdict(list)
    for row in (await conn.execute(sa.select(table).where(table.c.case_id.in_(ids)).order_by(*order))).all():
        by_case[row.case_id].append(row)
    return by_case


def _trigger_of(row: Any) -> Trigger:
    return Trigger(kind=row.kind, id=row.id, at=domain.stamp_of(row.at))


def _contact_of(row: Any) -> Contact:
    return Contact(at=domain.stamp_of(row.at), by=row.by, channel=row.channel, outcome=OUTCOME.number(row.outcome))


def _contact_row(contact: Contact) -> dict[str, Any]:
    outcome = OUTCOME.word(contact.outcome)
    return {"at": contact.at.ToDatetime(UTC), "by": contact.by, "channel": contact.channel, "outcome": outcome}


def _step_of(row: Any) -> CaseStep:
    given = {
        "from": STATE.number(row.from_state) or None,
        "at": domain.stamp_of(row.at),
        "by": row.by,
        "note": row.note,
    }
    return CaseStep(to=STATE.number(row.to_state), **given)


def _step_row(step: CaseStep) -> dict[str, Any]:
    return {
        "from_state": STATE.word(getattr(step, "from")),
        "to_state": STATE.word(step.to),
        "at": step.at.ToDatetime(UTC),
        "by": step.by if step.HasField("by") else None,
        "note": step.note if step.HasField("note") else None,
    }
