"""SQLite: the write side, in the one thread that writes.

The newest rows of every table lie together: ids follow time, and whatever needs another order (a label, a
fingerprint) is found through `alert_terms`, a full-text index, which is a log of sorted runs and so costs the
same at ten million rows as at none. Ids are `timestamp` in microseconds × 256 + a number, so their order is
that of `timestamp`, also for history that is imported later.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import starmap

from alert_history.domain.occurrence import Event, Sighting
from alert_history.domain.receipt import Outcome, Receipt
from alert_history.ports import Router, Store
from alert_history.storage import sqlite_rows as sql
from alert_history.storage.batch import (
    Decision,
    Key,
    PlacedNotes,
    by_key,
    decide,
    ends_to_tell,
    enqueue,
    join_firing,
    newest_silences,
    outcomes,
    place_notes,
    quarantined,
    unstarted,
)
from alert_history.storage.sqlite_archive import SqliteArchivable
from alert_history.storage.sqlite_classifications import SqliteClassifications
from alert_history.storage.sqlite_connection import Connections, storage_errors
from alert_history.storage.sqlite_history import SqliteHistory
from alert_history.storage.sqlite_lifecycle import SqliteLifecycle
from alert_history.storage.sqlite_outbox import SqliteOutbox
from alert_history.storage.sqlite_upkeep import SqliteUpkeep
from alert_history.storage.tables import from_microseconds, to_microseconds
from alert_history.zstd import ZstdCompressor

_DAY = 86_400_000_000


def sqlite_store(database_url: str, *, router: Router | None = None) -> Store:
    """A store in the file a `sqlite:///path` URL names (four slashes for an absolute path)."""
    path = database_url.partition("://")[2].removeprefix("/").partition("?")[0]
    connections = Connections(path)
    return Store(
        recorder=SqliteRecorder(connections, router=router),
        history=SqliteHistory(connections),
        upkeep=SqliteUpkeep(connections, router=router),
        lifecycle=SqliteLifecycle(connections),
        outbox=SqliteOutbox(connections),
        archivable=SqliteArchivable(connections),
        classifications=SqliteClassifications(connections),
    )


class SqliteRecorder:
    """See `ports.Recorder`."""

    def __init__(self, connections: Connections, *, router: Router | None) -> None:
        self._connections = connections
        self._router = router
        self._compressor = ZstdCompressor(level=1)

    async def commit(self, receipts: Sequence[Receipt]) -> list[Outcome]:
        """See `ports.Recorder.commit`."""
        with storage_errors():
            groups = by_key(receipts)
        return await self._connections.write(self._commit, receipts, groups=groups)

    def _commit(
        self,
        connection: sqlite3.Connection,
        receipts: Sequence[Receipt],
        *,
        groups: dict[Key, list[Sighting]],
    ) -> list[Outcome]:
        groups = _join_firing(connection, groups)
        events, ids = _keep_alerts(connection, groups)
        told = sql.told_targets(connection, ends_to_tell(events))
        events, queue = enqueue(events, groups=groups, told_before=told, router=self._router)
        connection.executemany(sql.INSERT_EVENT, [sql.event_row(ids[e.fingerprint, e.starts_at], e) for e in events])
        connection.executemany(sql.INSERT_QUEUE, map(sql.queue_row, queue))
        placed = _keep_notes(connection, receipts)
        kept = outcomes(receipts, events=events, placed=placed, queue=queue)
        rows = [sql.receipt_row(*pair) for pair in zip(receipts, kept, strict=True)]
        connection.executemany(sql.INSERT_RECEIPT, rows)
        self._keep_bodies(connection, receipts)
        refused = quarantined(receipts, events=events, placed=placed)
        connection.executemany(sql.INSERT_QUARANTINE, starmap(sql.quarantine_row, refused))
        _keep_silences(connection, receipts)
        return kept

    def _keep_bodies(self, connection: sqlite3.Connection, receipts: Iterable[Receipt]) -> None:
        for receipt in receipts:
            day = to_microseconds(receipt.received_at) // _DAY * _DAY
            is_held = "SELECT 1 FROM receipt_bodies WHERE received_on = ? AND sha256 = ?"
            if connection.execute(is_held, (day, receipt.body_sha256)).fetchone() is None:
                body = self._compressor.compress(receipt.body, ZstdCompressor.FLUSH_FRAME)
                connection.execute(sql.INSERT_BODY, (day, receipt.body_sha256, body))


def _keep_alerts(
    connection: sqlite3.Connection, groups: dict[Key, list[Sighting]]
) -> tuple[list[Event], dict[Key, int]]:
    """Look each key up, decide, write; the events, and the ids of the alerts that have some."""
    new: list[Decision] = []
    changed: list[tuple[int, Decision]] = []
    repeated: list[tuple[int, Decision]] = []
    find = connection.cursor().execute
    for (fingerprint, starts_at), sightings in groups.items():
        row = find(sql.FIND_ALERT, (to_microseconds(starts_at), fingerprint)).fetchone()
        if row is None:
            new.append(decide(None, sightings))
        else:
            decision = decide(sql.read_occurrence(row), sightings)
            (changed if decision.events else repeated).append((row["id"], decision))
    ids = sql.new_ids(connection, [decision.first.received_at for decision in new])
    _insert(connection, list(zip(ids, new, strict=True)))
    connection.executemany(sql.UPDATE_ALERT, [sql.update_row(id_, d.occurrence) for id_, d in changed])
    connection.executemany(sql.COUNT_REPEAT, [sql.repeat_row(id_, d.occurrence) for id_, d in repeated])
    decided = [*zip(ids, new, strict=True), *changed]
    events = [event for _, decision in decided for event in decision.events]
    return events, {decision.first.alert.key: id_ for id_, decision in decided}


def _insert(connection: sqlite3.Connection, decisions: Sequence[tuple[int, Decision]]) -> None:
    connection.executemany(sql.INSERT_ALERT, [sql.alert_row(*pair) for pair in decisions])
    terms = [(id_, sql.terms_of(d.first.alert.fingerprint, d.first.alert.labels)) for id_, d in decisions]
    connection.executemany(sql.INSERT_TERMS, terms)


def _keep_silences(connection: sqlite3.Connection, receipts: Sequence[Receipt]) -> None:
    silences = newest_silences(receipts)
    connection.executemany(sql.UPSERT_SILENCE, map(sql.silence_row, silences))


def _join_firing(connection: sqlite3.Connection, groups: dict[Key, list[Sighting]]) -> dict[Key, list[Sighting]]:
    fingerprints = unstarted(groups)
    if not fingerprints:
        return groups
    firing_since = {}
    for fingerprint in fingerprints:
        row = connection.execute(sql.FIRING_SINCE, (sql.fingerprint_term(fingerprint), fingerprint)).fetchone()
        if row[0] is not None:
            firing_since[fingerprint] = from_microseconds(row[0])
    return join_firing(groups, firing_since)


def _keep_notes(connection: sqlite3.Connection, receipts: Sequence[Receipt]) -> PlacedNotes:
    """Keep the notes as events of their occurrences; those whose alert nobody knows are orphans."""
    notes = [(receipt, note) for receipt in receipts for note in receipt.group.notes]
    ids: dict[Key, int] = {}
    newest: dict[str, datetime] = {}
    for _, note in notes:
        starts_at = note.starts_at or _newest_start(connection, note.fingerprint)
        if starts_at is None:
            continue
        row = connection.execute(sql.FIND_ALERT, (to_microseconds(starts_at), note.fingerprint)).fetchone()
        if row is not None:
            ids[note.fingerprint, starts_at] = row["id"]
        if note.starts_at is None:
            newest[note.fingerprint] = starts_at
    placed = place_notes(notes, known=ids, newest=newest)
    for event in placed.events:
        row_values = sql.event_row(ids[event.fingerprint, event.starts_at], event)
        inserted = connection.execute(sql.INSERT_NOTE, row_values).fetchall()
        placed.stored.update(row[0] for row in inserted)
    return placed


def _newest_start(connection: sqlite3.Connection, fingerprint: str) -> datetime | None:
    arguments = (sql.fingerprint_term(fingerprint), fingerprint)
    row = connection.execute(sql.NEWEST_START, arguments).fetchone()
    return None if row is None else from_microseconds(row[0])
