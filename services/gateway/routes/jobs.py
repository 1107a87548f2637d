"""Jobs over HTTP: long work is started, and followed to its end."""

from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from libs.common import errors
from plaudit.common.v1.job_pb2 import Job
from plaudit.scoring.v1 import scoring_service_pb2 as scoring
from plaudit.scoring.v1 import scoring_service_pb2_grpc as scoring_rpc

from .. import edge, problems

router = edge.Router()

_OWNERS = ((scoring_rpc.ScoreServiceStub, scoring.GetJobRequest),)
"""The services that have jobs: a job's id does not say whose it is, so they are asked in this order."""


class NothingIn(edge.Body):
    """A body without fields."""


class JobStarted(msgspec.Struct, kw_only=True):
    """The job to follow."""

    job_id: str


class JobOut(msgspec.Struct, kw_only=True):
    """Where a job stands. `result` is there once it is done, `problem` once it has failed."""

    job_id: str
    state: Literal["queued", "running", "done", "failed"]
    progress: float
    """0 to 1."""
    result: dict[str, Any] | None
    problem: dict[str, Any] | None


@router.operation("POST /v1/scoring/replay", scope="scoring:write", answer=JobStarted, status=202)
async def replay_scores(request: Request) -> Response:
    """Compute every customer's score anew from the ledger, as a job; the answer's Location follows it.

    Takes no body. Scores that differ at all from what was told last are told again. It may be run at any time and
    again. The result of the job: `customers` looked at, and how many `changed`.
    """
    if request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers:
        await edge.read(request, NothingIn)
    stub = edge.stub(request, scoring_rpc.ScoreServiceStub)
    reply = await edge.call(request, stub.ReplayScores, scoring.ReplayScoresRequest())
    return edge.answer(reply, status=202, headers={"Location": f"/v1/jobs/{reply.job_id}"})


@router.operation("GET /v1/jobs/{job_id}", scope="platform:read", answer=JobOut)
async def get_job(request: Request, job_id: str) -> Response:
    """Say where a job stands. A job that failed has a problem in the form of all problems."""
    for kind, asked in _OWNERS:
        try:
            reply = await edge.call(request, edge.stub(request, kind).GetJob, asked(job_id=job_id))
        except errors.NotFound:
            continue
        return edge.answer(_out(request, reply.job))
    raise problems.Problem(404, "JOB_NOT_FOUND", "there is no such job")


def _out(request: Request, job: Job) -> dict[str, Any]:
    found = edge.to_json(job)
    if job.HasField("problem"):
        problem = problems.Problem(500, job.problem, "the job met a fault on our side; its id finds it in our logs")
        found["problem"] = msgspec.Raw(problems.body_of(problem, edge.exchange(request).request_id))
    return found
