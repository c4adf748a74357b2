"""SQLite: the hot path's statements, and domain values as their arguments."""

import sqlite3
from binascii import crc32
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from alert_history.domain.adopting import StoredOccurrence, stored_sighting
from alert_history.domain.alert import Refused, Silence
from alert_history.domain.claim import shortest_wait_us
from alert_history.domain.decision import Entry
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.notifying import Enqueued
from alert_history.domain.occurrence import Event, Occurrence, Sighting
from alert_history.domain.receipt import Outcome, Receipt
from alert_history.domain.speaker import SCOPE_MARK, split_scope
from alert_history.domain.standing import Standing, closed_us
from alert_history.storage.shared import tables
from alert_history.storage.shared.ids import new_id
from alert_history.storage.shared.json_text import encode_json, json_or_none
from alert_history.storage.shared.reads import time_of
from alert_history.storage.shared.standing_text import standing_json

IDS_A_MICROSECOND = 256
"""How many ids of `alerts` a microsecond of `timestamp` has."""


def _insert(table: str, columns: Iterable[str], end: str = "") -> str:
    """INSERT of one row. It names its columns, because a later release may have added some."""
    names = [f'"{name}"' for name in columns]
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))}) {end}"


_EVENT_COLUMNS = ("alert_id", "key", "kind", "at", "receipt_id", "detail")
_SILENCE_COLUMNS = ("id", "matchers", "starts_at", "ends_at", "updated_at", "created_by", "comment")

_ALERT_COLUMNS = [name for name in tables.alerts.c.keys() if name != "joined_into"]  # noqa: SIM118  # no dict
INSERT_ALERT = _insert("alerts", ["id", *_ALERT_COLUMNS])
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
FIND_ALERT = """SELECT id, status, content_hash, annotations, ends_at, expires_at, last_received_at, repeat_count,
    event_count, is_published, began_at, ended_by, confirmed_at, unconfirmed, claim, receiver, generator_url
    FROM alerts WHERE starts_at = ? AND fingerprint = ?"""
FIND_WHOLE = "SELECT * FROM alerts WHERE starts_at = ? AND fingerprint = ?"
FIND_ID = "SELECT id FROM alerts WHERE starts_at = ? AND fingerprint = ?"
NOTIFIED = """SELECT target FROM deliveries WHERE starts_at = ? AND fingerprint = ?
    UNION SELECT target FROM delivery_queue WHERE starts_at = ? AND fingerprint = ?"""
UPDATE_ALERT = """UPDATE alerts SET status = ?, content_hash = ?, annotations = ?, ends_at = ?, expires_at = ?,
    last_received_at = ?, repeat_count = ?, event_count = ?, is_published = ?, began_at = ?, ended_by = ?,
    confirmed_at = ?, unconfirmed = ?, claim = ?, receiver = ?, generator_url = ? WHERE id = ?"""
COUNT_REPEAT = (
    """UPDATE alerts SET expires_at = ?, last_received_at = ?, repeat_count = ?, confirmed_at = ? WHERE id = ?"""
)
# A repeat of the one claim that holds it open, or of the word that ended it: it says nothing that has to be thought
# about. Of a first-hand sender not sooner than half a resend delay after the last: else two senders may be one.
COUNT_PLAIN_REPEATS = """UPDATE alerts SET last_received_at = max(last_received_at, :received_at),
    repeat_count = repeat_count + :repeats, expires_at = coalesce(max(expires_at, :expires_at), expires_at),
    confirmed_at = iif(status = 'firing', NULL, confirmed_at)
    WHERE id = :id AND fingerprint = :fingerprint AND status = :status AND claim = :claim
    AND content_hash = :content_hash AND (is_published OR NOT :is_to_publish) AND last_received_at <= :not_since"""
HIGHEST_ID = "SELECT max(id) FROM alerts WHERE id >= ? AND id < ?"
NEWEST = """SELECT a.* FROM alert_terms t JOIN alerts a ON a.id = t.rowid
    WHERE t.alert_terms MATCH ? AND a.fingerprint = ? ORDER BY a.starts_at DESC LIMIT 4"""
