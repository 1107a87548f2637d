"""Every SQL statement of the feedback service; rows become protos here and nowhere else."""

from .accounts import save_accounts
from .cases import get_case, has_other_open_case, list_cases, list_suppressions, save_case
from .kpis import BY, Clusters, Question, Tally, clusters_of, tally, tally_series
from .mentions import MENTIONS, count_mentions, get_mention, list_mentions
from .mentions import event_of as mention_event
from .mentions import values_of as mention_values
from .openings import Unhappy, open_cases, suppress
from .responses import RESPONSES, get_fingerprints, get_response, list_responses
from .responses import event_of as response_event
from .responses import values_of as response_values
from .surveys import archive_survey, get_survey, get_surveys, list_surveys, save_survey

__all__ = [
    "BY",
    "MENTIONS",
    "RESPONSES",
    "Clusters",
    "Question",
    "Tally",
    "Unhappy",
    "archive_survey",
    "clusters_of",
    "count_mentions",
    "get_case",
    "get_fingerprints",
    "get_mention",
    "get_response",
    "get_survey",
    "get_surveys",
    "has_other_open_case",
    "list_cases",
    "list_mentions",
    "list_responses",
    "list_suppressions",
    "list_surveys",
    "mention_event",
    "mention_values",
    "open_cases",
    "response_event",
    "response_values",
    "save_accounts",
    "save_case",
    "save_survey",
    "suppress",
    "tally",
    "tally_series",
]
