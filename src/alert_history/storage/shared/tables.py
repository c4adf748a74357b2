"""The tables as SQLAlchemy sees them. The migrations create the tables.

Both databases have the same tables and columns, with two differences. SQLite keeps times as integers (microseconds
since 1970, UTC) and JSON as text. The key of its `alerts` and `events` is a number in the order of `timestamp`, so new
rows always land on the same few pages. Not here are the tables that one database alone has: `alert_terms` and
`standings_new` of SQLite, `target_turns` of PostgreSQL.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import DateTime, TypeDecorator, TypeEngine

from alert_history.domain.classification import Verdict
from alert_history.domain.microseconds import from_us, to_us

SCHEMA_HEAD = "0019"
"""The newest migration; a test compares it with Alembic. It stands here because importing Alembic takes 150 ms."""


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
        """The value of a time in the database."""
        if value is None or dialect.name != "sqlite":
            return value
        return to_us(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:  # noqa: ARG002  # SQLAlchemy's shape
        """Makes times of what SQLite returns; the driver of PostgreSQL returns times already."""
        if dialect.name != "sqlite":
            return None
        return lambda value: from_us(value) if isinstance(value, int) else value


class Json(TypeDecorator[Any]):
    """`jsonb` on PostgreSQL, text on SQLite. A value comes back as `read_as`; None is the `null` of JSON."""

    impl = Text
    cache_ok = True

    def __init__(self, read_as: Any = Any) -> None:
        super().__init__()
        self.read_as = read_as

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The column type of each database."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else JSONB())

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], str]:  # noqa: ARG002  # both take text
        """A value as JSON text."""
        return lambda value: msgspec.json.encode(value).decode()

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:  # noqa: ARG002  # as above
        """The value in a JSON text; None for NULL, where a join found no row."""
        decode = msgspec.json.Decoder(self.read_as).decode
        return lambda text: None if text is None else decode(text)


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
    Column("imported_at", UtcTime),
    Column("import_id", Text),
)

RARE_ALERT_COLUMNS = frozenset({"joined_into", "imported_at", "import_id"})
"""Columns of `alerts` that a recorder never fills."""

standings = Table(
    "standings",
    metadata,
    Column("fingerprint", Text, primary_key=True),
    Column("standing", Text, nullable=False),
    Column("closed_at", UtcTime),
    Column("conflict_at", UtcTime),
)
"""On SQLite new standings wait in `standings_new`, which has these columns and a number: see `sqlite.standing_log`."""

groups_seen = Table(
    "groups_seen",
    metadata,
    Column("id", Text, primary_key=True),
    Column("last_at", UtcTime, nullable=False),
    Column("seen", Text, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("key", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("receipt_id", Text),
    Column("detail", _JSON),
)
"""What both databases have. Before it PostgreSQL has `fingerprint` and `starts_at`, SQLite `alert_id` instead."""

silences = Table(
    "silences",
    metadata,
    Column("id", Text, primary_key=True),
    Column("matchers", _JSON, nullable=False),
    Column("starts_at", UtcTime, nullable=False),
    Column("ends_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("comment", Text, nullable=False),
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

settings = Table(
    "settings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Json, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Text, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("detail", Json, nullable=False),
    Column("from_address", Text),
    Column("outcome", Text),
    Column("day", Text),
    Column("replica", Text),
    Column("position", BigInteger),
    Column("digest", Text),
)

audit_days = Table(
    "audit_days",
    metadata,
    Column("number", BigInteger, primary_key=True),
    Column("day", Text, nullable=False),
    Column("replica", Text, nullable=False),
    Column("follows", Text, nullable=False),
    Column("entries", BigInteger, nullable=False),
    Column("first_digest", Text, nullable=False),
    Column("last_digest", Text, nullable=False),
    Column("dropped_at", UtcTime),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("scopes", Json(list[str]), nullable=False),
    Column("match", Text, nullable=False),
    Column("ingest_scope", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", UtcTime),
    Column("last_used_at", UtcTime),
    Column("revoked_at", UtcTime),
)

sign_ins = Table(
    "sign_ins",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("actor", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("scopes", Json(list[str]), nullable=False),
    Column("match", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("detail", Json, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
)

classifications = Table(
    "classifications",
    metadata,
    Column("id", Text, primary_key=True),
    Column("shape", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("source", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("tokens", Integer, nullable=False),
    Column("cost_usd", Double, nullable=False),
    Column("verdict", Json(Verdict), nullable=False),
)

classification_claims = Table(
    "classification_claims",
    metadata,
    Column("shape", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("until", UtcTime, nullable=False),
)

unusable_answers = Table(
    "unusable_answers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("model", Text, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("cost_usd", Double, nullable=False),
)


acts = Table(
    "acts",
    metadata,
    Column("fingerprint", Text, primary_key=True),
    Column("starts_at", UtcTime, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("alertname", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("namespace", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("kind", Text, nullable=False),
    Column("by", Text, nullable=False, quote=True),
    Column("text", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("external_id", Text),
)

incidents_seen = Table(
    "incidents_seen",
    metadata,
    Column("source", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("starts_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
)


def _delivery_columns() -> list[Column[Any]]:
    """The columns of both tables: of waiting and of settled deliveries."""
    return [
        Column("id", Text, primary_key=True),
        Column("fingerprint", Text, nullable=False),
        Column("starts_at", UtcTime, nullable=False),
        Column("target", Text, nullable=False),
        Column("event_key", BigInteger, nullable=False),
        Column("event", Text, nullable=False),
        Column("receipt_id", Text),
        Column("state", Text, nullable=False),
        Column("created_at", UtcTime, nullable=False),
        Column("due_at", UtcTime, nullable=False),
        Column("lease_until", UtcTime),
        Column("attempts", Integer, nullable=False),
        Column("log", Json(list[dict[str, Any]]), nullable=False),
        Column("external_id", Text),
        Column("settled_at", UtcTime),
        Column("shape", Text),
        Column("enrichment", Text),
    ]


delivery_queue = Table("delivery_queue", metadata, *_delivery_columns())
"""Deliveries that wait or are leased, and no others, so that a lease costs the same however many were delivered."""

deliveries = Table("deliveries", metadata, *_delivery_columns())
"""Settled deliveries, which came from `delivery_queue`: delivered, superseded or dead. PostgreSQL parts them by week.

