"""SQLite: which new occurrences a segment of searches may be built without, whichever process writes them.

Knows little of the rest, because the process that only writes imports it.
"""

import sqlite3
from collections.abc import Iterable

IDS_A_MICROSECOND = 256
"""How many ids of `alerts` a microsecond of `timestamp` has."""

_NEW_MICROSECONDS = 30_000_000
_NEW_FROM = """SELECT max(coalesce((SELECT max(id) FROM alerts), 0) / 256 - ?,
    coalesce((SELECT until_at FROM search_segments ORDER BY first_at DESC LIMIT 1), 0))"""
_INSERT = "INSERT INTO search_strays (at) VALUES (?)"


def keep_strays(connection: sqlite3.Connection, ids: Iterable[int]) -> None:
    """Note those ids of occurrences to be added that are so old that a segment is built, or may be, without them."""
    new_from = connection.execute(_NEW_FROM, (_NEW_MICROSECONDS,)).fetchone()[0]
    times = {alert_id // IDS_A_MICROSECOND for alert_id in ids}
    connection.executemany(_INSERT, [(time,) for time in sorted(times) if time < new_from])
