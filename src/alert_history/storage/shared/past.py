"""What the history knows of an alert: the part that both databases share.

Each database finds the occurrences its own way. A newest-first page of one alertname needs another index on each, and a
plan that stays cheap however long the history is: see `postgres.past` and `sqlite.past`.
"""

from collections.abc import Awaitable, Callable

from alert_history.domain.classification import Case, Past
from alert_history.domain.past import Earlier, has_room, past_of, similar_of
from alert_history.domain.severity import Severity

Look = Callable[[Case], Awaitable[tuple[list[Earlier], list[str]]]]
"""Finds earlier occurrences of the alertname and namespace of a case, newest first, and what else began around it.

Raises: StorageUnavailable, QueryTimeout."""


async def past(look: Look, case: Case, *, severity_and_advice: tuple[Severity, tuple[str, ...]] | None) -> Past:
    """See `ports.ClassificationHistory.past`. `severity_and_advice` are those that its shape was given last.

    Raises: StorageUnavailable, QueryTimeout.
    """
    if not has_room(case.starts_at):
        return Past()
    earlier, around = await look(case)
    similar = similar_of(earlier, severity_and_advice)
    return past_of(earlier, fingerprint=case.fingerprint, starts_at=case.starts_at, around=around, similar=similar)
