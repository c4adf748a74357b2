"""PostgreSQL: what the history knows of an alert, at a bounded cost.

An index gives the newest rows of the alertname in order of time, within a bound. The planner would else walk all rows
of a namespace, or all rows of a rule that fires a million times. The condition on `starts_at` leaves only the
partitions of those weeks. Both need plans for the values at hand: the generic plan, which a prepared statement gets
after five runs, took 400 ms at a million rows, and this takes a few.
"""

from typing import Any

from alert_history.domain.classification import Case
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
from alert_history.storage.postgres.connection import Connections
from alert_history.storage.postgres.driver_errors import storage_errors

_EARLIER = """WITH same AS MATERIALIZED (
        SELECT fingerprint, starts_at, ends_at, namespace FROM alerts
        WHERE alertname = $1 AND "timestamp" >= $2 AND "timestamp" < $4 AND starts_at >= $2 AND starts_at < $3
        ORDER BY "timestamp" DESC LIMIT $6)
    SELECT fingerprint, starts_at, ends_at FROM same WHERE namespace = $5 ORDER BY starts_at DESC LIMIT $7"""
_AROUND = """WITH began AS MATERIALIZED (
        SELECT alertname FROM alerts
        WHERE "timestamp" >= $1 AND "timestamp" < $3 AND starts_at >= $1 AND starts_at < $2
        ORDER BY "timestamp" LIMIT $5)
    SELECT DISTINCT alertname FROM began WHERE alertname <> $4 ORDER BY alertname LIMIT $6"""


class PostgresPast:
    """See `shared.past.Look`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def __call__(self, case: Case) -> tuple[list[Earlier], list[str]]:
        """See `shared.past.Look`."""
        name, namespace, start = case.labels.get("alertname", ""), case.labels.get("namespace", ""), case.starts_at
        since, received = start - LOOKS_BACK, start + AROUND + LATE
        with storage_errors():
            async with self._connections.reader() as connection, connection.transaction(readonly=True):
                await connection.execute("SET LOCAL plan_cache_mode = force_custom_plan")
                rows: list[Any] = await connection.fetch(
                    _EARLIER, name, since, start, received, namespace, MOST_OF_A_NAME, MOST_OCCURRENCES
                )
                others: list[Any] = await connection.fetch(
                    _AROUND, start - AROUND, start + AROUND, received, name, MOST_BEGAN, MOST_AROUND
                )
        return [Earlier(*row) for row in rows], [row[0] for row in others]