NEWEST_START = """SELECT a.starts_at FROM alert_terms t JOIN alerts a ON a.id = t.rowid
    WHERE t.alert_terms MATCH ? AND a.fingerprint = ? ORDER BY a.starts_at DESC LIMIT 1"""

_read_texts = msgspec.json.Decoder(dict[str, str]).decode


def new_ids(connection: sqlite3.Connection, times: Sequence[datetime]) -> list[int]:
    """An id for an occurrence of each `timestamp`: in their order, after all that its microsecond holds already."""
    counts = Counter(times)
    ids: dict[datetime, Iterator[int]] = {}
    free = 0
    for time, count in sorted(counts.items()):
        free = max(free, to_us(time) * IDS_A_MICROSECOND)
        while held := connection.execute(HIGHEST_ID, (free, free + count)).fetchone()[0]:
            free = held + 1
        ids[time] = iter(range(free, free + count))
        free += count
    return [next(ids[time]) for time in times]


def terms_of(fingerprint: str, labels: Mapping[str, str]) -> str:
    """What an alert can be found by in `alert_terms`: its fingerprint and a hash of each label."""
    return " ".join([fingerprint_term(fingerprint), *(label_term(*pair) for pair in labels.items())])


def fingerprint_term(fingerprint: str) -> str:
    """A fingerprint as a term, whatever its scope: one word to FTS5, whatever somebody asks for."""
    if SCOPE_MARK in fingerprint:
        fingerprint, _ = split_scope(fingerprint)
    is_word = fingerprint.isascii() and fingerprint.isalnum()
    return f"f{fingerprint}" if is_word else f"f{crc32(fingerprint.encode()):x}"


@lru_cache(maxsize=16_384)  # most labels of an alert are those of others
def label_term(name: str, value: str) -> str:
    """A label as a term. 32 bits: whoever finds by it must look at the label too."""
    return f"l{crc32(f'{name}={value}'.encode()):x}"


def alert_row(alert_id: int, sighting: Sighting, entry: Entry) -> tuple[Any, ...]:
    """The arguments of INSERT_ALERT; `sighting` began it."""
    now = entry.occurrence
    alert, labels = sighting.alert, sighting.alert.labels
    annotations = (
        sighting.annotations_json if now.content_hash == sighting.content_hash else encode_json(now.annotations)
    )
    return (
        alert_id,
        alert.fingerprint,
        to_us(entry.starts_at),
        to_us(sighting.received_at),
        labels.get("alertname", ""),
        labels.get("namespace", ""),
        labels.get("severity", ""),
        now.status,
        encode_json(labels).decode(),
        annotations.decode(),
        _microseconds(now.ends_at),
        _microseconds(now.expires_at),
        to_us(now.last_received_at),
        now.repeat_count,
        now.event_count,
        now.content_hash,
        now.generator_url,
        sighting.source,
        now.receiver,
        json_or_none(alert.details),
        now.is_published,
        _microseconds(now.began_at),
        now.ended_by,
        _microseconds(now.confirmed_at),
        now.unconfirmed,
        now.claim,
    )


def read_occurrence(row: sqlite3.Row) -> Occurrence:
    """An occurrence from a row of FIND_ALERT."""
    return Occurrence(
        status=row["status"],
        content_hash=row["content_hash"],
        annotations=_read_texts(row["annotations"]),
        ends_at=time_of(row["ends_at"]),
        expires_at=time_of(row["expires_at"]),
        last_received_at=from_us(row["last_received_at"]),
        repeat_count=row["repeat_count"],
        event_count=row["event_count"],
        began_at=time_of(row["began_at"]),
        ended_by=row["ended_by"],
        confirmed_at=time_of(row["confirmed_at"]),
        unconfirmed=row["unconfirmed"],
        is_published=bool(row["is_published"]),
        claim=row["claim"] or 0,
        receiver=row["receiver"],
        generator_url=row["generator_url"],
    )


