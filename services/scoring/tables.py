"""SQLAlchemy Core tables, mirroring `migrations/`."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

metadata = sa.MetaData()

signals = sa.Table(
    "signals",
    metadata,
    sa.Column("tenant_id", pg.UUID(as_uuid=True), nullable=False),
    sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("counts_from", sa.DateTime(timezone=True), nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("weight_micros", sa.Integer, nullable=False),
    sa.Column("dimension", sa.SmallInteger, nullable=False),
    sa.Column("customer_id", sa.Text, nullable=False),
    sa.Column("signal", sa.Text, nullable=False),
    sa.Column("source_kind", sa.Text, nullable=False),
    sa.Column("source_id", sa.Text, nullable=False),
    sa.Index("signals_customer", "tenant_id", "customer_id"),
    postgresql_partition_by="RANGE (recorded_at)",
)

voids = sa.Table(
    "voids",
    metadata,
    sa.Column("tenant_id", pg.UUID(as_uuid=True), primary_key=True),
    sa.Column("source_kind", sa.Text, primary_key=True),
    sa.Column("source_id", sa.Text, primary_key=True),
    sa.Column("voided_at", sa.DateTime(timezone=True), nullable=False),
)

customers = sa.Table(
    "customers",
    metadata,
    sa.Column("tenant_id", pg.UUID(as_uuid=True), primary_key=True),
    sa.Column("customer_id", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("known", sa.Boolean, nullable=False),
    sa.Column("account_id", sa.Text),
    sa.Column("acquired_at", sa.DateTime(timezone=True)),
    sa.Column("archived_at", sa.DateTime(timezone=True)),
    sa.Column("locale", sa.Text),
    sa.Column("timezone", sa.Text),
    sa.Column("preferred_channel", sa.Text),
)

scores = sa.Table(
    "scores",
    metadata,
    sa.Column("tenant_id", pg.UUID(as_uuid=True), primary_key=True),
    sa.Column("customer_id", sa.Text, primary_key=True),
    sa.Column("value_micros", sa.Integer),
    sa.Column("satisfaction_micros", sa.BigInteger, nullable=False),
    sa.Column("loyalty_micros", sa.BigInteger, nullable=False),
    sa.Column("advocacy_micros", sa.BigInteger, nullable=False),
    sa.Column("influence_micros", sa.BigInteger, nullable=False),
    sa.Column("model_version", sa.Text, nullable=False),
    sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("moves_on", sa.Date),
    sa.Index("scores_drift", "tenant_id", "moves_on", postgresql_where=sa.text("moves_on is not null")),
)
