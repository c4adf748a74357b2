"""The statements of the hot path on PostgreSQL. Each takes arrays, one element for each row, keys sorted."""

from collections.abc import Collection

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql

from alert_history.storage.shared import tables

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


def _columns(table: Table, *, but: Collection[str] = ()) -> dict[str, str]:
    """The columns of a table, in its order, each with its type here; without those that `but` names."""
    return {
        column.name: column.type.compile(dialect=_DIALECT).lower() for column in table.columns if column.name not in but
    }


ALERT_COLUMNS = _columns(tables.alerts, but=tables.RARE_ALERT_COLUMNS)
STANDING_COLUMNS = _columns(tables.standings)
EVENT_COLUMNS = {"fingerprint": "text", "starts_at": "timestamptz"} | _columns(tables.events)
QUEUE_COLUMNS = {
    "id": "text",
    "fingerprint": "text",
    "starts_at": "timestamptz",
    "target": "text",
    "event_key": "bigint",
    "event": "text",
    "receipt_id": "text",
    "state": "text",
    "created_at": "timestamptz",
    "due_at": "timestamptz",
    "shape": "text",
    "enrichment": "text",
}
RECEIPT_COLUMNS = _columns(tables.receipts)
BODY_COLUMNS = _columns(tables.receipt_bodies)
ROLLUP_COLUMNS = {"entry": "bytea"}
NEWS_COLUMNS = {"number": "int", "news": "bytea"}
QUARANTINE_COLUMNS = _columns(tables.quarantine)
SILENCE_COLUMNS = _columns(tables.silences)


def insert(table: str, columns: dict[str, str], end: str = "", *, first: int = 1) -> str:
    """INSERT … SELECT FROM unnest: JSON goes over the wire as text, and the server casts it.

    `first` is the number of its first parameter.
    """
    names = ", ".join(f'"{name}"' for name in columns)
    wire = ("text" if kind == "jsonb" else kind for kind in columns.values())
    arrays = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(wire, start=first))
    picked = ", ".join(f'u."{name}"::jsonb' if kind == "jsonb" else f'u."{name}"' for name, kind in columns.items())
    return f"INSERT INTO {table} ({names}) SELECT {picked} FROM unnest({arrays}) AS u({names}) {end}"


UPSERT_STANDINGS = insert(
    "standings",
    STANDING_COLUMNS,
    """ON CONFLICT (fingerprint) DO UPDATE SET standing = excluded.standing, closed_at = excluded.closed_at,
    conflict_at = excluded.conflict_at""",
)
NEW_STANDING_COLUMNS = {name: STANDING_COLUMNS[name] for name in ("fingerprint", "standing", "closed_at")}
INSERT_STANDINGS = insert("standings", NEW_STANDING_COLUMNS, "ON CONFLICT DO NOTHING")
OWN_STANDINGS = (
    "SELECT fingerprint FROM standings WHERE fingerprint = ANY($1::text[]) AND xmin = pg_current_xact_id()::xid"
)
INSERT_NOTES = insert(
    "events", EVENT_COLUMNS, "ON CONFLICT DO NOTHING RETURNING receipt_id, fingerprint, starts_at, key"
)
_INSERT_BODIES = insert("receipt_bodies", BODY_COLUMNS, "ON CONFLICT DO NOTHING", first=1 + len(RECEIPT_COLUMNS))
INSERT_RECEIPTS = f"WITH bodies AS ({_INSERT_BODIES}) {insert('receipts', RECEIPT_COLUMNS)}"
"""Receipts and new bodies in one statement: each round trip counts."""

INSERT_ROLLUP = "INSERT INTO rollup_log (entry) VALUES ($1)"
INSERT_NEWS = "INSERT INTO news_log (number, news) VALUES ($1, $2)"
INSERT_QUARANTINE = insert("quarantine", QUARANTINE_COLUMNS)
UPSERT_SILENCES = insert(
    "silences",
    SILENCE_COLUMNS,
    """ON CONFLICT (id) DO UPDATE SET matchers = excluded.matchers, starts_at = excluded.starts_at,
    ends_at = excluded.ends_at, updated_at = excluded.updated_at, created_by = excluded.created_by,
    comment = excluded.comment WHERE silences.updated_at < excluded.updated_at""",
)

# A plain repeat needs no decision, so it costs one narrow statement and no read: a repeat of the only claim that holds
# an occurrence open, or of the word that ended it. A first-hand sender repeats at least half a resend delay after its
# last word; sooner, two senders may look like one. It is counted by the receiver that is remembered, so the occurrence
# must have that receiver still.
REPEAT_COLUMNS = {
    "fingerprint": "text",
    "starts_at": "timestamptz",
    "status": "text",
    "claim": "bigint",
    "content_hash": "bigint",
    "received_at": "timestamptz",
    "expires_at": "timestamptz",
    "repeats": "int",
    "is_to_publish": "bool",
    "not_since": "timestamptz",
    "receiver": "text",
}


