"""What the simulated company did about its unhappy customers: most were called, some still wait."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from .api import Api, Json

FORGOTTEN_SHARE = 0.06
_CAUSES = ("appointment missed", "part missing", "fault came back", "too many hand-overs")
_TEAM = ("simulated-agent-1", "simulated-agent-2", "simulated-agent-3")
CLOSED = frozenset({"closed", "suppressed"})


@dataclass(frozen=True)
class _Course:
    """How one case goes: the times of its five steps, who takes them, why it came to this, and what is said at last."""

    case_id: str
    times: tuple[datetime, ...]
    agent: str
    cause: str
    confirmation: str


def worked_off(api: Api, seed: int, now: datetime) -> int:
    """Work on the cases as the company would have done, each step at its own time in the past.

    Args:
        api: of the tenant, with the scope `history:write`.
        seed: of who is called when, and who is forgotten.
        now: steps after it are not taken yet: the youngest cases are still on their way.

    Returns:
        How many cases were worked on.
    """
    cases = sorted(api.all("/v1/cases"), key=lambda case: str(case["triggers"][0]["id"]))
    drawn = _courses(cases, random.Random(seed))  # noqa: S311 - a simulation has to repeat
    courses = [course for course in drawn if course.times[0] <= now]
    api.each(lambda course: _take(api, course, now), courses)
    return len(courses)


def _courses(cases: list[Json], draw: random.Random) -> Iterator[_Course]:
    for case in cases:
        is_forgotten = draw.random() < FORGOTTEN_SHARE
        spans = ((2, 6), (8, 30), (31, 40), (48, 90), (100, 150))
        hours = [draw.uniform(*span) for span in spans]
        said = draw.choice(("confirmed", "confirmed", "confirmed", "no_answer"))
        cause, agent = draw.choice(_CAUSES), draw.choice(_TEAM)
        opened = datetime.fromisoformat(case["opened_at"])
        if case["state"] == "open" and not is_forgotten:
            times = tuple(opened + timedelta(hours=each) for each in hours)
            yield _Course(str(case["case_id"]), times, agent, cause, said)


def _take(api: Api, course: _Course, now: datetime) -> None:
    steps: tuple[tuple[str, Json], ...] = (
        ("acknowledgement", {"by": course.agent}),
        ("contacts", {"by": course.agent, "channel": "phone", "outcome": "reached"}),
        ("transition", {"to": "in_progress"}),
        ("transition", {"to": "action_taken", "root_cause": course.cause}),
        ("transition", {"to": "closed", "confirmation": course.confirmation}),
    )
    for at, (route, body) in zip(course.times, steps, strict=True):
        if at <= now:
            api.post(f"/v1/cases/{course.case_id}/{route}", {**body, "at": at.isoformat()})
