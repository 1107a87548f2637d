"""Every SQL statement of the profile service; row to message is the only mapping."""

from .activities import (
    ACTIVITIES,
    get_activity,
    insert_void,
    list_activities,
    list_steps,
    values_of,
)
from .customers import archive_customer, get_customers, insert_stubs, save_customers
from .known import Known
from .views import (
    get_view,
    list_views,
    save_answers,
    save_cases,
    save_scores,
)

__all__ = [
    "ACTIVITIES",
    "Known",
    "archive_customer",
    "get_activity",
    "get_customers",
    "get_view",
    "insert_stubs",
    "insert_void",
    "list_activities",
    "list_steps",
    "list_views",
    "save_answers",
    "save_cases",
    "save_customers",
    "save_scores",
    "values_of",
]