Lists of deliveries read both tables; a replay moves a dead letter back.
"""

search_segments = Table(
    "search_segments",
    metadata,
    Column("first_at", UtcTime, primary_key=True),
    Column("until_at", UtcTime, nullable=False),
    Column("starts_from", UtcTime, nullable=False),
    Column("starts_to", UtcTime, nullable=False),
    Column("row_count", Integer, nullable=False),
    Column("complete", Text, nullable=False),
    Column("grams", LargeBinary, nullable=False),
)

search_strays = Table(
    "search_strays",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("at", UtcTime, nullable=False),
)

label_names = Table(
    "label_names",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value_count", Integer, nullable=False),
)

label_values = Table(
    "label_values",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, primary_key=True),
)

rollup_log = Table(
    "rollup_log",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("entry", LargeBinary),
    Column("target", Text),
    Column("outcome", Text),
    Column("settled_at", UtcTime),
    Column("number", Integer),
)
"""What each transaction changes in the numbers, until it is in `rollups`.

An `entry` is about occurrences, as `domain.counting` writes it. Without one, so many deliveries were settled.
"""


def _sum_columns() -> list[Column[Any]]:
    return [
        Column("begun", Integer, nullable=False),
        Column("repeats", BigInteger, nullable=False),
        Column("ended", Integer, nullable=False),
        Column("short", Integer, nullable=False),
        Column("again", Integer, nullable=False),
        Column("length_us", BigInteger, nullable=False),
    ]


def _rollup_columns() -> list[Column[Any]]:
    return [
        Column("dimension", Text, primary_key=True),
        Column("day", Integer, primary_key=True),
        Column("value", Text, primary_key=True),
        *_sum_columns(),
        Column("minutes", LargeBinary, nullable=False),
        Column("moves", LargeBinary, nullable=False),
        Column("lengths", LargeBinary, nullable=False),
    ]


def _again_columns() -> list[Column[Any]]:
    return [
        Column("day", Integer, primary_key=True),
        Column("fingerprint", Text, primary_key=True),
        Column("alertname", Text, nullable=False),
        Column("number", Integer, nullable=False),
    ]


rollups = Table("rollups", metadata, *_rollup_columns())
"""The numbers of the history, as `domain.tally` explains them. `day` is in days since 1970, UTC."""

rollup_again = Table("rollup_again", metadata, *_again_columns())
"""How often a label set began again soon after its end: whoever looks for flapping looks at these alone."""

rollup_blocks = Table(
    "rollup_blocks",
    metadata,
    Column("days", Integer, primary_key=True),
    Column("first_day", Integer, primary_key=True),
    Column("dimension", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    *_sum_columns(),
)
"""The plain sums of `rollups` over blocks of days, see `domain.day_blocks`."""

rollup_sealed = Table(
    "rollup_sealed",
    metadata,
    Column("days", Integer, primary_key=True),
    Column("first_day", Integer, primary_key=True),
)
"""The blocks whose sums are in `rollup_blocks`. Of another block there is none."""

rollups_new = Table("rollups_new", metadata, *_rollup_columns())
rollup_again_new = Table("rollup_again_new", metadata, *_again_columns())
"""Where a new count is put together."""

label_name_counts = Table(
    "label_name_counts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("occurrences", BigInteger, nullable=False),
    Column("value_count", Integer, nullable=False),
    Column("other_occurrences", BigInteger, nullable=False),
)
"""`value_count` are the values in `label_value_counts`; `other_occurrences` have a value beyond the bound of that."""

label_value_counts = Table(
    "label_value_counts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("occurrences", BigInteger, nullable=False),
)

news_log = Table(
    "news_log",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("news", LargeBinary, nullable=False),
)
"""The news of each transaction, as `domain.news` writes it, until it has its numbers."""

feed = Table(
    "feed",
    metadata,
    Column("position", BigInteger, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("number", Integer, nullable=False),
    Column("news", LargeBinary, nullable=False),
)
"""News with its numbers. `position` is the number of the last in a row, `number` how many there are."""

alert_texts = tuple(type_coerce(alerts.c[name], Json(dict[str, str])).label(name) for name in ("labels", "annotations"))
"""The labels and annotations of an alert, as maps of text in the rows of a statement."""

imports = Table(
    "imports",
    metadata,
    Column("id", Text, primary_key=True),
    Column("origin", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("by", Text, nullable=False, quote=True),
    Column("phase", Text, nullable=False),
    Column("share", Double),
    Column("beat_at", UtcTime),
    Column("finished_at", UtcTime),
    Column("fault", Text),
    Column("counts", Json, nullable=False),
    Column("oldest", UtcTime),
    Column("newest", UtcTime),
    Column("reasons", Json, nullable=False),
)

import_corrections = Table(
    "import_corrections",
    metadata,
    Column("import_id", Text, primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    Column("starts_at", UtcTime, primary_key=True),
    Column("what", Text, primary_key=True),
    Column("before", Json, nullable=False),
    Column("after", Json, nullable=False),
)

import_refusals = Table(
    "import_refusals",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("import_id", Text, nullable=False),
)

import_files = Table(
    "import_files",
    metadata,
    Column("import_id", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("place", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("rows", BigInteger, nullable=False, quote=True),
    Column("again", Json(list[int]), nullable=False),
    Column("changes", LargeBinary),
)

configuration_versions = Table(
    "configuration_versions",
    metadata,
    Column("cluster", Text, primary_key=True),
    Column("since", UtcTime, primary_key=True),
    Column("seen_at", UtcTime, nullable=False),
    Column("original", LargeBinary, nullable=False),
    Column("facts", Json(dict[str, Any]), nullable=False),
)
"""What Alertmanagers said of their configuration. `original` is compressed; its secrets were masked before."""

silence_versions = Table(
    "silence_versions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("updated_at", UtcTime, primary_key=True),
    Column("cluster", Text, primary_key=True),
    Column("matchers", Json(list[list[dict[str, str]]]), nullable=False),
    Column("starts_at", UtcTime, nullable=False),
    Column("ends_at", UtcTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("known_at", UtcTime, nullable=False),
)
"""Silences as they stood from `updated_at` on, to the millisecond. `cluster` is empty where it is not known."""

late_ends = Table(
    "late_ends",
    metadata,
    Column("length", Integer, primary_key=True),
    Column("ends_at", UtcTime, primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    Column("starts_at", UtcTime, primary_key=True),
    Column("until_at", UtcTime, nullable=False),
)
"""Ends of occurrences of which we learnt late: from `ends_at` on one may have fired, until `until_at`, when we learnt.

`length` is the class of that span, see `domain.firing_spans`.
"""
