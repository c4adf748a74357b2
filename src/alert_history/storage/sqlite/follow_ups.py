"""SQLite: follow-ups, which say what an alert means to targets that know the alert.

The event goes into a timeline, and each database keeps timelines its own way.
"""

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from alert_history.domain.microseconds import to_us
from alert_history.domain.notifying import classified_event, follow_up_delivery
from alert_history.ports import KeptVerdict
from alert_history.storage.sqlite import rows as sql
from alert_history.storage.sqlite.connection import Connections
from alert_history.storage.sqlite.deciding import write_news

_IS_FIRING = "SELECT id FROM alerts WHERE starts_at = ? AND fingerprint = ? AND status = 'firing'"
_TAKE_ALONG = """UPDATE delivery_queue SET shape = ?
    WHERE starts_at = ? AND fingerprint = ? AND target = ? AND event_key >= 0"""
_IS_PENDING = """SELECT 1 FROM delivery_queue
    WHERE starts_at = ? AND fingerprint = ? AND target = ? AND event_key >= 0
    AND (state = 'pending' OR event = 'classified')"""

_IS_FOLLOWED_UP = """SELECT 1 FROM deliveries
    WHERE starts_at = ? AND fingerprint = ? AND target = ? AND event = 'classified'
    AND state = 'delivered' AND created_at >= ?"""


class SqliteFollowUp:
    """See `shared.classifications.FollowUp`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def __call__(
        self, verdict: KeptVerdict, *, targets: Sequence[tuple[str, datetime, str]], now: datetime
    ) -> int:
        """See `ports.Classifications.follow_up`."""
        return await self._connections.write(_follow_up, verdict, targets=targets, now=now)


def _follow_up(
    connection: sqlite3.Connection, verdict: KeptVerdict, *, targets: Sequence[tuple[str, datetime, str]], now: datetime
) -> int:
    queued = 0
    for fingerprint, starts_at, target in targets:
        key = (to_us(starts_at), fingerprint)
        connection.execute(_TAKE_ALONG, (verdict.shape, *key, target))
        alert = connection.execute(_IS_FIRING, key).fetchone()
        if alert is None or connection.execute(_IS_PENDING, (*key, target)).fetchone():
            continue
        if connection.execute(_IS_FOLLOWED_UP, (*key, target, to_us(verdict.verdict.classification.at))).fetchone():
            continue
        event = classified_event(verdict, fingerprint=fingerprint, starts_at=starts_at, now=now)
        if connection.execute(sql.INSERT_NOTE, sql.event_row(alert["id"], event)).fetchall():
            write_news(connection, [event])
        connection.execute(sql.INSERT_QUEUE, sql.queue_row(follow_up_delivery(event, target, shape=verdict.shape)))
        queued += 1
    return queued
