"""What people did about occurrences, kept and found again."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from alert_history.domain.acts import Act
from alert_history.domain.occurrence import Key


class Acts(Protocol):
    """The acts of people. Every call may raise StorageUnavailable; reads may raise QueryTimeout."""

    async def keep(self, act: Act, *, targets: Sequence[str] = ()) -> bool:
        """Keep an act, and queue a delivery of it for each of these targets, in one transaction.

        Returns whether the act is new. An act whose id is kept already changes nothing and is told to nobody.
        """
        ...

    async def of_occurrence(self, fingerprint: str, starts_at: datetime) -> list[Act]:
        """The acts of an occurrence, oldest first; empty for an unknown occurrence."""
        ...

    async def of_occurrences(self, keys: Collection[Key]) -> list[Act]:
        """The acts of these occurrences, oldest first: one statement, which reads nothing else."""
        ...

    async def between(self, since: datetime, until: datetime, *, limit: int) -> list[Act]:
        """The acts with `since` ≤ `at` < `until`, oldest first, at most `limit`."""
        ...

    async def audience(self, fingerprint: str, starts_at: datetime) -> list[str]:
        """The targets that know the occurrence, or will: a delivery was made or waits. Sorted by name."""
        ...
