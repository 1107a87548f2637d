"""The 360 view: folding in what the services tell, and reading it."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from plaudit.feedback.v1.feedback_pb2 import Metric
from plaudit.profile.v1.profile_pb2 import CustomerView
from plaudit.profile.v1.profile_service_pb2 import ListCustomersRequest

from .. import domain, tables
from .activities import list_steps
from .customers import customer_of

_METRICS = {Metric.METRIC_NPS: "nps", Metric.METRIC_CSAT: "csat", Metric.METRIC_CES: "ces"}

_ANSWER = """insert into views as v (tenant_id, customer_id, response_id, response_metric, response_score, response_at,
    feedback_as_of)
select distinct on (i.customer_id) $1::uuid, i.customer_id, i.response_id, i.metric, i.score, i.at,
    max(i.as_of) over (partition by i.customer_id)
from unnest($2::text[], $3::text[], $4::text[], $5::int[], $6::timestamptz[], $7::timestamptz[])
    as i(customer_id, response_id, metric, score, at, as_of)
order by i.customer_id, i.at desc, i.response_id desc
on conflict (tenant_id, customer_id) do update set
    (response_id, response_metric, response_score, response_at) = (
        select s.id, s.metric, s.score, s.at
        from (values (v.response_id, v.response_metric, v.response_score, v.response_at),
                     (excluded.response_id, excluded.response_metric, excluded.response_score, excluded.response_at))
            as s(id, metric, score, at)
        order by s.at desc nulls last, s.id desc limit 1),
    feedback_as_of = greatest(v.feedback_as_of, excluded.feedback_as_of)"""

_PROMOTER = """insert into views as v (tenant_id, customer_id, nps_id, nps_score, nps_at)
select distinct on (i.customer_id) $1::uuid, i.customer_id, i.response_id, i.score, i.at
from unnest($2::text[], $3::text[], $4::int[], $5::timestamptz[]) as i(customer_id, response_id, score, at)
order by i.customer_id, i.at desc, i.response_id desc
on conflict (tenant_id, customer_id) do update set
    nps_id = excluded.nps_id, nps_score = excluded.nps_score, nps_at = excluded.nps_at
where v.nps_at is null or (v.nps_at, v.nps_id) < (excluded.nps_at, excluded.nps_id)"""

_SCORE = """insert into views as v (tenant_id, customer_id, score_version, score_value, score_satisfaction,
    score_loyalty, score_advocacy, score_influence, score_model, score_as_of)
select distinct on (i.customer_id) $1::uuid, i.*
from unnest($2::text[], $3::bigint[], $4::float8[], $5::float8[], $6::float8[], $7::float8[], $8::float8[], $9::text[],
    $10::timestamptz[])
    as i(customer_id, version, value, satisfaction, loyalty, advocacy, influence, model, as_of)
order by i.customer_id, i.version desc
on conflict (tenant_id, customer_id) do update set
    score_version = excluded.score_version, score_value = excluded.score_value,
    score_satisfaction = excluded.score_satisfaction, score_loyalty = excluded.score_loyalty,
    score_advocacy = excluded.score_advocacy, score_influence = excluded.score_influence,
    score_model = excluded.score_model, score_as_of = excluded.score_as_of
where v.score_version is null or v.score_version < excluded.score_version"""

_CASE = """insert into customer_cases as c (tenant_id, case_id, customer_id, is_open, opened_at, changed_at, version)
select distinct on (i.case_id) $1::uuid, i.*
from unnest($2::text[], $3::text[], $4::boolean[], $5::timestamptz[], $6::timestamptz[], $7::bigint[])
    as i(case_id, customer_id, is_open, opened_at, changed_at, version)
order by i.case_id, i.version desc
on conflict (tenant_id, case_id) do update set
    is_open = excluded.is_open, opened_at = excluded.opened_at, changed_at = excluded.changed_at,
    version = excluded.version
