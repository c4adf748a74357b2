"""The tables as SQLAlchemy sees them: what the reads are built from. The migrations create them.

Both databases have the same tables and columns, with two differences: SQLite keeps times as integers
(microseconds since 1970, UTC) and JSON as text, and its `alerts` and `events` have a number of their own
as key, whose order is that of `timestamp`, so that new rows always land on the same few pages.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import DateTime, TypeDecorator, TypeEngine

from alert_history.domain.microseconds import to_us

SCHEMA_HEAD = "0008"
"""The newest migration; a test holds it to what Alembic finds. Kept here because importing Alembic takes 150 ms."""


class UtcTime(TypeDecorator[datetime]):
    """`timestamptz` on PostgreSQL, integer microseconds on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The column type of each database."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """A time as the database wants it."""
        if value is None or dialect.name != "sqlite":
            return value
        return to_us(value)


_JSON = JSONB().with_variant(Text(), "sqlite")

metadata = MetaData()

receipts = Table(
    "receipts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("received_at", UtcTime, nullable=False),
    Column("path", Text, nullable=False),
    Column("publish", Boolean, nullable=False),
    Column("source", Text, nullable=False),
    Column("receiver", Text, nullable=False),
    Column("group_key", Text, nullable=False),
    Column("external_url", Text, nullable=False),
    Column("received", Integer, nullable=False),
    Column("quarantined", Integer, nullable=False),
    Column("truncated_alerts", Integer, nullable=False),
    Column("details", _JSON, nullable=False),
    Column("body_sha256", LargeBinary, nullable=False),
    Column("body_bytes", Integer, nullable=False),
)

receipt_bodies = Table(
    "receipt_bodies",
    metadata,
    Column("received_on", UtcTime, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

alerts = Table(
    "alerts",
    metadata,
    Column("fingerprint", Text, nullable=False),
    Column("starts_at", UtcTime, nullable=False),
    Column("timestamp", UtcTime, nullable=False),
    Column("alertname", Text, nullable=False),
    Column("namespace", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("labels", _JSON, nullable=False),
    Column("annotations", _JSON, nullable=False),
    Column("ends_at", UtcTime),
    Column("expires_at", UtcTime),
    Column("last_received_at", UtcTime, nullable=False),
    Column("repeat_count", Integer, nullable=False),
    Column("event_count", Integer, nullable=False),
    Column("content_hash", BigInteger, nullable=False),
    Column("generator_url", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("receiver", Text, nullable=False),
    Column("details", _JSON),
    Column("is_published", Boolean, nullable=False),
    Column("began_at", UtcTime),
    Column("ended_by", Text),
    Column("confirmed_at", UtcTime),
    Column("unconfirmed", Text),
    Column("claim", BigInteger),
    Column("joined_into", UtcTime),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Text, primary_key=True),
    Column("received_at", UtcTime, nullable=False),
    Column("receipt_id", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("receiver", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),
)
