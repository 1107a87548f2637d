"""Every decision of the profile service: values in, values out; no I/O, no clock, no chance."""

from .activities import LIFECYCLE_TYPES, Facts, Step, facts_of, problem_with_activity
from .customers import (
    OWN_FIELDS,
    Change,
    Outcome,
    json_bytes,
    outcome_of,
    prefix_end,
    problem_with_customer,
    problem_with_versions,
    search_prefixes,
    search_tokens,
    unknown_fields,
)
from .fields import Problem, problem_with_free_text, problem_with_id, said_in, search_key, utc, value_of
from .paging import position_of, size_of, time_of, token_of
from .views import category_of, stage_of

__all__ = [
    "LIFECYCLE_TYPES",
    "OWN_FIELDS",
    "Change",
    "Facts",
    "Outcome",
    "Problem",
    "Step",
    "category_of",
    "facts_of",
    "json_bytes",
    "outcome_of",
    "position_of",
    "prefix_end",
    "problem_with_activity",
    "problem_with_customer",
    "problem_with_free_text",
    "problem_with_id",
    "problem_with_versions",
    "said_in",
    "search_key",
    "search_prefixes",
    "search_tokens",
    "size_of",
    "stage_of",
    "time_of",
    "token_of",
    "unknown_fields",
    "utc",
    "value_of",
]