def count_repeats(*, first: int = 1, where: str = "") -> str:
    """The statement that counts plain repeats; `first` is the number of its first parameter."""
    arrays = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(REPEAT_COLUMNS.values(), start=first))
    return f"""
UPDATE alerts a SET
    last_received_at = greatest(a.last_received_at, u.received_at),
    repeat_count = a.repeat_count + u.repeats,
    expires_at = greatest(a.expires_at, u.expires_at),
    confirmed_at = CASE WHEN a.status = 'firing' THEN NULL ELSE a.confirmed_at END
FROM unnest({arrays}) AS u({", ".join(REPEAT_COLUMNS)})
WHERE a.fingerprint = u.fingerprint AND a.starts_at = u.starts_at
    AND a.status = u.status AND a.claim = u.claim AND a.content_hash = u.content_hash
    AND (a.is_published OR NOT u.is_to_publish) AND a.last_received_at <= u.not_since
    AND a.receiver = u.receiver {where}
RETURNING a.fingerprint
"""


COUNT_REPEATS = count_repeats()

LOCK_STANDINGS = """
SELECT s.fingerprint, s.standing FROM standings s JOIN unnest($1::text[]) AS u(fingerprint)
    ON s.fingerprint = u.fingerprint
FOR UPDATE OF s
"""
# Leaves out locked rows; NOWAIT would be an error in the log of PostgreSQL each time two replicas meet.
LOCK_FREE_STANDINGS = f"{LOCK_STANDINGS} SKIP LOCKED"
KNOWN_STANDINGS = "SELECT fingerprint FROM standings WHERE fingerprint = ANY($1::text[])"

LOCK_ALERTS = """
SELECT a.fingerprint, a.starts_at, a.status, a.content_hash, a.annotations, a.ends_at, a.expires_at,
    a.last_received_at, a.repeat_count, a.event_count, a.is_published, a.began_at, a.ended_by, a.confirmed_at,
    a.unconfirmed, a.claim, a.receiver, a.generator_url, a.timestamp, a.alertname, a.severity, a.namespace, a.source,
    a.joined_into
FROM alerts a JOIN unnest($1::text[], $2::timestamptz[]) AS u(fingerprint, starts_at)
    ON a.fingerprint = u.fingerprint AND a.starts_at = u.starts_at
FOR UPDATE OF a
"""

LOCK_FREE_ALERTS = f"{LOCK_ALERTS} SKIP LOCKED"

WHOLE_ALERTS = """
SELECT a.* FROM alerts a JOIN unnest($1::text[], $2::timestamptz[]) AS u(fingerprint, starts_at)
    ON a.fingerprint = u.fingerprint AND a.starts_at = u.starts_at
"""

NEWEST_ALERTS = """
SELECT n.* FROM unnest($1::text[]) AS u(fingerprint) CROSS JOIN LATERAL (
    SELECT * FROM alerts a WHERE a.fingerprint = u.fingerprint ORDER BY a.starts_at DESC LIMIT 4) n
ORDER BY n.fingerprint, n.starts_at
"""

# By fingerprint, however many alerts the planner believes to fire: a concatenated column has no index.
OPEN_GRAFANA = """
SELECT DISTINCT a.fingerprint FROM alerts a
WHERE a.fingerprint = ANY($1::text[]) AND a.status || '' = 'firing' AND a.source = 'grafana'
"""

UPDATE_ALERTS = """
UPDATE alerts a SET status = u.status, content_hash = u.content_hash, annotations = u.annotations::jsonb,
    ends_at = u.ends_at, expires_at = u.expires_at, last_received_at = u.last_received_at,
    repeat_count = u.repeat_count, event_count = u.event_count, is_published = u.is_published, began_at = u.began_at,
    ended_by = u.ended_by, confirmed_at = u.confirmed_at, unconfirmed = u.unconfirmed, claim = u.claim,
    receiver = u.receiver, generator_url = u.generator_url
FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::bigint[], $5::text[], $6::timestamptz[],
        $7::timestamptz[], $8::timestamptz[], $9::int[], $10::int[], $11::bool[], $12::timestamptz[], $13::text[],
        $14::timestamptz[], $15::text[], $16::bigint[], $17::text[], $18::text[])
    AS u(fingerprint, starts_at, status, content_hash, annotations, ends_at, expires_at, last_received_at,
        repeat_count, event_count, is_published, began_at, ended_by, confirmed_at, unconfirmed, claim, receiver,
        generator_url)
WHERE a.fingerprint = u.fingerprint AND a.starts_at = u.starts_at
"""

KNOWN_KEYS = """
SELECT a.fingerprint, a.starts_at FROM alerts a
JOIN unnest($1::text[], $2::timestamptz[]) AS u(fingerprint, starts_at)
    ON a.fingerprint = u.fingerprint AND a.starts_at = u.starts_at
"""

NEWEST_STARTS = """
SELECT DISTINCT ON (a.fingerprint) a.fingerprint, a.starts_at
FROM alerts a WHERE a.fingerprint = ANY($1::text[]) ORDER BY a.fingerprint, a.starts_at DESC
"""

NOTIFIED_TARGETS = """
SELECT DISTINCT d.fingerprint, d.starts_at, d.target
FROM unnest($1::text[], $2::timestamptz[]) AS u(fingerprint, starts_at)
JOIN LATERAL (
    SELECT d.fingerprint, d.starts_at, d.target FROM deliveries d
    WHERE d.fingerprint = u.fingerprint AND d.starts_at = u.starts_at
    UNION ALL
    SELECT q.fingerprint, q.starts_at, q.target FROM delivery_queue q
    WHERE q.fingerprint = u.fingerprint AND q.starts_at = u.starts_at
) d ON true
"""
