"""What the simulated company did about its unhappy customers: most were called, some still wait."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from .api import Api, Json

FRESH = timedelta(days=10)
FORGOTTEN_SHARE = 0.06
_CAUSES = ("appointment missed", "part missing", "fault came back", "too many hand-overs")
_TEAM = ("simulated-agent-1", "simulated-agent-2", "simulated-agent-3")
CLOSED = frozenset({"closed", "suppressed"})


def worked_off(api: Api, seed: int, now: datetime) -> int:
    """Work off the cases as the company would have done, each step at its own time in the past.

    Args:
        api: of the tenant, with the scope `history:write`.
        seed: of who is called when, and who is forgotten.
        now: cases younger than FRESH are left as they are.

    Returns:
        How many cases were closed.
    """
    draw = random.Random(seed)  # noqa: S311 - a simulation has to repeat
    cases = sorted(api.all("/v1/cases"), key=lambda case: str(case["triggers"][0]["id"]))
    num_closed = 0
    for case in cases:
        is_forgotten = draw.random() < FORGOTTEN_SHARE
        plan = [
            draw.uniform(2, 6),
            draw.uniform(8, 30),
            draw.uniform(31, 40),
            draw.uniform(48, 90),
            draw.uniform(100, 150),
        ]
        said = draw.choice(("confirmed", "confirmed", "confirmed", "no_answer"))
        cause, agent = draw.choice(_CAUSES), draw.choice(_TEAM)
        opened = datetime.fromisoformat(case["opened_at"])
        if case["state"] == "open" and not is_forgotten and now - opened > FRESH:
            _close(api, case, [opened + timedelta(hours=hours) for hours in plan], (agent, cause, said))
            num_closed += 1
    return num_closed


def _close(api: Api, case: Json, times: list[datetime], words: tuple[str, str, str]) -> None:
    agent, cause, said = words
    path = f"/v1/cases/{case['case_id']}"
    acknowledged, called, begun, acted, closed = (time.isoformat() for time in times)
    api.post(f"{path}/acknowledgement", {"by": agent, "at": acknowledged})
    api.post(f"{path}/contacts", {"by": agent, "channel": "phone", "outcome": "reached", "at": called})
    api.post(f"{path}/transition", {"to": "in_progress", "at": begun})
    api.post(f"{path}/transition", {"to": "action_taken", "root_cause": cause, "at": acted})
    api.post(f"{path}/transition", {"to": "closed", "confirmation": said, "at": closed})
