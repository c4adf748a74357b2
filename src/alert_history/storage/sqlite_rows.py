"""SQLite: the hot path's statements, and domain values as their arguments."""

import sqlite3
from binascii import crc32
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from alert_history.domain.alert import Refused, Silence
from alert_history.domain.occurrence import Event, Occurrence
from alert_history.domain.receipt import Outcome, Receipt
from alert_history.storage import tables
from alert_history.storage.batch import Decision, Enqueued, Key, encode_json, json_or_none, new_id
from alert_history.storage.reads import time_of
from alert_history.storage.tables import from_microseconds, to_microseconds

IDS_A_MICROSECOND = 256
"""How many ids of `alerts` a microsecond of `timestamp` has."""


def _insert(table: str, columns: Iterable[str], end: str = "") -> str:
    """INSERT of one row. It names its columns, because a later release may have added some."""
    names = [f'"{name}"' for name in columns]
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))}) {end}"


_EVENT_COLUMNS = ("alert_id", "key", "kind", "at", "receipt_id", "detail")
_SILENCE_COLUMNS = ("id", "matchers", "starts_at", "ends_at", "updated_at", "created_by", "comment")

INSERT_ALERT = _insert("alerts", ["id", *tables.alerts.c.keys()])
INSERT_TERMS = "INSERT INTO alert_terms (rowid, terms) VALUES (?, ?)"
INSERT_EVENT = _insert("events", _EVENT_COLUMNS)
INSERT_NOTE = _insert("events", _EVENT_COLUMNS, "ON CONFLICT DO NOTHING RETURNING receipt_id")
INSERT_QUEUE = """INSERT INTO delivery_queue (id, fingerprint, starts_at, target, event_key, event, receipt_id, state,
    created_at, due_at, shape, enrichment) VALUES (?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?, ?)"""
INSERT_RECEIPT = _insert("receipts", tables.receipts.c.keys())
INSERT_BODY = _insert("receipt_bodies", tables.receipt_bodies.c.keys(), "ON CONFLICT DO NOTHING")
INSERT_QUARANTINE = _insert("quarantine", tables.quarantine.c.keys())
UPSERT_SILENCE = _insert(
    "silences",
    _SILENCE_COLUMNS,
    """ON CONFLICT (id) DO UPDATE SET matchers = excluded.matchers, starts_at = excluded.starts_at,
    ends_at = excluded.ends_at, updated_at = excluded.updated_at, created_by = excluded.created_by,
    comment = excluded.comment WHERE silences.updated_at < excluded.updated_at""",
)
FIND_ALERT = """SELECT id, status, content_hash, annotations, ends_at, expires_at, last_received_at,
    repeat_count, event_count, generator_url, is_published FROM alerts WHERE starts_at = ? AND fingerprint = ?"""
UPDATE_ALERT = """UPDATE alerts SET status = ?, content_hash = ?, annotations = ?, ends_at = ?, expires_at = ?,
    last_received_at = ?, repeat_count = ?, event_count = ?, generator_url = ?, is_published = ? WHERE id = ?"""
COUNT_REPEAT = """UPDATE alerts SET expires_at = ?, last_received_at = ?, repeat_count = ? WHERE id = ?"""
_TOLD_TARGETS = """SELECT target FROM deliveries WHERE starts_at = ? AND fingerprint = ?
    UNION SELECT target FROM delivery_queue WHERE starts_at = ? AND fingerprint = ?"""
HIGHEST_ID = "SELECT max(id) FROM alerts WHERE id >= ? AND id < ?"
FIRING_SINCE = """SELECT max(a.starts_at) FROM alert_terms t JOIN alerts a ON a.id = t.rowid
    WHERE t.alert_terms MATCH ? AND a.fingerprint = ? AND a.status = 'firing'"""
NEWEST_START = """SELECT a.starts_at FROM alert_terms t JOIN alerts a ON a.id = t.rowid
    WHERE t.alert_terms MATCH ? AND a.fingerprint = ? ORDER BY a.starts_at DESC LIMIT 1"""

_read_texts = msgspec.json.Decoder(dict[str, str]).decode


def new_ids(connection: sqlite3.Connection, times: Sequence[datetime]) -> list[int]:
    """An id for an occurrence of each `timestamp`: in their order, after all that its microsecond holds already."""
    counts = Counter(times)
    ids: dict[datetime, Iterator[int]] = {}
    free = 0
    for time, count in sorted(counts.items()):
        free = max(free, to_microseconds(time) * IDS_A_MICROSECOND)
        while held := connection.execute(HIGHEST_ID, (free, free + count)).fetchone()[0]:
            free = held + 1
        ids[time] = iter(range(free, free + count))
        free += count
    return [next(ids[time]) for time in times]


def told_targets(connection: sqlite3.Connection, keys: Iterable[Key]) -> dict[Key, list[str]]:
    """The targets that have deliveries of each of these occurrences, whatever became of them."""
    told: dict[Key, list[str]] = {}
    for fingerprint, starts_at in keys:
        key = (to_microseconds(starts_at), fingerprint)
        told[fingerprint, starts_at] = [target for (target,) in connection.execute(_TOLD_TARGETS, key * 2)]
    return told


