"""What lies around occurrences: when others began, what was like them before, what fired beside them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from alert_history.domain.begins import Begin
from alert_history.domain.episode import Episode
from alert_history.domain.query import ALL, Query
from alert_history.ports.history import HistoryFilter


class Surroundings(Protocol):
    """Reads a bounded number of occurrences; those that match a query, where there is one.

    Every call may raise StorageUnavailable, QueryTimeout or InvalidQuery.
    """

    async def begins(self, wanted: HistoryFilter, *, most: int) -> Sequence[tuple[datetime, Begin]]:
        """When occurrences that match were received, and how they began, with all labels; the newest, newest first."""
        ...

    async def earlier(self, fingerprint: str, *, before: datetime, most: int, query: Query = ALL) -> Sequence[Episode]:
        """The episodes of a label set whose key is before a time, newest first; the fingerprint has its scope."""
        ...

    async def alike(self, episode: Episode, *, most: int, query: Query = ALL) -> Sequence[Episode]:
        """Episodes of other label sets with the same alertname and namespace, received before it; newest first."""
        ...

    async def near(self, episode: Episode, within: timedelta, *, most: int, query: Query = ALL) -> Sequence[Episode]:
        """Episodes received so long before it and after it, or less; of each at most so many, the nearest.

        They are in no order, and it is one of them.
        """
        ...

    async def firing(self, at: datetime, *, began_after: datetime, most: int, query: Query = ALL) -> Sequence[Episode]:
        """Episodes that were received before a time, and fired at it, in no order; of each kind at most so many.

        They are those that fire still, and those that were received after `began_after` and have ended since.
        """
        ...
