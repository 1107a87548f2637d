"""SurveyService over gRPC: one method per RPC, one transaction per method."""

from libs.common import audit, clock, tenancy
from libs.common.db import Database
from libs.common.errors import NotFound
from libs.common.tenancy import Context
from plaudit.feedback.v1 import feedback_service_pb2 as pb
from plaudit.feedback.v1 import feedback_service_pb2_grpc as rpc

from .. import domain, store
from .calls import checked, refused


class SurveyServicer(rpc.SurveyServiceServicer):
    def __init__(self, db: Database) -> None:
        self._db = db

    async def SaveSurvey(self, request: pb.SaveSurveyRequest, context: Context) -> pb.SaveSurveyResponse:
        call = checked(request, context)
        if problem := domain.problem_with_survey(request.survey):
            raise refused(problem)
        async with tenancy.transaction(self._db, call) as conn:
            before = await store.get_survey(conn, request.survey.key)
            survey, created = await store.save_survey(conn, call.tenant_id, request.survey, clock.now())
            await audit.record(conn, call, "SaveSurvey", ("survey", survey.key), before, survey)
        return pb.SaveSurveyResponse(survey=survey, created=created)

    async def GetSurvey(self, request: pb.GetSurveyRequest, context: Context) -> pb.GetSurveyResponse:
        async with tenancy.transaction(self._db, checked(request, context)) as conn:
            survey = await store.get_survey(conn, request.key)
        if survey is None:
            raise NotFound("SURVEY_NOT_FOUND", "there is no survey with this key")
        return pb.GetSurveyResponse(survey=survey)

    async def ListSurveys(self, request: pb.ListSurveysRequest, context: Context) -> pb.ListSurveysResponse:
        async with tenancy.transaction(self._db, checked(request, context)) as conn:
            return await store.list_surveys(conn, request)

    async def ArchiveSurvey(self, request: pb.ArchiveSurveyRequest, context: Context) -> pb.ArchiveSurveyResponse:
        call = checked(request, context)
        async with tenancy.transaction(self._db, call) as conn:
            before = await store.get_survey(conn, request.key)
            if before is None:
                raise NotFound("SURVEY_NOT_FOUND", "there is no survey with this key")
            if before.HasField("archived_at"):
                return pb.ArchiveSurveyResponse(survey=before)
            survey = await store.archive_survey(conn, request.key, clock.now())
            await audit.record(conn, call, "ArchiveSurvey", ("survey", request.key), before, survey)
        return pb.ArchiveSurveyResponse(survey=survey)
