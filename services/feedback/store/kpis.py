"""SQL of the metrics: answers counted, never fetched."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg

BY = {"moment": "moment", "channel": "channel", "survey": "survey", "team": "null::text", "": "null::text"}
"""What answers can be grouped by, and its SQL. An answer belongs to no team until teams exist."""
STAFF_CHANNELS = ("in_person", "phone")
"""Where a person asks and hears the answer."""

Clusters = defaultdict[str | None, list[tuple[int, int, int, int]]]


@dataclass(frozen=True, slots=True)
class Question:
    """Which answers to count: those with a score, of one metric, in one period.

    Attributes:
        metric: `nps`, `csat` or `ces`.
        from_at: inclusive, None for open.
        to_at: exclusive, None for open.
        kind: `relationship` counts each customer's latest answer alone (an anonymous answer is a customer of its own),
            `transactional` every one of that kind, None every answer.
        by: one of `BY`.
    """

    metric: str
    from_at: datetime | None = None
    to_at: datetime | None = None
    kind: str | None = None
    by: str = ""


@dataclass
class Tally:
    """How often each score was given, in all and by group, and what was mixed."""

    counts: Counter[int] = field(default_factory=Counter)
    groups: defaultdict[str | None, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    kinds: set[str] = field(default_factory=set)
    scales: set[str] = field(default_factory=set)
    collected: set[bool] = field(default_factory=set)
    """Whether a person asked; both where it is mixed."""


_PERSON = "coalesce('c' || customer_id, 'r' || response_id)"


def picked(question: Question, bucket: str = "null::timestamptz") -> tuple[str, list[Any]]:
    """Return the SELECT of the answers to count, with $1 and on, and its arguments."""
    arguments: list[Any] = [question.metric]
    where = ["metric = $1", "score is not null"]
    for condition, value in (
        ("occurred_at >=", question.from_at),
        ("occurred_at <", question.to_at),
        ("kind =", question.kind),
    ):
        if value is not None:
            arguments.append(value)
            where.append(f"{condition} ${len(arguments)}")
    distinct = order = ""
    if question.kind == "relationship":
        distinct = f"distinct on ({bucket}, {_PERSON})"
        order = f"order by {bucket}, {_PERSON}, occurred_at desc, response_id desc"
    columns = (
        f"score, kind, scale, channel in {STAFF_CHANNELS} is true as is_collected, occurred_at, "
        f"{BY[question.by]} as key, {bucket} as bucket, {_PERSON} as person, customer_id"
    )
    return f"select {distinct} {columns} from responses where {' and '.join(where)} {order}", arguments  # noqa: S608


async def tally(conn: asyncpg.Connection, question: Question) -> Tally:
    """Count answers by score, by group and by what may be mixed, in one pass."""
    answers, arguments = picked(question)
    rows = await conn.fetch(
        f"""select key, score, kind, scale, is_collected, count(*) as n
            from ({answers}) p group by key, score, kind, scale, is_collected""",  # noqa: S608
        *arguments,
    )
    total = Tally()
    for row in rows:
        total.counts[row["score"]] += row["n"]
        total.groups[row["key"]][row["score"]] += row["n"]
        total.kinds.add(row["kind"])
        total.scales.add(row["scale"])
        total.collected.add(row["is_collected"])
    return total


async def tally_series(conn: asyncpg.Connection, question: Question, interval: str) -> dict[datetime, Counter[int]]:
    """Count answers by score within each day, week or month, by its start in UTC; those without any are left out."""
    answers, arguments = picked(question, f"date_trunc('{interval}', occurred_at, 'UTC')")
    rows = await conn.fetch(
        f"select bucket, score, count(*) as n from ({answers}) p group by bucket, score",  # noqa: S608
        *arguments,
    )
    series: defaultdict[datetime, Counter[int]] = defaultdict(Counter)
    for row in rows:
        series[row["bucket"]][row["score"]] += row["n"]
    return series


async def clusters_of(conn: asyncpg.Connection, question: Question, since: datetime) -> Clusters:
    """Return for every account how it answered before and after a time, by group.

    A customer without an account stands alone, and so does an answer without a customer.

    Args:
        conn: under the tenant.
        question: the period of both sides together.
        since: where the later side begins.

    Returns:
        Group to (answers before, promoters less detractors before, the same after), one entry an account.
    """
    answers, arguments = picked(question, f"occurred_at >= ${len(picked(question)[1]) + 1}")
    net = "(score >= 9)::int - (score <= 6)::int"
    rows = await conn.fetch(
        f"""with p as ({answers}), sides as (
            select key, coalesce('a' || a.account_id, person) as cluster,
                count(*) filter (where not bucket) as n1, count(*) filter (where bucket) as n2,
                coalesce(sum({net}) filter (where not bucket), 0) as net1,
                coalesce(sum({net}) filter (where bucket), 0) as net2
            from p left join customer_accounts a on a.customer_id = p.customer_id group by 1, 2)
        select key, n1, net1, n2, net2, count(*) as clusters from sides group by 1, 2, 3, 4, 5""",  # noqa: S608
        *arguments,
        since,
    )
    clusters = Clusters(list)
    for row in rows:
        clusters[row["key"]] += [(row["n1"], row["net1"], row["n2"], row["net2"])] * row["clusters"]
    return clusters
