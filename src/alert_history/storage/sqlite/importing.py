"""SQLite: the hands of an import. There is one writer at a time, so no other writer gets in between."""

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from alert_history.domain.decision import Entry
from alert_history.domain.importing import ImportMark
from alert_history.domain.importing_new import NewFiring
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.occurrence import Event, Key, Occurrence
from alert_history.domain.past_firing import PastFiring
from alert_history.domain.standing import Standing
from alert_history.ports.import_files import Beside, Parted
from alert_history.ports.imports import ImportRecord, TakenBack
from alert_history.storage.shared.importing import STEP_ROWS, Present, Span, Step, take, take_back
from alert_history.storage.shared.json_text import encode_json
from alert_history.storage.shared.rows import new_alert_row
from alert_history.storage.shared.session import run_to_end
from alert_history.storage.shared.standing_text import read_standing
from alert_history.storage.sqlite import rows as sql
from alert_history.storage.sqlite.connection import Connections
from alert_history.storage.sqlite.database import SqliteSession
from alert_history.storage.sqlite.deciding import recall, write_events
from alert_history.storage.sqlite.standing_log import StandingLog
from alert_history.storage.sqlite.terms import fingerprint_term, terms_of
from alert_history.storage.sqlite.upkeep import remove_occurrences

_OF_LABEL_SET = """SELECT a.* FROM alert_terms t JOIN alerts a ON a.id = t.rowid
    WHERE t.alert_terms MATCH ? AND a.fingerprint = ? ORDER BY a.starts_at"""
_INSERT = sql.insert("alerts", ["id", *sql.ALERT_COLUMNS, "imported_at", "import_id"])
_OWN = f"""SELECT fingerprint, timestamp FROM alerts WHERE id >= ? AND id < ? AND import_id = ?
    ORDER BY id LIMIT {STEP_ROWS}"""
_FIND = "SELECT id, fingerprint, labels FROM alerts WHERE starts_at = ? AND fingerprint = ?"
_PRESENT = f"SELECT fingerprint FROM alerts LIMIT {Present.most + 1}"
_DISOWN = "UPDATE alerts SET import_id = NULL WHERE starts_at = ? AND fingerprint = ?"
_FORGET_ACTS = "DELETE FROM acts WHERE starts_at = ? AND fingerprint = ?"


class SqliteImporting:
    """See `shared.imports.Taking`."""

    def __init__(self, connections: Connections, log: StandingLog) -> None:
        self._connections = connections
        self._log = log
        self._present = Present()

    def begin(self) -> None:
        """See `Taking.begin`."""
        self._present.forget()

    async def take(
        self,
        record: ImportRecord,
        groups: Sequence[Sequence[PastFiring]],
        *,
        now: datetime,
        is_dry_run: bool,
        beside: Beside | None = None,
    ) -> Parted:
        """See `shared.imports.Taking.take`."""

        def run(connection: sqlite3.Connection) -> Parted:
            hands = _Hands(connection, self._log)
            if self._present.is_unread_for(record.id):
                self._present.read(record.id, connection.execute(_PRESENT).fetchall())
            step = Step(now, is_dry_run=is_dry_run, present=self._present, beside=beside)
            return run_to_end(take(hands, record, groups, step))

        return await self._connections.write(run)

    async def take_back(self, record: ImportRecord, *, after: datetime | None) -> TakenBack:
        """See `ports.Imports.take_back`."""

        def run(connection: sqlite3.Connection) -> TakenBack:
            return run_to_end(take_back(_Hands(connection, self._log), record, after=after))

        return await self._connections.write(run)