def first_sighting(row: sqlite3.Row, *, received_at: datetime) -> Sighting:
    """What was first said of an occurrence, as a sighting, from a whole row of `alerts`."""
    return stored_sighting(
        row["fingerprint"],
        from_us(row["starts_at"]),
        labels=_read_texts(row["labels"]),
        occurrence=read_occurrence(row),
        generator_url=row["generator_url"],
        source=row["source"],
        received_at=received_at,
    )


def read_kept(row: sqlite3.Row, *, notified: list[str]) -> StoredOccurrence:
    """An occurrence from a whole row of `alerts`."""
    first = first_sighting(row, received_at=from_us(row["timestamp"]))
    return StoredOccurrence(row["starts_at"], read_occurrence(row), first, notified)


def notified(connection: sqlite3.Connection, row: sqlite3.Row) -> list[str]:
    """The targets that were told of an occurrence, or are about to be."""
    key = (row["starts_at"], row["fingerprint"])
    return [target for (target,) in connection.execute(NOTIFIED, key * 2)]


def update_row(alert_id: int, now: Occurrence) -> tuple[Any, ...]:
    """The arguments of UPDATE_ALERT."""
    return (
        now.status,
        now.content_hash,
        encode_json(now.annotations).decode(),
        _microseconds(now.ends_at),
        _microseconds(now.expires_at),
        to_us(now.last_received_at),
        now.repeat_count,
        now.event_count,
        now.is_published,
        _microseconds(now.began_at),
        now.ended_by,
        _microseconds(now.confirmed_at),
        now.unconfirmed,
        now.claim,
        now.receiver,
        now.generator_url,
        alert_id,
    )


def repeat_row(alert_id: int, now: Occurrence) -> tuple[Any, ...]:
    """The arguments of COUNT_REPEAT."""
    last = to_us(now.last_received_at)
    return (_microseconds(now.expires_at), last, now.repeat_count, _microseconds(now.confirmed_at), alert_id)


def plain_repeats(alert_id: int, sightings: Sequence[Sighting]) -> dict[str, Any]:
    """The arguments of COUNT_PLAIN_REPEATS, for sightings that all say the same."""
    last = sightings[-1]
    received_at = to_us(max(sighting.received_at for sighting in sightings))
    return {
        "id": alert_id,
        "fingerprint": last.alert.fingerprint,
        "status": last.alert.status,
        "claim": last.claim,
        "content_hash": last.content_hash,
        "received_at": received_at,
        "repeats": len(sightings),
        "expires_at": last.word.until_us,
        "is_to_publish": last.word.is_firing and last.word.is_to_publish,
        "not_since": received_at - shortest_wait_us(last.word),
    }


def standing_row(fingerprint: str, standing: Standing) -> tuple[Any, ...]:
    """A row of `StandingLog.write`."""
    return (fingerprint, standing_json(standing), closed_us(standing), standing.conflict_us)


def queue_row(enqueued: Enqueued) -> tuple[Any, ...]:
    """The arguments of INSERT_QUEUE."""
    event = enqueued.event
    return (
        new_id(event.at),
        event.fingerprint,
        to_us(event.starts_at),
        enqueued.target,
        event.key,
        event.kind,
        event.receipt_id,
        to_us(event.at),
        to_us(enqueued.due_at or event.at),
        enqueued.shape,
        enqueued.enrichment,
    )


def event_row(alert_id: int, event: Event) -> tuple[Any, ...]:
    """The arguments of INSERT_EVENT."""
    at = to_us(event.at)
    return (alert_id, event.key, event.kind, at, event.receipt_id, json_or_none(event.detail))


def _microseconds(time: datetime | None) -> int | None:
    return None if time is None else to_us(time)


def receipt_row(receipt: Receipt, outcome: Outcome) -> tuple[Any, ...]:
    """The arguments of INSERT_RECEIPT."""
    group = receipt.group
    return (
        receipt.id,
        to_us(receipt.received_at),
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
        to_us(receipt.received_at),
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
        to_us(silence.starts_at),
        to_us(silence.ends_at),
        to_us(silence.updated_at),
        silence.created_by,
        silence.comment,
    )
