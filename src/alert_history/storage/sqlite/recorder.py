"""SQLite: the write side, in the one thread that writes.

The newest rows of every table lie together, because ids follow time. `alert_terms` finds labels and fingerprints: a
full-text index, which is a log of sorted runs, and so costs the same at ten million rows as at none. An id is
`timestamp` in microseconds × 256 + a number. So ids are in the order of `timestamp`, also for history that is imported
later.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice, starmap

from alert_history.domain.alert import Note
from alert_history.domain.counting import written_changes
from alert_history.domain.decision import Decision, Known, decide, with_peers
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.muting import newest_silences
from alert_history.domain.notes import NotePlace, PlacedNotes, key_of_note, place_notes, scoped_notes
from alert_history.domain.notifying import notify
from alert_history.domain.occurrence import Key, Sighting
from alert_history.domain.outcome import outcomes, quarantined
from alert_history.domain.receipt import Outcome, Receipt
from alert_history.domain.sightings import by_fingerprint, from_grafana, is_same_word, renamed
from alert_history.domain.silence_versions import recorded_versions
from alert_history.domain.standing import Rules, Witnesses
from alert_history.errors import UnstorableReceipt
from alert_history.ports import Router
from alert_history.storage.shared.foreseen import Foreseen, Seen, foresee
from alert_history.storage.shared.recent import remember
from alert_history.storage.shared.silence_versions import keep_versions
from alert_history.storage.shared.standing_text import read_standing
from alert_history.storage.sqlite import rows as sql
from alert_history.storage.sqlite.at_once import Ids, order_of
from alert_history.storage.sqlite.connection import Connections
from alert_history.storage.sqlite.database import run_work
from alert_history.storage.sqlite.deciding import (
    find_known,
    mute,
    recall,
    write_changes,
    write_decisions,
    write_events,
    write_news,
)
from alert_history.storage.sqlite.driver_errors import storage_errors
from alert_history.storage.sqlite.standing_log import StandingLog
from alert_history.storage.sqlite.terms import fingerprint_term
from alert_history.storage.sqlite.writer_process import WriterProcess
from alert_history.zstd import ZstdCompressor

_SEEN = 20_000
_KNOWN_BODIES = 5_000
_DAY = 86_400_000_000


class SqliteRecorder:
    """See `ports.Recorder`. Remembers alerts seen lately, as a hint what to try first, and never as truth."""

    def __init__(
        self,
        connections: Connections,
        log: StandingLog,
        *,
        process: WriterProcess,
        router: Router | None,
        rules: Rules,
    ) -> None:
        self._connections = connections
        self._log = log
        self._router = router
        self._rules = rules
        self.witnesses = Witnesses()
        self._process = process
        self._ids = Ids()
        self._seen: dict[str, Seen] = {}
        self._known_bodies: dict[tuple[int, bytes], None] = {}
        self._compressor = ZstdCompressor(level=1)

    def take_up_witnesses(self, witnesses: Witnesses) -> None:
        """See `ports.ClaimRecorder.take_up_witnesses`."""
        self.witnesses = witnesses

    async def commit(self, receipts: Sequence[Receipt]) -> list[Outcome]:
        """See `ports.Recorder.commit`."""
        with storage_errors():
            groups = by_fingerprint(receipts)
        if self._process.takes(sum(receipt.group.received for receipt in receipts)):
            receipt_outcomes = await self._commit_foreseen(receipts, groups)
            if receipt_outcomes is not None:
                self._remember_bodies(receipts)
                return receipt_outcomes
        try:
            receipt_outcomes = await self._connections.write(self._commit, receipts, groups=groups, recalls=False)
        except UnstorableReceipt:  # or an occurrence exists without a standing
            receipt_outcomes = await self._connections.write(self._commit, receipts, groups=groups, recalls=True)
        self._remember_bodies(receipts)
        return receipt_outcomes

    async def _commit_foreseen(
        self, receipts: Sequence[Receipt], groups: dict[str, list[Sighting]]
    ) -> list[Outcome] | None:
        """Have the process that writes keep a batch without surprises; None where the batch has to go the long way."""
        with storage_errors():
            foreseen = foresee(
                receipts,
                groups,
                seen=self._seen,
                router=self._router,
                rules=self._rules,
                witnesses=self.witnesses,
            )
            ids = None if foreseen is None else self._ids_of(foreseen)
            if foreseen is None or ids is None:
                return None
            bodies = self._new_bodies(receipts)
            order = order_of(foreseen, groups, ids=ids, receipts=receipts, bodies=bodies)
        if not await self._process.write(order, receipt_id=receipts[0].id):
            return None
        self._see(foreseen.begun, ids)
        return foreseen.outcomes

    def _ids_of(self, foreseen: Foreseen) -> dict[Key, int] | None:
        """The ids of the occurrences that begin, in order of time."""
        entries = [(entry.first, entry) for d in foreseen.begun for entry in d.entries.values()]
        fresh = sorted(
            [
                (first.received_at, first.alert.fingerprint, entry.starts_at)
                for first, entry in entries
                if first is not None
            ]
        )
        ids = self._ids.take([time for time, _, _ in fresh])
        return None if ids is None else {(f, starts_at): id_ for (_, f, starts_at), id_ in zip(fresh, ids, strict=True)}

    def _commit(
        self,
        connection: sqlite3.Connection,
        receipts: Sequence[Receipt],
        *,
        groups: dict[str, list[Sighting]],
        recalls: bool,
    ) -> list[Outcome]:
        self._log.catch_up(connection)
        groups = renamed(groups, _open_before(connection, from_grafana(groups, self._seen)))
        left = {f: s for f, s in groups.items() if not self._count_repeats(connection, f, s)}
        decisions = self._decide(connection, left, recalls=recalls)
        events, queue = notify(decisions, self._router, published={r.id for r in receipts if r.publish})
        ids = write_decisions(connection, decisions, self._log)
        write_events(connection, events, ids)
        connection.executemany(sql.INSERT_QUEUE, map(sql.queue_row, queue))
        plain = [(self._seen[f].about, self._seen[f].receiver, len(s)) for f, s in groups.items() if f not in left]
        write_changes(connection, written_changes(decisions, plain))
        self._see(decisions, ids)
        placed = _keep_notes(connection, receipts, self._log)
        write_news(connection, [*events, *placed.new])
        receipt_outcomes = outcomes(receipts, decisions=decisions, placed=placed, queue=queue)
        rows = [sql.receipt_row(*pair) for pair in zip(receipts, receipt_outcomes, strict=True)]
        connection.executemany(sql.INSERT_RECEIPT, rows)
        self._keep_bodies(connection, receipts)
        refused = quarantined(receipts, events=events, placed=placed)
        connection.executemany(sql.INSERT_QUARANTINE, starmap(sql.quarantine_row, refused))
        _keep_silences(connection, receipts)
        return receipt_outcomes

    def _count_repeats(self, connection: sqlite3.Connection, fingerprint: str, sightings: Sequence[Sighting]) -> bool:
        """Count plain repeats of an alert seen lately; returns whether the sightings were plain repeats."""
        seen = self._seen.get(fingerprint)
        if seen is None or not is_same_word(sightings):
            return False
        counted = connection.execute(sql.COUNT_PLAIN_REPEATS, sql.plain_repeats(seen, sightings))
        return counted.rowcount == 1

    def _decide(
        self, connection: sqlite3.Connection, groups: Mapping[str, Sequence[Sighting]], *, recalls: bool
    ) -> list[Decision]:
        """Decide by what is known. The whole history is asked about an end whose firing has no standing."""
        known: dict[str, Known | None] = dict(find_known(connection, groups, self._log))
        for fingerprint, sightings in groups.items():
            if fingerprint not in known and (recalls or not sightings[0].word.is_firing):
                known[fingerprint] = recall(connection, fingerprint)
        return [decide(known.get(f), s, rules=self._rules, witnesses=self.witnesses) for f, s in groups.items()]

    def _see(self, decisions: Sequence[Decision], ids: Mapping[Key, int]) -> None:
        self.witnesses = with_peers(self.witnesses, decisions)
        for decision in decisions:
            newest = decision.newest
            if newest is not None:
                row_id = ids[decision.fingerprint, newest.starts_at]
                self._seen[decision.fingerprint] = Seen.of(newest, row_id=row_id)
        if len(self._seen) > 2 * _SEEN:
            self._seen = dict(islice(self._seen.items(), len(self._seen) - _SEEN, None))

    def _keep_bodies(self, connection: sqlite3.Connection, receipts: Iterable[Receipt]) -> None:
        """Keep the bodies that are new today: a repeated notification has the same bytes."""
        for key, body in self._new_bodies(receipts).items():
            packed = self._compressor.compress(body, ZstdCompressor.FLUSH_FRAME)
            connection.execute(sql.INSERT_BODY, (*key, packed))

    def _new_bodies(self, receipts: Iterable[Receipt]) -> dict[tuple[int, bytes], bytes]:
        bodies = {_body_key(receipt): receipt.body for receipt in receipts}
        return {key: body for key, body in bodies.items() if key not in self._known_bodies}

    def _remember_bodies(self, receipts: Iterable[Receipt]) -> None:
        """Remember committed bodies alone, so that a body that was rolled back is written the next time."""
        remember(self._known_bodies, dict.fromkeys(map(_body_key, receipts)), limit=_KNOWN_BODIES)


def _body_key(receipt: Receipt) -> tuple[int, bytes]:
    return to_us(receipt.received_at) // _DAY * _DAY, receipt.body_sha256


def _open_before(connection: sqlite3.Connection, older: Mapping[str, str]) -> dict[str, str]:
    """The alerts of a Grafana that an older release left open, with the fingerprint of the older release."""
    names = {}
    for fingerprint, before in older.items():
        rows = connection.execute(sql.NEWEST, (fingerprint_term(before), before)).fetchall()
        if any(row["status"] == "firing" and row["source"] == "grafana" for row in rows):
            names[fingerprint] = before
    return names


def _keep_silences(connection: sqlite3.Connection, receipts: Sequence[Receipt]) -> None:
    silences = newest_silences(receipts)
    if silences:
        connection.executemany(sql.UPSERT_SILENCE, map(sql.silence_row, silences))
        run_work(connection, keep_versions, recorded_versions(receipts))


def _keep_notes(connection: sqlite3.Connection, receipts: Sequence[Receipt], log: StandingLog) -> PlacedNotes:
    """Keep notes as events of their occurrences; notes of unknown alerts are orphans."""
    notes = [(receipt, note) for receipt in receipts for note in scoped_notes(receipt)]
    ids: dict[Key, int] = {}
    places: list[NotePlace] = []
    for receipt, note in notes:
        starts_at = _occurrence_of(connection, note, log)
        row = None
        if starts_at is not None:
            row = connection.execute(sql.FIND_ID, (to_us(starts_at), note.fingerprint)).fetchone()
        if row is not None and starts_at is not None:
            ids[note.fingerprint, starts_at] = row[0]
        places.append((receipt, note, None if row is None else starts_at))
    placed = place_notes(places)
    for event in placed.events:
        row_values = sql.event_row(ids[event.fingerprint, event.starts_at], event)
        if connection.execute(sql.INSERT_NOTE, row_values).fetchall():
            placed.take([event])
    mute(connection, placed.events, log)
    return placed


def _occurrence_of(connection: sqlite3.Connection, note: Note, log: StandingLog) -> datetime | None:
    """The key of the occurrence of a note; None for an unknown occurrence."""
    text = log.find(connection, [note.fingerprint]).get(note.fingerprint)
    key_us = None if text is None else key_of_note(read_standing(text), note)
    if key_us is not None:
        return from_us(key_us)
    return note.starts_at or _newest_start(connection, note.fingerprint)


def _newest_start(connection: sqlite3.Connection, fingerprint: str) -> datetime | None:
    arguments = (fingerprint_term(fingerprint), fingerprint)
    row = connection.execute(sql.NEWEST_START, arguments).fetchone()
    return None if row is None else from_us(row[0])
