"""The tables of the profile service, as `migrations/` makes them; delivery's own tables are not among them."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP, UUID

metadata = sa.MetaData()

_AT = TIMESTAMP(timezone=True)
_ID = sa.Text(collation="C")


def _tenant() -> sa.Column[object]:
    return sa.Column("tenant_id", UUID(as_uuid=True), primary_key=True)


customers = sa.Table(
    "customers",
    metadata,
    _tenant(),
    sa.Column("customer_id", _ID, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("email", sa.Text),
    sa.Column("phone", sa.Text),
    sa.Column("locale", sa.Text),
    sa.Column("timezone", sa.Text),
    sa.Column("account_id", _ID),
    sa.Column("role", sa.Text),
    sa.Column("preferred_channel", sa.Text),
    sa.Column("acquired_at", _AT),
    sa.Column("goals", JSONB),
    sa.Column("traits", JSONB),
    sa.Column("identities", JSONB, nullable=False, server_default=sa.text("'[]'")),
    sa.Column("source", sa.Text),
    sa.Column("source_updated_at", _AT),
    sa.Column("known", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("archived_at", _AT),
    sa.Column("created_at", _AT, nullable=False),
    sa.Column("updated_at", _AT, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False, server_default="0"),
    sa.Index("customers_updated", "tenant_id", "updated_at", "customer_id"),
    sa.Index(
        "customers_account",
        "tenant_id",
        "account_id",
        "customer_id",
        postgresql_where=sa.text("account_id is not null"),
    ),
    sa.Index("customers_archived", "tenant_id", "customer_id", postgresql_where=sa.text("archived_at is not null")),
)

customer_tokens = sa.Table(
    "customer_tokens",
    metadata,
    _tenant(),
    sa.Column("token", _ID, primary_key=True),
    sa.Column("customer_id", _ID, primary_key=True),
)

activities = sa.Table(
    "activities",
    metadata,
    _tenant(),
    sa.Column("activity_id", _ID, primary_key=True),
    sa.Column("recorded_at", _AT, primary_key=True),
    sa.Column("received_at", _AT, nullable=False),
    sa.Column("occurred_at", _AT, nullable=False),
    sa.Column("history", sa.Boolean, nullable=False),
    sa.Column("customer_id", _ID),
    sa.Column("device_id", _ID),
    sa.Column("account_id", _ID),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("channel", sa.Text),
    sa.Column("source", sa.Text),
    sa.Column("staff_id", sa.Text),
    sa.Column("team", sa.Text),
    sa.Column("site", sa.Text),
    sa.Column("moment", sa.Text),
    sa.Column("value", sa.Double),
    sa.Column("amount_minor", sa.BigInteger),
    sa.Column("currency", sa.Text),
    sa.Column("solicited", sa.Boolean),
    sa.Column("incentivised", sa.Boolean),
    sa.Column("verified", sa.Boolean),
    sa.Column("ask_id", sa.Text),
    sa.Column("incentive", sa.Text),
    sa.Column("evidence_url", sa.Text),
    sa.Column("has_act", sa.Boolean, nullable=False),
    sa.Column("properties", JSONB),
    sa.Index("activities_occurred", "tenant_id", "occurred_at", "activity_id"),
    sa.Index(
        "activities_customer",
        "tenant_id",
        "customer_id",
        "occurred_at",
        "activity_id",
        postgresql_where=sa.text("customer_id is not null"),
    ),
    postgresql_partition_by="range (recorded_at)",
)

voids = sa.Table(
    "voids",
    metadata,
    _tenant(),
    sa.Column("activity_id", _ID, primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("voided_at", _AT, nullable=False),
)

views = sa.Table(
    "views",
    metadata,
    _tenant(),
    sa.Column("customer_id", _ID, primary_key=True),
    sa.Column("response_id", _ID),
    sa.Column("response_metric", sa.Text),
    sa.Column("response_score", sa.SmallInteger),
    sa.Column("response_at", _AT),
    sa.Column("feedback_as_of", _AT),
    sa.Column("nps_id", _ID),
    sa.Column("nps_score", sa.SmallInteger),
    sa.Column("nps_at", _AT),
    sa.Column("score_version", sa.BigInteger),
    sa.Column("score_value", sa.Double),
    sa.Column("score_satisfaction", sa.Double),
    sa.Column("score_loyalty", sa.Double),
    sa.Column("score_advocacy", sa.Double),
    sa.Column("score_influence", sa.Double),
    sa.Column("score_model", sa.Text),
    sa.Column("score_as_of", _AT),
    sa.Index(
        "views_score",
        "tenant_id",
        "score_value",
        "customer_id",
        postgresql_where=sa.text("score_value is not null"),
    ),
)

customer_cases = sa.Table(
    "customer_cases",
    metadata,
    _tenant(),
    sa.Column("case_id", _ID, primary_key=True),
    sa.Column("customer_id", _ID, nullable=False),
    sa.Column("is_open", sa.Boolean, nullable=False),
    sa.Column("opened_at", _AT, nullable=False),
    sa.Column("changed_at", _AT, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Index("customer_cases_customer", "tenant_id", "customer_id", "opened_at", "case_id"),
)
