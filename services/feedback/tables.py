"""The tables of the feedback service, as `migrations/` makes them; delivery's own tables are not among them."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP, UUID

metadata = sa.MetaData()

_AT = TIMESTAMP(timezone=True)


def _tenant() -> sa.Column[object]:
    return sa.Column("tenant_id", UUID(as_uuid=True), primary_key=True)


surveys = sa.Table(
    "surveys",
    metadata,
    _tenant(),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("metric", sa.Text, nullable=False),
    sa.Column("kind", sa.Text),
    sa.Column("scale", sa.Text),
    sa.Column("question", sa.Text),
    sa.Column("follow_up", sa.Text),
    sa.Column("locales", ARRAY(sa.Text), nullable=False),
    sa.Column("moment", sa.Text),
    sa.Column("created_at", _AT, nullable=False),
    sa.Column("updated_at", _AT, nullable=False),
    sa.Column("archived_at", _AT),
)

responses = sa.Table(
    "responses",
    metadata,
    _tenant(),
    sa.Column("response_id", sa.Text, primary_key=True),
    sa.Column("recorded_at", _AT, primary_key=True),
    sa.Column("received_at", _AT, nullable=False),
    sa.Column("occurred_at", _AT, nullable=False),
    sa.Column("history", sa.Boolean, nullable=False),
    sa.Column("customer_id", sa.Text),
    sa.Column("survey", sa.Text),
    sa.Column("metric", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("scale", sa.Text, nullable=False),
    sa.Column("score", sa.SmallInteger),
    sa.Column("verbatim", sa.Text),
    sa.Column("moment", sa.Text),
    sa.Column("channel", sa.Text),
    sa.Column("solicited", sa.Boolean),
    sa.Column("invitation_id", sa.Text),
    sa.Column("activity_id", sa.Text),
    sa.Column("staff_id", sa.Text),
    sa.Column("contact_ok", sa.Boolean),
    sa.Index("responses_occurred", "tenant_id", "occurred_at", "response_id"),
    sa.Index(
        "responses_customer",
        "tenant_id",
        "customer_id",
        "occurred_at",
        "response_id",
        postgresql_where=sa.text("customer_id is not null"),
    ),
    postgresql_partition_by="range (recorded_at)",
)

mentions = sa.Table(
    "mentions",
    metadata,
    _tenant(),
    sa.Column("mention_id", sa.Text, primary_key=True),
    sa.Column("recorded_at", _AT, primary_key=True),
    sa.Column("received_at", _AT, nullable=False),
    sa.Column("occurred_at", _AT, nullable=False),
    sa.Column("history", sa.Boolean, nullable=False),
    sa.Column("customer_id", sa.Text),
    sa.Column("site", sa.Text),
    sa.Column("author", sa.Text),
    sa.Column("text", sa.Text),
    sa.Column("reach", sa.BigInteger),
    sa.Column("campaign", sa.Text),
    sa.Index("mentions_occurred", "tenant_id", "occurred_at", "mention_id"),
    sa.Index(
        "mentions_customer",
        "tenant_id",
        "customer_id",
        "occurred_at",
        "mention_id",
        postgresql_where=sa.text("customer_id is not null"),
    ),
    sa.Index(
        "mentions_campaign",
        "tenant_id",
        "campaign",
        "occurred_at",
        "mention_id",
        postgresql_where=sa.text("campaign is not null"),
    ),
    postgresql_partition_by="range (recorded_at)",
)


cases = sa.Table(
    "cases",
    metadata,
    _tenant(),
    sa.Column("case_id", sa.Text, primary_key=True),
    sa.Column("customer_id", sa.Text),
    sa.Column("team", sa.Text, nullable=False),
    sa.Column("owner", sa.Text),
    sa.Column("urgency", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("confirmation", sa.Text),
    sa.Column("root_cause", sa.Text),
    sa.Column("do_not_contact", sa.Boolean, nullable=False),
    sa.Column("external_ref", sa.Text),
    sa.Column("external_url", sa.Text),
    sa.Column("opened_at", _AT, nullable=False),
    sa.Column("updated_at", _AT, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("due_at", _AT),
    sa.Index(
        "cases_open",
        "tenant_id",
        "customer_id",
        unique=True,
        postgresql_where=sa.text("state not in ('closed', 'suppressed')"),
    ),
    sa.Index("cases_customer", "tenant_id", "customer_id", "case_id"),
    sa.Index("cases_state", "tenant_id", "state", "case_id"),
    sa.Index("cases_due", "tenant_id", "due_at", postgresql_where=sa.text("due_at is not null")),
    sa.Index("cases_updated", "tenant_id", "updated_at"),
    sa.Index("cases_external", "tenant_id", "external_ref", postgresql_where=sa.text("external_ref is not null")),
    sa.Index("cases_owner", "tenant_id", "owner", "case_id", postgresql_where=sa.text("owner is not null")),
)

triggers = sa.Table(
    "triggers",
    metadata,
    _tenant(),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("at", _AT, nullable=False),
    sa.Column("case_id", sa.Text),
    sa.Column("reason", sa.Text),
    sa.CheckConstraint("num_nonnulls(case_id, reason) = 1", name="triggers_case_or_reason"),
    sa.Index("triggers_case", "tenant_id", "case_id", postgresql_where=sa.text("case_id is not null")),
    sa.Index("triggers_id", "tenant_id", "id", postgresql_where=sa.text("case_id is not null")),
    sa.Index("triggers_suppressed", "tenant_id", "at", "id", postgresql_where=sa.text("reason is not null")),
)

contacts = sa.Table(
    "contacts",
    metadata,
    _tenant(),
    sa.Column("case_id", sa.Text, primary_key=True),
    sa.Column("num", sa.Integer, primary_key=True),
    sa.Column("at", _AT, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
)

case_steps = sa.Table(
    "case_steps",
    metadata,
    _tenant(),
    sa.Column("case_id", sa.Text, primary_key=True),
    sa.Column("num", sa.Integer, primary_key=True),
    sa.Column("from_state", sa.Text),
    sa.Column("to_state", sa.Text, nullable=False),
    sa.Column("at", _AT, nullable=False),
    sa.Column("by", sa.Text),
    sa.Column("note", sa.Text),
)

customer_accounts = sa.Table(
    "customer_accounts",
    metadata,
    _tenant(),
    sa.Column("customer_id", sa.Text, primary_key=True),
    sa.Column("account_id", sa.Text),
    sa.Column("version", sa.BigInteger, nullable=False),
)
