"""Beside the spool of an import: what goes to an archive, sorted by day, and what that archive holds, by label set."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from alert_history.domain.archive_tables import ACTS, ALERTS, Row
from alert_history.domain.counting import AGAIN_WITHIN_US
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.past_firing import PastFiring
from alert_history.domain.setting_aside import Aside, Held, Leaving, held_of_leaving

_CREATE = (
    "CREATE TABLE leaving (at_us INTEGER, fingerprint TEXT, occurrence BLOB)",
    "CREATE TABLE acts (at_us INTEGER, fingerprint TEXT, act BLOB)",
    """CREATE TABLE held (fingerprint TEXT, key_us INTEGER, start_us INTEGER, end_us INTEGER, import_id TEXT,
        is_double INTEGER)""",
    "CREATE INDEX held_by_label_set ON held (fingerprint, start_us)",
)
_LABEL_SETS = "CREATE TABLE IF NOT EXISTS label_sets AS SELECT DISTINCT fingerprint FROM firings"
_LABEL_SETS_INDEX = "CREATE INDEX IF NOT EXISTS label_sets_by_fingerprint ON label_sets (fingerprint)"
_HOLD = """INSERT INTO held SELECT ?1, ?2, ?3, ?4, ?5, ?6
    WHERE EXISTS (SELECT 1 FROM label_sets WHERE fingerprint = ?1)"""
_HELD = "SELECT * FROM held WHERE fingerprint = ? AND start_us <= ? AND end_us >= ? ORDER BY key_us"
_LEAVING = "SELECT occurrence FROM leaving ORDER BY at_us, fingerprint"
_ACTS = "SELECT act FROM acts ORDER BY at_us, fingerprint"

_encode = msgspec.msgpack.Encoder().encode
_decode_leaving = msgspec.msgpack.Decoder(Leaving).decode
_decode_act = msgspec.msgpack.Decoder(Row).decode


class FileAsideSpool:
    """See `ports.aside_spool.AsideSpool`. It lies in the file of the spool."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._cursors: dict[str, sqlite3.Cursor] = {}
        for statement in _CREATE:
            connection.execute(statement)

    def hold(self, held: Sequence[Held]) -> None:
        """See `AsideSpool.hold`."""
        self._connection.execute(_LABEL_SETS)
        self._connection.execute(_LABEL_SETS_INDEX)
        self._write(_HOLD, map(msgspec.structs.astuple, held))

    def held(self, groups: Sequence[Sequence[PastFiring]]) -> dict[str, list[Held]]:
        """See `AsideSpool.held`."""
        held = {}
        for group in groups:
            since_us = to_us(group[0].starts_at) - AGAIN_WITHIN_US
            span = (max(each.last_sign_us for each in group), since_us)
            fingerprint = group[0].fingerprint
            held[fingerprint] = [_held(row) for row in self._connection.execute(_HELD, (fingerprint, *span))]
        return {fingerprint: rows for fingerprint, rows in held.items() if rows}

    def put(self, aside: Aside) -> None:
        """See `AsideSpool.put`."""
        leaving = [(*_place(ALERTS.values(each.entry.row, _BY)), _encode(each)) for each in aside.leaving]
        self._write("INSERT INTO leaving VALUES (?, ?, ?)", leaving)
        acts = [(*_place(ACTS.values(row, ("at", "fingerprint"))), _encode(row)) for row in aside.acts]
        self._write("INSERT INTO acts VALUES (?, ?, ?)", acts)
        held = [msgspec.structs.astuple(held_of_leaving(each)) for each in aside.leaving]
        self._write("INSERT INTO held VALUES (?, ?, ?, ?, ?, ?)", held)

    def days(self) -> tuple[datetime, datetime] | None:
        """See `AsideSpool.days`."""
        first_us, last_us = self._connection.execute("SELECT min(at_us), max(at_us) FROM leaving").fetchone()
        return None if first_us is None else (from_us(first_us), from_us(last_us))

    def leaving(self, limit: int) -> list[Leaving]:
        """See `AsideSpool.leaving`."""
        return [_decode_leaving(row[0]) for row in self._next(_LEAVING, limit)]

    def acts(self, limit: int) -> list[Row]:
        """See `AsideSpool.acts`."""
        return [_decode_act(row[0]) for row in self._next(_ACTS, limit)]

    def _next(self, statement: str, limit: int) -> list[Any]:
        if statement not in self._cursors:
            self._cursors[statement] = self._connection.execute(statement)
        return self._cursors[statement].fetchmany(limit)

    def _write(self, statement: str, rows: Any) -> None:
        self._connection.execute("BEGIN")
        self._connection.executemany(statement, rows)
        self._connection.execute("COMMIT")


_BY = ("timestamp", "fingerprint")


def _place(values: Row) -> tuple[int, str]:
    at, fingerprint = values
    return to_us(at), fingerprint


def _held(row: tuple[Any, ...]) -> Held:
    fingerprint, key_us, start_us, end_us, import_id, is_double = row
    return Held(fingerprint, key_us, start_us, end_us, import_id, is_double=bool(is_double))
