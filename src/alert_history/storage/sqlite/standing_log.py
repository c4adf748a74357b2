"""SQLite: new standings go into a log, and from the log into the table that is ordered by fingerprint.

A new standing in that table is another page to write for each alert: a third of what ingest cost. So this appends new
standings to `standings_new`, finds them by an index in memory, and moves them in the order of the table, many to a
page. All of it is in the transaction of the alert. Several processes may write one file: each reads what others
appended before it asks. Must be used in the thread that writes, inside its transactions.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from alert_history.storage.shared.json_text import encode_json

MOVE_FROM = 4_000
"""How many standings make a move worth its cost."""

_LARGE = 10 * MOVE_FROM
_BUCKETS = "0123456789abcdef"
_DELETE_ROWS = 2_000

_APPEND = "INSERT INTO standings_new (id, fingerprint, standing, closed_at, conflict_at) VALUES (?, ?, ?, ?, ?)"
_TAIL = "SELECT id, fingerprint FROM standings_new WHERE id > ? ORDER BY id"
_IS_THERE = "SELECT 1 FROM standings_new WHERE id = ? AND fingerprint = ?"
_LOWEST = "SELECT min(id) FROM standings_new"
_FIND_NEW = "SELECT standing FROM standings_new WHERE id = ? AND fingerprint = ?"
_FIND = "SELECT s.fingerprint, s.standing FROM json_each(?) AS j CROSS JOIN standings s ON s.fingerprint = j.value"
_MOVE = """INSERT INTO standings (fingerprint, standing, closed_at, conflict_at)
    SELECT n.fingerprint, n.standing, n.closed_at, n.conflict_at
    FROM json_each(?) AS j CROSS JOIN standings_new n ON n.id = j.value WHERE true
    ON CONFLICT (fingerprint) DO UPDATE SET standing = excluded.standing, closed_at = excluded.closed_at,
        conflict_at = excluded.conflict_at"""
# The newest row stays, so that ids go on from there after any process opens the file.
_DELETE = """DELETE FROM standings_new WHERE id IN (SELECT id FROM standings_new
    WHERE id <= ? AND id < (SELECT max(id) FROM standings_new) ORDER BY id LIMIT ?)"""


class StandingLog:
    """Standings by fingerprint, each as JSON text."""

    def __init__(self) -> None:
        self._ids: dict[str, dict[str, int]] = {bucket: {} for bucket in _BUCKETS}
        self._read_up_to = 0
        self._newest: tuple[int, str] | None = None
        self._moving_up_to = 0
        self._to_move: list[str] = []
        self._most = _LARGE

    def catch_up(self, connection: sqlite3.Connection) -> None:
        """Read what was appended since. After a rollback, or a move by another process, read the whole index anew.

        Another process moves standings without a word, so a large index forgets what is in the log no more.
        """
        if self._newest is not None and connection.execute(_IS_THERE, self._newest).fetchone() is None:
            self._forget()
        elif self._size() > self._most:
            self._prune(connection)
        for number, fingerprint in connection.execute(_TAIL, (self._read_up_to,)).fetchall():
            self._remember(fingerprint, number)

    def find(self, connection: sqlite3.Connection, fingerprints: Iterable[str]) -> dict[str, str]:
        """The standings of label sets that have one: from the log, else from the table, with one statement."""
        texts: dict[str, str] = {}
        others: list[str] = []
        for fingerprint in fingerprints:
            number = self._bucket(fingerprint).get(fingerprint)
            row = None if number is None else connection.execute(_FIND_NEW, (number, fingerprint)).fetchone()
            if row is None:
                others.append(fingerprint)
            else:
                texts[fingerprint] = row[0]
        if others:
            texts |= connection.execute(_FIND, (encode_json(others).decode(),)).fetchall()
        return texts

    def note(self, fingerprints: Sequence[str], *, last: int) -> None:
        """Take up what another process appended, its last row numbered `last`; if it is no sequel, it is read later."""
        if last - len(fingerprints) != self._read_up_to:
            return
        for number, fingerprint in enumerate(fingerprints, start=self._read_up_to + 1):
            self._remember(fingerprint, number)

    def write(self, connection: sqlite3.Connection, rows: Iterable[tuple[Any, ...]]) -> None:
        """Append rows of `rows.standing_row`, after `catch_up`."""
        numbered = [(number, *row) for number, row in enumerate(rows, start=self._read_up_to + 1)]
        connection.executemany(_APPEND, numbered)
        for number, fingerprint, *_ in numbered:
            self._remember(fingerprint, number)

    def move(self, connection: sqlite3.Connection) -> bool:
        """Move a sixteenth of the log, or delete some moved standings; returns whether more is left to do."""
        self.catch_up(connection)
        if self._to_move:
            self._move_bucket(connection, self._to_move.pop())
            return True
        if self._moving_up_to and self._delete(connection):
            return True
        if self._size() < MOVE_FROM:
            return False
        self._moving_up_to, self._to_move = self._read_up_to, list(_BUCKETS)
        return True

    def _move_bucket(self, connection: sqlite3.Connection, bucket: str) -> None:
        ids = self._ids[bucket]
        numbers = [ids[fingerprint] for fingerprint in sorted(ids) if ids[fingerprint] <= self._moving_up_to]
        connection.execute(_MOVE, (encode_json(numbers).decode(),))
        self._ids[bucket] = {name: number for name, number in ids.items() if number > self._moving_up_to}

    def _delete(self, connection: sqlite3.Connection) -> bool:
        deleted = connection.execute(_DELETE, (self._moving_up_to, _DELETE_ROWS)).rowcount
        if deleted == 0:
            self._moving_up_to = 0
        return deleted > 0

    @property
    def last(self) -> int:
        """The number of the last row that is known."""
        return self._read_up_to

    def _prune(self, connection: sqlite3.Connection) -> None:
        lowest = connection.execute(_LOWEST).fetchone()[0] or 0
        for bucket, ids in self._ids.items():
            self._ids[bucket] = {name: number for name, number in ids.items() if number >= lowest}
        self._most = max(_LARGE, 2 * self._size())

    def _size(self) -> int:
        return sum(map(len, self._ids.values()))

    def _forget(self) -> None:
        self._ids = {bucket: {} for bucket in _BUCKETS}
        self._read_up_to, self._newest = 0, None

    def _bucket(self, fingerprint: str) -> dict[str, int]:
        return self._ids.get(fingerprint[:1], self._ids["0"])

    def _remember(self, fingerprint: str, number: int) -> None:
        self._bucket(fingerprint)[fingerprint] = number
        self._read_up_to, self._newest = number, (number, fingerprint)