class _Hands:
    """See `shared.importing.Hands`. Its methods never wait."""

    def __init__(self, connection: sqlite3.Connection, log: StandingLog) -> None:
        self._connection = connection
        self._log = log
        self._ids: dict[Key, int] = {}
        self.session = SqliteSession(connection)

    async def lock(self, fingerprints: Sequence[str], *, begun: Collection[str]) -> dict[str, Standing]:  # noqa: ARG002  # nobody else writes
        """See `Hands.lock`."""
        self._log.catch_up(self._connection)
        texts = self._log.find(self._connection, fingerprints)
        return {fingerprint: read_standing(text) for fingerprint, text in texts.items()}

    async def recall(self, fingerprints: Sequence[str]) -> dict[str, Standing]:
        """See `Hands.recall`."""
        known = {fingerprint: recall(self._connection, fingerprint) for fingerprint in fingerprints}
        return {fingerprint: each.standing for fingerprint, each in known.items() if each is not None}

    async def around(self, spans: Mapping[str, Span]) -> list[Any]:
        """See `Hands.around`. The index of terms knows the label set alone, so all of its rows are looked at."""
        found = []
        for fingerprint, (since, until) in spans.items():
            rows = self._connection.execute(_OF_LABEL_SET, (fingerprint_term(fingerprint), fingerprint)).fetchall()
            found += _around(rows, to_us(since), to_us(until))
        return found

    async def insert(self, entries: Sequence[Entry], mark: ImportMark) -> None:
        """See `Hands.insert`."""
        firsts = [(entry, entry.first) for entry in entries if entry.first is not None]
        ids = sql.new_ids_apart(self._connection, [first.received_at for _, first in firsts])
        at = to_us(mark.at)
        rows, terms = [], []
        for alert_id, (entry, first) in zip(ids, firsts, strict=True):
            self._ids[first.alert.fingerprint, entry.starts_at] = alert_id
            rows.append((*sql.alert_row(alert_id, first, entry), at, mark.import_id))
            terms.append((alert_id, terms_of(first.alert.fingerprint, first.alert.labels)))
        self._connection.executemany(_INSERT, rows)
        self._connection.executemany(sql.INSERT_TERMS, terms)

    async def insert_new(self, firings: Sequence[NewFiring], mark: ImportMark) -> None:
        """See `Hands.insert_new`. In the order of time, because so the tables are ordered."""
        ordered = sorted(firings, key=lambda each: each.start_us)
        ids = sql.new_ids_apart(self._connection, [from_us(each.start_us) for each in ordered])
        at = to_us(mark.at)
        alerts: list[tuple[Any, ...]] = []
        terms: list[tuple[int, str]] = []
        events: list[tuple[Any, ...]] = []
        for alert_id, each in zip(ids, ordered, strict=True):
            row = new_alert_row(each, each.start_us, each.end_us, each.confirmed_us, at, mark.import_id)
            alerts.append((alert_id, *row))
            terms.append((alert_id, terms_of(each.fingerprint, each.label_texts)))
            detail = encode_json(each.end_detail(mark.origin)).decode()
            events.append((alert_id, 1, "fired", each.start_us, None, None))
            events.append((alert_id, 2, each.ended_by, each.end_us, None, detail))
        self._connection.executemany(_INSERT, alerts)
        self._connection.executemany(sql.INSERT_TERMS, terms)
        self._connection.executemany(sql.INSERT_EVENT, events)

    async def update(self, occurrences: Mapping[Key, Occurrence]) -> None:
        """See `Hands.update`."""
        rows = [sql.update_row(self._id(key), occurrence) for key, occurrence in occurrences.items()]
        self._connection.executemany(sql.UPDATE_ALERT, rows)

    async def add_events(self, events: Sequence[Event]) -> None:
        """See `Hands.add_events`."""
        keys = {(event.fingerprint, event.starts_at) for event in events}
        write_events(self._connection, events, {key: self._id(key) for key in keys})

    async def write_standings(self, standings: Mapping[str, Standing], *, vacated: Collection[str] = ()) -> None:  # noqa: ARG002  # none was made
        """See `Hands.write_standings`."""
        self._log.write(self._connection, [sql.standing_row(*pair) for pair in standings.items()])

    async def own(self, record: ImportRecord, since: datetime) -> list[tuple[str, datetime]]:
        """See `Hands.own`."""
        newest = record.newest or since
        bounds = (to_us(since) * sql.IDS_A_MICROSECOND, (to_us(newest) + 1) * sql.IDS_A_MICROSECOND)
        rows = self._connection.execute(_OWN, (*bounds, record.id)).fetchall()
        return [(row[0], from_us(row[1])) for row in rows]

    async def drop(self, keys: Sequence[Key]) -> None:
        """See `Hands.drop`."""
        own = [(to_us(starts_at), fingerprint) for fingerprint, starts_at in keys]
        remove_occurrences(self._connection, [self._connection.execute(_FIND, key).fetchone() for key in own])
        self._connection.executemany(_FORGET_ACTS, own)

    async def disown(self, keys: Sequence[Key]) -> None:
        """See `Hands.disown`."""
        self._connection.executemany(_DISOWN, [(to_us(starts_at), fingerprint) for fingerprint, starts_at in keys])

    def _id(self, key: Key) -> int:
        if key not in self._ids:
            fingerprint, starts_at = key
            self._ids[key] = self._connection.execute(sql.FIND_ID, (to_us(starts_at), fingerprint)).fetchone()[0]
        return self._ids[key]


def _around(rows: Sequence[sqlite3.Row], since: int, until: int) -> list[sqlite3.Row]:
    """Of all rows of a label set, in the order of their keys, those in the span and its neighbours."""
    before = [row for row in rows if row["starts_at"] <= since and row["joined_into"] is None]
    inside = [row for row in rows if since < row["starts_at"] <= until]
    behind = [row for row in rows if row["starts_at"] > until and row["joined_into"] is None]
    return [*before[-1:], *inside, *behind[:1]]
