"""What a survey must be to be kept."""

from plaudit.feedback.v1.feedback_pb2 import ResponseKind, Survey

from .forms import LONGEST_LABEL, problem_with_id, problem_with_text
from .responses import SCALES, Problem

MOST_LOCALES = 64
_LONGEST_QUESTION = 1_000


def problem_with_survey(survey: Survey) -> Problem | None:
    """Tell why a survey cannot be kept, or None.

    Returns:
        ID_INVALID, METRIC_MISSING, KIND_INVALID, SCALE_UNSUPPORTED, ITEM_TOO_LARGE or TEXT_INVALID.
    """
    scales = SCALES.get(survey.metric)
    if scales is None:
        return "METRIC_MISSING", "/metric", "a survey needs its metric: nps, csat or ces"
    if survey.kind not in ResponseKind.values():
        return "KIND_INVALID", "/kind", "the kind is relationship or transactional"
    if survey.scale and survey.scale not in scales:
        return "SCALE_UNSUPPORTED", "/scale", f"the metric's scales are: {', '.join(scales)}"
    if len(survey.locales) > MOST_LOCALES:
        return "ITEM_TOO_LARGE", "/locales", f"at most {MOST_LOCALES} locales"
    texts = [
        ("/moment", survey.moment, LONGEST_LABEL),
        ("/question", survey.question, _LONGEST_QUESTION),
        ("/follow_up", survey.follow_up, _LONGEST_QUESTION),
        *((f"/locales/{index}", locale, LONGEST_LABEL) for index, locale in enumerate(survey.locales)),
    ]
    problems = (problem_with_text(text, longest, pointer) for pointer, text, longest in texts)
    return problem_with_id(survey.key, "/key") or next(filter(None, problems), None)
