"""SQLite: what the history knows of an alert, at a bounded cost.

Ids follow the time of arrival, so `alert_terms` gives the newest rows of an alertname first; a `+` keeps the planner
from other ways. An alert without an alertname has no past.
"""

import sqlite3
from datetime import datetime

from alert_history.domain.classification import Case
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.past import (
    AROUND,
    LATE,
    LOOKS_BACK,
    MOST_AROUND,
    MOST_BEGAN,
    MOST_OCCURRENCES,
    MOST_OF_A_NAME,
    Earlier,
)
from alert_history.storage.shared.rows import time_of
from alert_history.storage.sqlite import rows as sql
from alert_history.storage.sqlite.connection import Connections
from alert_history.storage.sqlite.terms import label_term

_EARLIER = """SELECT fingerprint, starts_at, ends_at FROM (
        SELECT a.fingerprint, a.starts_at, a.ends_at, a.namespace FROM alert_terms t JOIN alerts a ON a.id = t.rowid
        WHERE t.alert_terms MATCH ? AND +a.alertname = ? AND t.rowid >= ? AND t.rowid < ?
            AND +a.starts_at >= ? AND +a.starts_at < ? ORDER BY t.rowid DESC LIMIT ?)
    WHERE +namespace = ? ORDER BY starts_at DESC LIMIT ?"""
_AROUND = """SELECT DISTINCT alertname FROM (
        SELECT alertname FROM alerts
        WHERE id >= ? AND id < ? AND +starts_at >= ? AND +starts_at < ? ORDER BY id LIMIT ?)
    WHERE +alertname <> ? ORDER BY alertname LIMIT ?"""


class SqlitePast:
    """See `shared.past.Look`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def __call__(self, case: Case) -> tuple[list[Earlier], list[str]]:
        """See `shared.past.Look`."""
        return await self._connections.read(_read, case)


def _read(connection: sqlite3.Connection, case: Case) -> tuple[list[Earlier], list[str]]:
    """The earlier occurrences, newest first, and the alertnames of others that began around the same time."""
    name, namespace, start = case.labels.get("alertname", ""), case.labels.get("namespace", ""), case.starts_at
    received = _id_at(start + AROUND + LATE)
    month = (start - LOOKS_BACK, start)
    rows = connection.execute(
        _EARLIER,
        (
            label_term("alertname", name),
            name,
            _id_at(month[0]),
            received,
            *map(to_us, month),
            MOST_OF_A_NAME,
            namespace,
            MOST_OCCURRENCES,
        ),
    )
    earlier = [Earlier(row[0], from_us(row[1]), time_of(row[2])) for row in rows]
    minutes = (start - AROUND, start + AROUND)
    others = connection.execute(
        _AROUND, (_id_at(minutes[0]), received, *map(to_us, minutes), MOST_BEGAN, name, MOST_AROUND)
    )
    return earlier, [row[0] for row in others]


def _id_at(time: datetime) -> int:
    return max(to_us(time), 0) * sql.IDS_A_MICROSECOND
