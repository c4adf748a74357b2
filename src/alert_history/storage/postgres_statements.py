"""The hot path's statements on PostgreSQL. Each takes arrays, one element a row, keys sorted."""

ALERT_COLUMNS = {
    "fingerprint": "text",
    "starts_at": "timestamptz",
    "timestamp": "timestamptz",
    "alertname": "text",
    "namespace": "text",
    "severity": "text",
    "status": "text",
    "labels": "jsonb",
    "annotations": "jsonb",
    "ends_at": "timestamptz",
    "expires_at": "timestamptz",
    "last_received_at": "timestamptz",
    "repeat_count": "int",
    "event_count": "int",
    "content_hash": "bigint",
    "generator_url": "text",
    "source": "text",
    "receiver": "text",
    "details": "jsonb",
    "is_published": "bool",
}
EVENT_COLUMNS = {
    "fingerprint": "text",
    "starts_at": "timestamptz",
    "key": "bigint",
    "kind": "text",
    "at": "timestamptz",
    "receipt_id": "text",
    "detail": "jsonb",
}
QUEUE_COLUMNS = (
    "id",
    "fingerprint",
    "starts_at",
    "target",
    "event_key",
    "event",
    "receipt_id",
    "state",
    "created_at",
    "due_at",
    "shape",
    "enrichment",
)
RECEIPT_COLUMNS = {
    "id": "text",
    "received_at": "timestamptz",
    "path": "text",
    "publish": "bool",
    "source": "text",
    "receiver": "text",
    "group_key": "text",
    "external_url": "text",
    "received": "int",
    "quarantined": "int",
    "truncated_alerts": "int",
    "details": "jsonb",
    "body_sha256": "bytea",
    "body_bytes": "int",
}
BODY_COLUMNS = {"received_on": "timestamptz", "sha256": "bytea", "body": "bytea"}
QUARANTINE_COLUMNS = {
    "id": "text",
    "received_at": "timestamptz",
    "receipt_id": "text",
    "position": "int",
    "reason": "text",
    "source": "text",
    "receiver": "text",
    "raw": "bytea",
}
SILENCE_COLUMNS = {
    "id": "text",
    "matchers": "jsonb",
    "starts_at": "timestamptz",
    "ends_at": "timestamptz",
    "updated_at": "timestamptz",
    "created_by": "text",
    "comment": "text",
}


def _insert(table: str, columns: dict[str, str], end: str = "") -> str:
    """INSERT … SELECT FROM unnest: JSON goes over the wire as text and is cast by the server."""
    names = ", ".join(f'"{name}"' for name in columns)
    wire = ("text" if kind == "jsonb" else kind for kind in columns.values())
    arrays = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(wire, start=1))
    picked = ", ".join(f'u."{name}"::jsonb' if kind == "jsonb" else f'u."{name}"' for name, kind in columns.items())
    return f"INSERT INTO {table} ({names}) SELECT {picked} FROM unnest({arrays}) AS u({names}) {end}"


INSERT_ALERTS = _insert(
    "alerts",
    ALERT_COLUMNS,
    "ON CONFLICT (fingerprint, starts_at) DO NOTHING RETURNING fingerprint, starts_at",
)
INSERT_EVENTS = _insert("events", EVENT_COLUMNS)
INSERT_NOTES = _insert("events", EVENT_COLUMNS, "ON CONFLICT DO NOTHING RETURNING receipt_id")
INSERT_BODIES = _insert("receipt_bodies", BODY_COLUMNS, "ON CONFLICT DO NOTHING")
INSERT_QUARANTINE = _insert("quarantine", QUARANTINE_COLUMNS)
UPSERT_SILENCES = _insert(
    "silences",
    SILENCE_COLUMNS,
    """ON CONFLICT (id) DO UPDATE SET matchers = excluded.matchers, starts_at = excluded.starts_at,
    ends_at = excluded.ends_at, updated_at = excluded.updated_at, created_by = excluded.created_by,
    comment = excluded.comment WHERE silences.updated_at < excluded.updated_at""",
)

# The rule of `domain.occurrence.is_plain_repeat`, so that a repeat costs one narrow statement and no read.
COUNT_REPEATS = """
UPDATE alerts a SET
    last_received_at = greatest(a.last_received_at, u.received_at),
    repeat_count = a.repeat_count + u.repeats,
    expires_at = coalesce(u.expires_at, a.expires_at)
FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::bigint[], $5::timestamptz[], $6::timestamptz[], $7::int[],
        $8::bool[])
    AS u(fingerprint, starts_at, status, content_hash, received_at, expires_at, repeats, is_to_publish)
WHERE a.fingerprint = u.fingerprint AND a.starts_at = u.starts_at
    AND a.status = u.status AND a.content_hash = u.content_hash
    AND (u.status = 'resolved' OR a.is_published OR NOT u.is_to_publish)
RETURNING a.fingerprint, a.starts_at
"""

LOCK_ALERTS = """
SELECT a.fingerprint, a.starts_at, a.status, a.content_hash, a.annotations, a.ends_at, a.expires_at,
    a.last_received_at, a.repeat_count, a.event_count, a.generator_url, a.is_published
FROM alerts a JOIN unnest($1::text[], $2::timestamptz[]) AS u(fingerprint, starts_at)
    ON a.fingerprint = u.fingerprint AND a.starts_at = u.starts_at
FOR UPDATE OF a
"""
LOCK_ALERTS_NOWAIT = f"{LOCK_ALERTS} NOWAIT"

UPDATE_ALERTS = """
UPDATE alerts a SET status = u.status, content_hash = u.content_hash, annotations = u.annotations::jsonb,
    ends_at = u.ends_at, expires_at = u.expires_at, last_received_at = u.last_received_at,
    repeat_count = u.repeat_count, event_count = u.event_count, generator_url = u.generator_url,
    is_published = u.is_published
FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::bigint[], $5::text[], $6::timestamptz[],
        $7::timestamptz[], $8::timestamptz[], $9::int[], $10::int[], $11::text[], $12::bool[])
    AS u(fingerprint, starts_at, status, content_hash, annotations, ends_at, expires_at, last_received_at,
        repeat_count, event_count, generator_url, is_published)
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

# By fingerprint, whatever the planner believes of how many are firing: what is concatenated can't be looked up by.
FIRING_SINCE = """
SELECT a.fingerprint, max(a.starts_at)
FROM alerts a WHERE a.fingerprint = ANY($1::text[]) AND a.status || '' = 'firing' GROUP BY a.fingerprint
"""

TOLD_TARGETS = """
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

LOCK_EXPIRED = """
SELECT a.fingerprint, a.starts_at, a.status, a.content_hash, a.annotations, a.ends_at, a.expires_at,
    a.last_received_at, a.repeat_count, a.event_count, a.generator_url, a.is_published, a.labels
FROM alerts a WHERE a.status = 'firing' AND a.expires_at <= $1
ORDER BY a.expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
"""
