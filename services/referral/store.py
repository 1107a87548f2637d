"""Every SQL statement of the referral service; rows become protos here and nowhere else."""

import uuid
from datetime import UTC
from typing import Any

import sqlalchemy as sa
from google.protobuf import json_format
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import AsyncConnection

from plaudit.referral.v1.referral_pb2 import Program, ProgramState

from .tables import programs

_STATES = {
    "draft": ProgramState.PROGRAM_STATE_DRAFT,
    "published": ProgramState.PROGRAM_STATE_PUBLISHED,
    "halted": ProgramState.PROGRAM_STATE_HALTED,
}
_WORDS = {number: word for word, number in _STATES.items()}
# Columns of their own, the rest is `definition`.
_COLUMNS = ("key", "name", "state", "created_at", "updated_at", "archived_at", "version")


async def get_program(conn: AsyncConnection, key: str, *, for_update: bool = False) -> Program | None:
    """Return one program, archived or not, or None."""
    query = sa.select(programs).where(programs.c.key == key)
    row = (await conn.execute(query.with_for_update() if for_update else query)).one_or_none()
    return _to_proto(row) if row else None


async def list_programs(conn: AsyncConnection, *, archived: bool, after: str, limit: int) -> list[Program]:
    """Return programs whose key comes after `after`, by key."""
    is_archived = programs.c.archived_at.is_not(None) if archived else programs.c.archived_at.is_(None)
    query = sa.select(programs).where(programs.c.key > after, is_archived).order_by(programs.c.key).limit(limit)
    return [_to_proto(row) for row in await conn.execute(query)]


async def save_program(conn: AsyncConnection, tenant_id: uuid.UUID, program: Program) -> tuple[Program, bool]:
    """Insert or replace a program; its version grows by one.

    Returns:
        The program as stored, and whether its key was new.
    """
    values = {
        "name": program.name,
        "state": _WORDS[program.state],
        "definition": _definition(program),
        "updated_at": program.updated_at.ToDatetime(tzinfo=UTC),
        "archived_at": None,
    }
    insert = pg.insert(programs).values(
        tenant_id=tenant_id,
        key=program.key,
        version=1,
        created_at=program.created_at.ToDatetime(tzinfo=UTC),
        **values,
    )
    upsert = insert.on_conflict_do_update(
        index_elements=[programs.c.tenant_id, programs.c.key],
        set_={**values, "version": programs.c.version + 1},
    )
    row = (await conn.execute(upsert.returning(programs))).one()
    return _to_proto(row), row.version == 1


def _definition(program: Program) -> dict[str, Any]:
    rest = Program()
    rest.CopyFrom(program)
    for name in _COLUMNS:
        rest.ClearField(name)  # type: ignore[arg-type]
    return json_format.MessageToDict(rest, preserving_proto_field_name=True)


def _to_proto(row: sa.Row[Any]) -> Program:
    program = json_format.ParseDict(row.definition, Program())
    program.key = row.key
    program.name = row.name
    program.state = _STATES[row.state]
    program.version = row.version
    program.created_at.FromDatetime(row.created_at)
    program.updated_at.FromDatetime(row.updated_at)
    if row.archived_at is not None:
        program.archived_at.FromDatetime(row.archived_at)
    return program
