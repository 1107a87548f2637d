"""A simulated field-service company: customers, jobs and answers of one year, the same for the same seed and day."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

NUM_CUSTOMERS = 500
DAYS = 365
NPS, CSAT = "Would you recommend us?", "How satisfied are you?"
_MOMENTS = {"Installation": 0.5, "Maintenance": 0.4, "Repair": -0.5}
# Something is wrong with repairs of late: what a report should bring to light.
_TROUBLED = timedelta(days=30)
_NAMES = ("Bakery", "Clinic", "School", "Hotel", "Workshop", "Library", "Dairy", "Theatre", "Garage", "Laundry")
_PRAISE = (
    "The engineer was on time and explained every step.",
    "Quick, tidy and friendly. The heat pump runs quietly again.",
    "I was called half an hour before, which helped a lot.",
    "Third visit, third time everything worked at once.",
    "",
)
_NEUTRAL = ("Fine, but the report came two weeks later.", "All right.", "Good work, unclear invoice.", "")
_BLAME = (
    "Nobody came on the agreed day and nobody called.",
    "The same fault for the second time this month.",
    "The part was missing, so the cold store was down for two days.",
    "I had to explain the problem to four people.",
)

Record = dict[str, str | int]


@dataclass
class Company:
    """What its systems export."""

    customers: list[Record] = field(default_factory=list)
    activities: list[Record] = field(default_factory=list)
    responses: list[Record] = field(default_factory=list)


@dataclass
class _Life:
    """One customer's year."""

    number: int
    content: float
    end: datetime
    was_unhappy: bool = False


def simulated(seed: int, now: datetime, num_customers: int = NUM_CUSTOMERS) -> Company:
    """Make a year of a company that does not exist.

    Args:
        seed: of everything that chance decides.
        now: the end of the year, UTC.
        num_customers: how many customers it has.

    Returns:
        The rows of its exports; nothing in them names a person.
    """
    draw = random.Random(seed)  # noqa: S311 - a simulation has to repeat
    company = Company()
    for number in range(1, num_customers + 1):
        life = _Life(number, draw.gauss(0, 1), now)
        is_new = draw.random() < 0.1
        since_days = draw.uniform(20, DAYS - 5) if is_new else draw.uniform(DAYS + 30, 5 * DAYS)
        company.customers.append({
            "No": number,
            "Company": f"Simulated customer {number}, {draw.choice(_NAMES)}",
            "Since": (now - timedelta(days=since_days)).strftime("%d/%m/%Y"),
            "Plan": draw.choice(("basic", "basic", "full")),
        })  # fmt: skip
        _live(company, draw, life, min(since_days, DAYS))
    return company


def _live(company: Company, draw: random.Random, life: _Life, days: float) -> None:
    """Let a customer's year happen, oldest first."""
    kinds = ["Maintenance"] * 2 + ["Parts order"] * draw.choice((0, 1, 1, 2))
    kinds += ["Repair"] * draw.choice((0, 1, 1, 2) if life.content > 0 else (1, 1, 2, 3))
    kinds += ["Ticket"] * draw.choice((0, 0, 1)) + ["Alarm"] * draw.choice((0, 1))
    if life.content > 0.8:
        kinds += draw.choice((["Newsletter passed on"], ["Review published"], []))
    moments = sorted((draw.uniform(0.5, days), draw.choice(kinds)) for _ in kinds)[::-1]
    if days < DAYS:
        moments = [(days, "Installation"), (days - 0.1, "Contract signed"), *moments]
    elif draw.random() < 0.8:
        ends = life.content < -1 and draw.random() < 0.6
        moments = sorted([*moments, (draw.uniform(1, days), "Contract ended" if ends else "Contract renewed")])[::-1]
    for days_ago, kind in moments:
        _happen(company, draw, life, life.end - timedelta(days=days_ago), kind)
    if draw.random() < 0.6:
        _answer(company, draw, life, life.end - timedelta(days=draw.uniform(0.2, days)), "company")


def _happen(company: Company, draw: random.Random, life: _Life, at: datetime, kind: str) -> None:
    if kind in {"Ticket", "Alarm"}:
        first, last = ("Ticket opened", "Ticket solved") if kind == "Ticket" else ("Alarm", "Alarm over")
        _job(company, draw, life, at, first)
        _job(company, draw, life, at + timedelta(hours=draw.uniform(1, 11)), last)
        if kind == "Ticket" and draw.random() < 0.5:
            _answer(company, draw, life, at + timedelta(hours=11.5), "support")
        return
    _job(company, draw, life, at, kind)
    if kind in _MOMENTS and draw.random() < 0.5:
        _answer(company, draw, life, at + timedelta(hours=draw.uniform(1, 11)), kind.lower())


def _job(company: Company, draw: random.Random, life: _Life, at: datetime, kind: str) -> None:
    is_visit, is_act = kind in _MOMENTS, kind in {"Newsletter passed on", "Review published"}
    company.activities.append({
        "Job": len(company.activities) + 1,
        "Customer": life.number,
        "Kind": kind,
        "Finished": at.strftime("%d/%m/%Y %H:%M"),
        "Engineer": f"engineer-{draw.randint(1, 12)}" if is_visit else "",
        "Amount": f"{draw.randint(4000, 90000) / 100:.2f}" if kind == "Parts order" else "",
        "Proof": "seen" if is_act else "",
        "Asked": "no" if is_act else "",
    })  # fmt: skip


def _answer(company: Company, draw: random.Random, life: _Life, at: datetime, about: str) -> None:
    effect = _MOMENTS.get(about.capitalize(), 0.0)
    if about == "repair" and life.end - at < _TROUBLED:
        effect -= 2
    felt = 8.5 + 1.1 * life.content + effect + draw.gauss(0, 1.1)
    # One bad answer a year is enough to show what follows from it.
    score = max(0, min(10, round(felt if not life.was_unhappy else max(felt, 7))))
    metric = CSAT if about == "support" else NPS
    if metric == CSAT:
        score = max(3, min(5, round(score / 2)))
    life.was_unhappy |= metric == NPS and score <= 6
    company.responses.append({
        "Answer": len(company.responses) + 1,
        "Customer": life.number,
        "Question": metric,
        "About": about,
        "Score": score,
        "Comment": draw.choice(_words(score, 10 if metric == NPS else 5)),
        "Answered": at.strftime("%d/%m/%Y %H:%M"),
    })  # fmt: skip


def _words(score: int, best: int) -> Sequence[str]:
    if score >= 0.9 * best:
        return _PRAISE
    return _NEUTRAL if score > 0.6 * best else _BLAME