where c.version < excluded.version"""


async def save_answers(
    conn: asyncpg.Connection,
    tenant_id: uuid.UUID,
    answers: Iterable[tuple[str, str, int, int | None, datetime, datetime]],
) -> None:
    """Keep the latest answer of each customer, by time, then id: (customer, response, metric, score, at, as of)."""
    rows = sorted(answers, key=lambda row: row[:2])
    if not rows:
        return
    named = [(row[0], row[1], _METRICS.get(row[2], ""), *row[3:]) for row in rows]  # type: ignore[call-overload]
    await conn.execute(_ANSWER, tenant_id, *_columns(named))
    scored = [(row[0], row[1], row[3], row[4]) for row in rows if row[2] == Metric.METRIC_NPS and row[3] is not None]
    if scored:
        await conn.execute(_PROMOTER, tenant_id, *_columns(scored))


async def save_scores(conn: asyncpg.Connection, tenant_id: uuid.UUID, scores: Iterable[tuple[Any, ...]]) -> None:
    """Keep the latest score of each customer, by version: customer, version, value, four dimensions, model, as of."""
    if rows := sorted(scores, key=lambda row: row[:2]):
        await conn.execute(_SCORE, tenant_id, *_columns(rows))


async def save_cases(conn: asyncpg.Connection, tenant_id: uuid.UUID, cases: Iterable[tuple[Any, ...]]) -> None:
    """Keep where each case stands, by version: (case, customer, is open, opened at, changed at, version)."""
    if rows := sorted(cases):
        await conn.execute(_CASE, tenant_id, *_columns(rows))


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


async def get_view(conn: AsyncConnection, customer_id: str, now: datetime) -> CustomerView | None:
    """Return the 360 view of one customer, archived or not, or None."""
    row = (await conn.execute(_ONE, {"id": customer_id})).mappings().one_or_none()
    if row is None:
        return None
    facts = domain.facts_of(await list_steps(conn, [customer_id]))
    return _to_proto(row, facts.get(customer_id, domain.Facts()), now)


async def list_views(
    conn: AsyncConnection,
    request: ListCustomersRequest,
    *,
    after: tuple[datetime | None, str] | None,
    limit: int,
    now: datetime,
) -> list[CustomerView]:
    """Return the views asked for, by id; with `updated_after` by the time of the customers' last change, then id.

    Args:
        conn: under the tenant.
        request: its filters; paging is in `after` and `limit`.
        after: the last item shown: time (with `updated_after` only) and id.
        limit: at most so many.
        now: when the lifecycle is worked out for.
    """
    c = tables.customers.c
    query = _filtered(_select(), request)
    if request.HasField("updated_after"):
        query = query.where(c.updated_at > domain.utc(request.updated_after)).order_by(c.updated_at, c.customer_id)
        if after is not None:
            # The first condition is implied by the second, and the one that an index understands.
            query = query.where(c.updated_at >= after[0], sa.tuple_(c.updated_at, c.customer_id) > after)
    else:
        query = query.order_by(c.customer_id)
        if after is not None:
            query = query.where(c.customer_id > after[1])
    rows = (await conn.execute(query.limit(limit))).mappings().all()
    facts = domain.facts_of(await list_steps(conn, [row["customer_id"] for row in rows]))
    return [_to_proto(row, facts.get(row["customer_id"], domain.Facts()), now) for row in rows]


def _filtered(query: sa.Select[Any], request: ListCustomersRequest) -> sa.Select[Any]:
    c, v = tables.customers.c, tables.views.c
    query = query.where(c.archived_at.is_not(None) if request.archived else c.archived_at.is_(None))
    if found := _found(request.q):
        query = query.where(c.customer_id.in_(sa.union(*found)))
    if request.HasField("account_id"):
        query = query.where(c.account_id == request.account_id)
    if request.HasField("min_score"):
        query = query.where(v.score_value >= request.min_score)
    if request.HasField("max_score"):
        query = query.where(v.score_value <= request.max_score)
    return query


def _found(search: str) -> list[sa.Select[Any]]:
    """Return selects of the ids that a search finds, by tokens and by the ids themselves; none for an empty search."""
    t, c = tables.customer_tokens.c, tables.customers.c
    columns = [(t.customer_id, t.token, prefix) for prefix in domain.search_prefixes(search)]
    if own := search.strip():
        columns.append((c.customer_id, c.customer_id, own))
    return [sa.select(found).where(text >= prefix, text < domain.prefix_end(prefix)) for found, text, prefix in columns]


def _select() -> sa.Select[Any]:
    c, v, k = tables.customers, tables.views, tables.customer_cases
    order = [k.c.opened_at, k.c.case_id]
    cases = (
        sa.select(
            sa.func.array_agg(sa.func.coalesce(k.c.case_id), type_=sa.ARRAY(sa.Text))
            .aggregate_order_by(*order)
            .filter(k.c.is_open)
            .label("open_cases"),
            sa.func.max(k.c.changed_at).label("cases_as_of"),
        )
        .where(k.c.tenant_id == c.c.tenant_id, k.c.customer_id == c.c.customer_id)
        .lateral("cases")
    )
    texts = ("goals", "traits", "identities")
    own = [sa.cast(column, sa.Text).label(column.name) if column.name in texts else column for column in c.c]
    joined = c.outerjoin(v, sa.and_(v.c.tenant_id == c.c.tenant_id, v.c.customer_id == c.c.customer_id))
    blocks = [column for column in v.c if column.name not in ("tenant_id", "customer_id")]
    return sa.select(*own, *blocks, cases.c.open_cases, cases.c.cases_as_of).select_from(
        joined.outerjoin(cases, sa.true())
    )


_ONE = _select().where(tables.customers.c.customer_id == sa.bindparam("id"))


def _to_proto(row: Mapping[str, Any], facts: domain.Facts, now: datetime) -> CustomerView:
    view = CustomerView(customer=customer_of(row))
    view.lifecycle.stage = domain.stage_of(row["acquired_at"], facts, now)
    view.lifecycle.as_of.FromDatetime(now)
    if row["score_version"] is not None:
        _add_score(view, row)
    if row["response_id"] is not None:
        _add_feedback(view, row)
    view.open_cases.case_ids.extend(row["open_cases"] or ())
    if row["cases_as_of"] is not None:
        view.open_cases.as_of.FromDatetime(row["cases_as_of"])
    return view


def _add_score(view: CustomerView, row: Mapping[str, Any]) -> None:
    score = view.advocacy_score
    if row["score_value"] is not None:
        score.value = row["score_value"]
    score.satisfaction = row["score_satisfaction"]
    score.loyalty = row["score_loyalty"]
    score.advocacy = row["score_advocacy"]
    score.influence = row["score_influence"]
    score.model_version = row["score_model"]
    score.as_of.FromDatetime(row["score_as_of"])


def _add_feedback(view: CustomerView, row: Mapping[str, Any]) -> None:
    feedback = view.feedback
    feedback.response_id = row["response_id"]
    feedback.metric = row["response_metric"]
    if row["response_score"] is not None:
        feedback.score = row["response_score"]
    feedback.at.FromDatetime(row["response_at"])
    if row["nps_score"] is not None:
        feedback.nps_category = domain.category_of(row["nps_score"])
    feedback.as_of.FromDatetime(row["feedback_as_of"])
