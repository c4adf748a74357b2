"""The spool of an import: firings in a temporary file, which are read back sorted by label set.

The file lies in a folder of its own where Python puts temporary files (TMPDIR); a killed process leaves it to the
system. It takes about half a kilobyte a firing, and as much again while it is sorted.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.past_firing import PastFiring
from alert_history.domain.past_wholes import closed
from alert_history.ports.imports import SpoolExtent
from alert_history.storage.shared.importing import MOST_FIRINGS
from alert_history.storage.spool_aside import FileAsideSpool

STEP_LABEL_SETS = 1_000
_MOST_TOGETHER = 20 * MOST_FIRINGS

_CREATE = "CREATE TABLE firings (fingerprint TEXT, start_us INTEGER, sign_us INTEGER, firing BLOB)"
_ADD = "INSERT INTO firings VALUES (?, ?, ?, ?)"
_EXTENT = "SELECT count(*), min(start_us), max(start_us), coalesce(sum(sign_us < ?), 0) FROM firings"
# Label sets that began on one day are taken together, so that a database that is in the order of time is written so.
_FIRST_DAYS = """CREATE TABLE first_days (fingerprint TEXT PRIMARY KEY, day INTEGER) WITHOUT ROWID;
INSERT INTO first_days SELECT fingerprint, min(start_us) / 86400000000 FROM firings GROUP BY fingerprint"""
_SORTED = """SELECT f.fingerprint, f.start_us, f.sign_us, f.firing
FROM firings f CROSS JOIN first_days d ON d.fingerprint = f.fingerprint
ORDER BY d.day, f.fingerprint, f.start_us, f.sign_us"""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(PastFiring).decode


class FileSpool:
    """See `ports.imports.Spool`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.aside = FileAsideSpool(connection)

    def add(self, firings: Sequence[tuple[str, PastFiring]]) -> None:
        """See `Spool.add`."""
        rows = [(f, to_us(firing.starts_at), firing.last_sign_us, _encode(firing)) for f, firing in firings]
        self._connection.execute("BEGIN")
        self._connection.executemany(_ADD, rows)
        self._connection.execute("COMMIT")

    def extent(self, *, signs_before_us: int) -> SpoolExtent:
        """See `Spool.extent`."""
        number, oldest, newest, old = self._connection.execute(_EXTENT, (signs_before_us,)).fetchone()
        if oldest is None:
            return SpoolExtent(0, None, None, 0)
        return SpoolExtent(number, from_us(oldest), from_us(newest), old)

    def groups(self) -> Iterator[list[list[PastFiring]]]:
        """See `Spool.groups`. A long label set is cut where nothing fires, unless something fires for too long."""
        self._connection.executescript(_FIRST_DAYS)
        step: list[list[PastFiring]] = []
        firings = 0
        for _, rows in groupby(self._connection.execute(_SORTED), key=lambda row: row[0]):
            group: list[PastFiring] = []
            sign_us = 0
            for _, start_us, own_sign_us, firing in rows:
                is_long = len(group) >= MOST_FIRINGS
                if is_long and (start_us > sign_us or len(group) == _MOST_TOGETHER):
                    yield [closed(group)]
                    group = []
                sign_us = max(sign_us, own_sign_us)
                group.append(_decode(firing))
            if step and (firings + len(group) > MOST_FIRINGS or len(step) == STEP_LABEL_SETS):
                yield step
                step, firings = [], 0
            step.append(group)
            firings += len(group)
        if step:
            yield step


@contextmanager
def open_spool() -> Iterator[FileSpool]:
    """A spool, which is gone at the end. Raises OSError where there is no place for it, also from within."""
    with TemporaryDirectory(prefix="alert-history-import-") as folder:
        path = Path(folder) / "firings"
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            for setting in (
                "journal_mode = OFF",
                "synchronous = OFF",
                "cache_size = -16000",
                "locking_mode = EXCLUSIVE",
            ):
                connection.execute(f"PRAGMA {setting}")
            connection.execute(_CREATE)
            yield FileSpool(connection)
        except sqlite3.Error as error:
            raise OSError(f"the temporary file of the import, in {Path(folder).parent}: {error}") from error
        finally:
            connection.interrupt()  # a thread may be at it, when the import is cancelled
            connection.close()
