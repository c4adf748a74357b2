"""PostgreSQL: what the history knows of an alert, at a bounded cost.

The newest rows of the alertname come from their index in order of time, and only so many of them: the planner would
else walk all of a namespace, or all of a rule that fires a million times. What is asked of `starts_at` leaves it only
the partitions of those weeks to plan for. Both need plans made for the values at hand: the generic one that a prepared
statement gets after five runs took 400 ms at a million rows where this takes a few.
"""

from collections.abc import Sequence
from typing import Any

from alert_history.domain.classification import Case, Past
from alert_history.domain.past import (
    AROUND,
    LATE,
    LOOKS_BACK,
    MOST_AROUND,
    MOST_BEGAN,
    MOST_OCCURRENCES,
    MOST_OF_A_NAME,
    Earlier,
    has_room,
    past_of,
    similar_of,
)
from alert_history.domain.severity import Severity
from alert_history.storage.postgres.connection import Connections, storage_errors

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


async def past(connections: Connections, case: Case, *, said: tuple[Severity, Sequence[str]] | None) -> Past:
    """See `ports.Classifications.past`. `said` is the severity and the advice that its shape was given last.

    Raises: StorageUnavailable, QueryTimeout.
    """
    if not has_room(case.starts_at):
        return Past()
    name, namespace, start = case.labels.get("alertname", ""), case.labels.get("namespace", ""), case.starts_at
    since, received = start - LOOKS_BACK, start + AROUND + LATE
    with storage_errors():
        async with connections.reader() as connection, connection.transaction(readonly=True):
            await connection.execute("SET LOCAL plan_cache_mode = force_custom_plan")
            rows: list[Any] = await connection.fetch(
                _EARLIER, name, since, start, received, namespace, MOST_OF_A_NAME, MOST_OCCURRENCES
            )
            others: list[Any] = await connection.fetch(
                _AROUND, start - AROUND, start + AROUND, received, name, MOST_BEGAN, MOST_AROUND
            )
    earlier = [Earlier(*row) for row in rows]
    around = [row[0] for row in others]
    told = None if said is None else (said[0], tuple(said[1]))
    similar = similar_of(earlier, told)
    return past_of(earlier, fingerprint=case.fingerprint, starts_at=start, around=around, similar=similar)
