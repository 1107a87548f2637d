"""ProgramService over gRPC: one method per RPC, one transaction per method."""

import base64

from libs.common import audit, clock, tenancy
from libs.common.db import Database
from libs.common.errors import InvalidArgument, NotFound
from libs.common.events import emit
from libs.common.tenancy import Context
from plaudit.referral.v1 import referral_service_pb2 as pb
from plaudit.referral.v1 import referral_service_pb2_grpc as rpc
from plaudit.referral.v1.referral_events_pb2 import ProgramChanged
from plaudit.referral.v1.referral_pb2 import Program

from . import domain, store

DEFAULT_PAGE, MAX_PAGE = 50, 200


class ProgramServicer(rpc.ProgramServiceServicer):
    def __init__(self, db: Database) -> None:
        self._db = db

    async def GetProgram(self, request: pb.GetProgramRequest, context: Context) -> pb.GetProgramResponse:
        if "\0" in request.key:
            raise InvalidArgument("PROGRAM_INVALID", "the character NUL is not allowed", pointer="/key")
        async with tenancy.transaction(self._db, context) as conn:
            program = await store.get_program(conn, request.key)
        if program is None:
            raise NotFound("PROGRAM_NOT_FOUND", "there is no program with this key")
        return pb.GetProgramResponse(program=program)

    async def ListPrograms(self, request: pb.ListProgramsRequest, context: Context) -> pb.ListProgramsResponse:
        size = _page_size(request.page_size)
        after = _key_after(request.page_token)
        async with tenancy.transaction(self._db, context) as conn:
            found = await store.list_programs(conn, archived=request.archived, after=after, limit=size + 1)
        token = base64.urlsafe_b64encode(found[size - 1].key.encode()).decode() if len(found) > size else ""
        return pb.ListProgramsResponse(programs=found[:size], next_page_token=token)

    async def SaveProgram(self, request: pb.SaveProgramRequest, context: Context) -> pb.SaveProgramResponse:
        call = tenancy.call_of(context)
        if problem := domain.problem_with(request.program):
            pointer, sentence = problem
            raise InvalidArgument("PROGRAM_INVALID", sentence, pointer=pointer)
        async with tenancy.transaction(self._db, call) as conn:
            before = await store.get_program(conn, request.program.key, for_update=True)
            wanted = domain.next_program(before, request.program, clock.now())
            if wanted == before:
                return pb.SaveProgramResponse(program=before)
            saved, is_new = await store.save_program(conn, call.tenant_id, wanted)
            await audit.record(conn, call, "SaveProgram", ("program", saved.key), before, saved)
            await emit(conn, call.tenant_id, [_changed(saved)])
        return pb.SaveProgramResponse(program=saved, created=is_new)


def _changed(program: Program) -> ProgramChanged:
    changed = ProgramChanged(key=program.key, state=program.state, version=program.version)
    changed.changed_at.CopyFrom(program.updated_at)
    if program.HasField("archived_at"):
        changed.archived_at.CopyFrom(program.archived_at)
    return changed


def _page_size(wanted: int) -> int:
    return min(wanted, MAX_PAGE) if wanted > 0 else DEFAULT_PAGE


def _key_after(token: str) -> str:
    try:
        key = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except ValueError:
        key = "\0"
    if "\0" in key:
        raise InvalidArgument("CURSOR_INVALID", "the cursor is not of this list", pointer="?cursor")
    return key
