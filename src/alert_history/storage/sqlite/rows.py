"""SQLite: the hot path's statements, and domain values as their arguments."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from alert_history.domain.claim import shortest_wait_us
from alert_history.domain.decision import Entry
from alert_history.domain.microseconds import to_us
from alert_history.domain.notifying import Enqueued
from alert_history.domain.occurrence import Event, Occurrence, Sighting
from alert_history.domain.standing import Standing, closed_us
from alert_history.ids import new_id
from alert_history.storage.shared import rows, tables
from alert_history.storage.shared.foreseen import Seen
from alert_history.storage.shared.json_text import encode_json, json_or_none
from alert_history.storage.shared.standing_text import standing_json
from alert_history.storage.sqlite import strays

IDS_A_MICROSECOND = strays.IDS_A_MICROSECOND
"""How many ids of `alerts` a microsecond of `timestamp` has."""


def insert(table: str, columns: Iterable[str], end: str = "") -> str:
    """INSERT of one row. It names its columns, because a later release may have added some."""
    names = [f'"{name}"' for name in columns]
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))}) {end}"


_EVENT_COLUMNS = ("alert_id", *tables.events.c.keys())
ALERT_COLUMNS = [name for name in tables.alerts.c.keys() if name not in tables.RARE_ALERT_COLUMNS]  # noqa: SIM118  # no dict
INSERT_ALERT = insert("alerts", ["id", *ALERT_COLUMNS])
FINGERPRINT_AT, LABELS_AT = 1 + ALERT_COLUMNS.index("fingerprint"), 1 + ALERT_COLUMNS.index("labels")
"""Where a row of INSERT_ALERT has them."""
INSERT_TERMS = "INSERT INTO alert_terms (rowid, terms) VALUES (?, ?)"
INSERT_EVENT = insert("events", _EVENT_COLUMNS)
INSERT_NOTE = insert("events", _EVENT_COLUMNS, "ON CONFLICT DO NOTHING RETURNING receipt_id")
INSERT_QUEUE = """INSERT INTO delivery_queue (id, fingerprint, starts_at, target, event_key, event, receipt_id, state,
    created_at, due_at, shape, enrichment) VALUES (?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?, ?)"""
INSERT_RECEIPT = insert("receipts", tables.receipts.c.keys())
INSERT_BODY = insert("receipt_bodies", tables.receipt_bodies.c.keys(), "ON CONFLICT DO NOTHING")
INSERT_ROLLUP = "INSERT INTO rollup_log (entry) VALUES (?)"
INSERT_NEWS = "INSERT INTO news_log (number, news) VALUES (?, ?)"
INSERT_QUARANTINE = insert("quarantine", tables.quarantine.c.keys())
UPSERT_SILENCE = insert(
    "silences",
    tables.silences.c.keys(),
    """ON CONFLICT (id) DO UPDATE SET matchers = excluded.matchers, starts_at = excluded.starts_at,
    ends_at = excluded.ends_at, updated_at = excluded.updated_at, created_by = excluded.created_by,
    comment = excluded.comment WHERE silences.updated_at < excluded.updated_at""",
)
FIND_ALERT = """SELECT id, status, content_hash, annotations, ends_at, expires_at, last_received_at, repeat_count,
    event_count, is_published, began_at, ended_by, confirmed_at, unconfirmed, claim, receiver, generator_url,
    timestamp, alertname, severity, namespace, source, joined_into
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
# A plain repeat needs no decision: a repeat of the only claim that holds an occurrence open, or of the word that ended
# it. A first-hand sender repeats at least half a resend delay after its last word; sooner, two senders may look like
# one. It is counted by the receiver that is remembered, so the occurrence must have that receiver still.
COUNT_PLAIN_REPEATS = """UPDATE alerts SET last_received_at = max(last_received_at, ?6),
    repeat_count = repeat_count + ?7, expires_at = coalesce(max(expires_at, ?8), expires_at),
    confirmed_at = iif(status = 'firing', NULL, confirmed_at)
    WHERE id = ?1 AND fingerprint = ?2 AND status = ?3 AND claim = ?4 AND content_hash = ?5
    AND (is_published OR NOT ?9) AND last_received_at <= ?10 AND receiver = ?11"""