def terms_of(fingerprint: str, labels: Mapping[str, str]) -> str:
    """What an alert can be found by in `alert_terms`: its fingerprint and a hash of each label."""
    return " ".join([fingerprint_term(fingerprint), *(label_term(*pair) for pair in labels.items())])


def fingerprint_term(fingerprint: str) -> str:
    """A fingerprint as a term: one word to FTS5, whatever somebody asks for."""
    is_word = fingerprint.isascii() and fingerprint.isalnum()
    return f"f{fingerprint}" if is_word else f"f{crc32(fingerprint.encode()):x}"


def label_term(name: str, value: str) -> str:
    """A label as a term. 32 bits: whoever finds by it must look at the label too."""
    return f"l{crc32(f'{name}={value}'.encode()):x}"


def alert_row(alert_id: int, decision: Decision) -> tuple[Any, ...]:
    """The arguments of INSERT_ALERT."""
    sighting, now = decision.first, decision.occurrence
    alert, labels = sighting.alert, sighting.alert.labels
    return (
        alert_id,
        alert.fingerprint,
        to_microseconds(alert.starts_at),
        to_microseconds(sighting.received_at),
        labels.get("alertname", ""),
        labels.get("namespace", ""),
        labels.get("severity", ""),
        now.status,
        encode_json(labels).decode(),
        encode_json(now.annotations).decode(),
        _microseconds(now.ends_at),
        _microseconds(now.expires_at),
        to_microseconds(now.last_received_at),
        now.repeat_count,
        now.event_count,
        now.content_hash,
        now.generator_url,
        sighting.source,
        sighting.receiver,
        json_or_none(alert.details),
        now.is_published,
    )


def read_occurrence(row: sqlite3.Row) -> Occurrence:
    """An occurrence from a row of FIND_ALERT."""
    return Occurrence(
        status=row["status"],
        content_hash=row["content_hash"],
        annotations=_read_texts(row["annotations"]),
        ends_at=time_of(row["ends_at"]),
        expires_at=time_of(row["expires_at"]),
        last_received_at=from_microseconds(row["last_received_at"]),
        repeat_count=row["repeat_count"],
        event_count=row["event_count"],
        generator_url=row["generator_url"],
        is_published=bool(row["is_published"]),
    )


def update_row(alert_id: int, now: Occurrence) -> tuple[Any, ...]:
    """The arguments of UPDATE_ALERT."""
    return (
        now.status,
        now.content_hash,
        encode_json(now.annotations).decode(),
        _microseconds(now.ends_at),
        _microseconds(now.expires_at),
        to_microseconds(now.last_received_at),
        now.repeat_count,
        now.event_count,
        now.generator_url,
        now.is_published,
        alert_id,
    )


def repeat_row(alert_id: int, now: Occurrence) -> tuple[Any, ...]:
    """The arguments of COUNT_REPEAT."""
    last = to_microseconds(now.last_received_at)
    return (_microseconds(now.expires_at), last, now.repeat_count, alert_id)


def queue_row(enqueued: Enqueued) -> tuple[Any, ...]:
    """The arguments of INSERT_QUEUE."""
    event = enqueued.event
    return (
        enqueued.id,
        event.fingerprint,
        to_microseconds(event.starts_at),
        enqueued.target,
        event.key,
        event.kind,
        event.receipt_id,
        to_microseconds(event.at),
        to_microseconds(enqueued.due_at or event.at),
        enqueued.shape,
        enqueued.enrichment,
    )


def event_row(alert_id: int, event: Event) -> tuple[Any, ...]:
    """The arguments of INSERT_EVENT."""
    at = to_microseconds(event.at)
    return (alert_id, event.key, event.kind, at, event.receipt_id, json_or_none(event.detail))


def _microseconds(time: datetime | None) -> int | None:
    return None if time is None else to_microseconds(time)


def receipt_row(receipt: Receipt, outcome: Outcome) -> tuple[Any, ...]:
    """The arguments of INSERT_RECEIPT."""
    group = receipt.group
    return (
        receipt.id,
        to_microseconds(receipt.received_at),
        receipt.path,
        receipt.publish,
        group.source,
        group.receiver,
        group.group_key,
        group.external_url,
        outcome.received,
        outcome.quarantined,
        group.truncated_alerts,
        encode_json(group.details).decode(),
        receipt.body_sha256,
        len(receipt.body),
    )


def quarantine_row(receipt: Receipt, refused: Refused) -> tuple[Any, ...]:
    """The arguments of INSERT_QUARANTINE."""
    return (
        new_id(receipt.received_at),
        to_microseconds(receipt.received_at),
        receipt.id,
        refused.position,
        refused.reason,
        receipt.group.source,
        receipt.group.receiver,
        refused.raw,
    )


def silence_row(silence: Silence) -> tuple[Any, ...]:
    """The arguments of UPSERT_SILENCE."""
    return (
        silence.id,
        encode_json(silence.matchers).decode(),
        to_microseconds(silence.starts_at),
        to_microseconds(silence.ends_at),
        to_microseconds(silence.updated_at),
        silence.created_by,
        silence.comment,
    )
