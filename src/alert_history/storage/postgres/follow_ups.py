"""PostgreSQL: follow-ups, which say what an alert means to targets that know the alert.

The event goes into a timeline, and each database keeps timelines its own way. One statement looks up all targets by
key: an OFFSET keeps the planner from making a join of a look-up, whatever sizes the tables seem to have.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from alert_history.domain.notifying import classified_event, follow_up_delivery
from alert_history.ports import KeptVerdict
from alert_history.storage.postgres import statements as sql
from alert_history.storage.postgres.connection import Connections
from alert_history.storage.postgres.deciding import write_news, write_notes
from alert_history.storage.postgres.dialer import Connection
from alert_history.storage.postgres.driver_errors import storage_errors
from alert_history.storage.postgres.rows import copy, queue_row

_TARGETS = "unnest($2::text[], $3::timestamptz[], $4::text[]) AS u(fingerprint, starts_at, target)"
_TAKE_ALONG = f"""UPDATE delivery_queue q SET shape = $1 FROM {_TARGETS}
    WHERE q.fingerprint = u.fingerprint AND q.starts_at = u.starts_at AND q.target = u.target AND q.event_key >= 0"""
_TO_NOTIFY = """SELECT u.*
    FROM unnest($1::text[], $2::timestamptz[], $3::text[]) AS u(fingerprint, starts_at, target)
    JOIN alerts a ON a.fingerprint = u.fingerprint AND a.starts_at = u.starts_at AND a.status = 'firing'
    WHERE NOT EXISTS (SELECT 1 FROM delivery_queue q WHERE q.fingerprint = u.fingerprint
        AND q.starts_at = u.starts_at AND q.target = u.target AND q.event_key >= 0
        AND (q.state = 'pending' OR q.event = 'classified') OFFSET 0)
    AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.fingerprint = u.fingerprint
        AND d.starts_at = u.starts_at AND d.target = u.target AND d.event = 'classified'
        AND d.state = 'delivered' AND d.created_at >= $4 OFFSET 0)"""


class PostgresFollowUp:
    """See `shared.classifications.FollowUp`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def __call__(
        self, verdict: KeptVerdict, *, targets: Sequence[tuple[str, datetime, str]], now: datetime
    ) -> int:
        """See `ports.Classifications.follow_up`."""
        with storage_errors():
            async with self._connections.deliverer() as connection, connection.transaction():
                return await _follow_up(connection, verdict, targets=targets, now=now)


async def _follow_up(
    connection: Connection, verdict: KeptVerdict, *, targets: Sequence[tuple[str, datetime, str]], now: datetime
) -> int:
    columns = list(zip(*sorted(targets), strict=True))
    await connection.execute(_TAKE_ALONG, verdict.shape, *columns)
    to_notify = await _to_notify(connection, verdict, columns)
    if not to_notify:
        return 0
    events = {
        (fingerprint, starts_at): classified_event(verdict, fingerprint=fingerprint, starts_at=starts_at, now=now)
        for fingerprint, starts_at, _ in to_notify
    }
    await write_news(connection, await write_notes(connection, list(events.values())))
    # A replica that does the same has added the same events, so one of the two waited for the other: look again.
    to_notify = await _to_notify(connection, verdict, columns)
    queue = [
        follow_up_delivery(events[f, s], target, shape=verdict.shape) for f, s, target in to_notify if (f, s) in events
    ]
    await copy(connection, "delivery_queue", map(queue_row, queue), columns=sql.QUEUE_COLUMNS)
    return len(queue)


async def _to_notify(
    connection: Connection, verdict: KeptVerdict, columns: list[Any]
) -> list[tuple[str, datetime, str]]:
    """The targets that are still to be notified, each with its alert."""
    rows = await connection.fetch(_TO_NOTIFY, *columns, verdict.verdict.classification.at)
    return [(row[0], row[1], row[2]) for row in rows]