HIGHEST_ID = "SELECT max(id) FROM alerts WHERE id >= ? AND id < ?"
HIGHEST_IDS = """SELECT a.id / ?2, max(a.id) FROM json_each(?1) AS j
    CROSS JOIN alerts a ON a.id >= j.value AND a.id < j.value + ?3 GROUP BY 1"""
NEWEST = """SELECT a.* FROM alert_terms t JOIN alerts a ON a.id = t.rowid
    WHERE t.alert_terms MATCH ? AND a.fingerprint = ? ORDER BY a.starts_at DESC LIMIT 4"""
NEWEST_START = """SELECT a.starts_at FROM alert_terms t JOIN alerts a ON a.id = t.rowid
    WHERE t.alert_terms MATCH ? AND a.fingerprint = ? ORDER BY a.starts_at DESC LIMIT 1"""

_read_texts = msgspec.json.Decoder(dict[str, str]).decode


def new_ids(connection: sqlite3.Connection, times: Sequence[datetime]) -> list[int]:
    """An id for an occurrence of each `timestamp`: in order of time, after all ids of the same microsecond."""
    counts = Counter(times)
    ids: dict[datetime, Iterator[int]] = {}
    free = 0
    for time, count in sorted(counts.items()):
        free = max(free, to_us(time) * IDS_A_MICROSECOND)
        while highest := connection.execute(HIGHEST_ID, (free, free + count)).fetchone()[0]:
            free = highest + 1
        ids[time] = iter(range(free, free + count))
        free += count
    numbers = [next(ids[time]) for time in times]
    strays.keep_strays(connection, numbers)
    return numbers


def new_ids_apart(connection: sqlite3.Connection, times: Sequence[datetime]) -> list[int]:
    """As `new_ids`, for times that are far apart: one statement for all of them."""
    counts = Counter(map(to_us, times))
    lowest = encode_json([us * IDS_A_MICROSECOND for us in counts]).decode()
    highest = dict(connection.execute(HIGHEST_IDS, (lowest, IDS_A_MICROSECOND, IDS_A_MICROSECOND)).fetchall())
    first = {us: highest.get(us, us * IDS_A_MICROSECOND - 1) + 1 for us in counts}
    if any(first[us] + count > (us + 1) * IDS_A_MICROSECOND for us, count in counts.items()):
        return new_ids(connection, times)
    ids = {us: iter(range(start, start + counts[us])) for us, start in first.items()}
    numbers = [next(ids[to_us(time)]) for time in times]
    strays.keep_strays(connection, numbers)
    return numbers


def notified(connection: sqlite3.Connection, row: sqlite3.Row) -> list[str]:
    """The targets that were notified of an occurrence, or are about to be."""
    key = (row["starts_at"], row["fingerprint"])
    return [target for (target,) in connection.execute(NOTIFIED, key * 2)]


def repeat_row(alert_id: int, now: Occurrence) -> tuple[Any, ...]:
    """The arguments of COUNT_REPEAT."""
    last = to_us(now.last_received_at)
    return (_microseconds(now.expires_at), last, now.repeat_count, _microseconds(now.confirmed_at), alert_id)


def plain_repeats(seen: Seen, sightings: Sequence[Sighting]) -> tuple[Any, ...]:
    """The arguments of COUNT_PLAIN_REPEATS, for equal sightings of what was seen."""
    last = sightings[-1]
    received_at = to_us(max(sighting.received_at for sighting in sightings))
    return (
        seen.row_id,
        last.alert.fingerprint,
        last.alert.status,
        last.claim,
        last.content_hash,
        received_at,
        len(sightings),
        last.word.until_us,
        last.word.is_firing and last.word.is_to_publish,
        received_at - shortest_wait_us(last.word),
        seen.receiver,
    )


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


alert_values = partial(rows.alert_row, stored=_microseconds)
receipt_row = partial(rows.receipt_row, stored=_microseconds)
quarantine_row = partial(rows.quarantine_row, stored=_microseconds)
silence_row = partial(rows.silence_row, stored=_microseconds)


def alert_row(alert_id: int, sighting: Sighting, entry: Entry) -> tuple[Any, ...]:
    """The arguments of INSERT_ALERT; `sighting` began it."""
    return (alert_id, *alert_values(sighting, entry))


def update_row(alert_id: int, now: Occurrence) -> tuple[Any, ...]:
    """The arguments of UPDATE_ALERT."""
    return (*rows.occurrence_values(now, stored=_microseconds), alert_id)
