"""Silences as they are known: copies of those of Alertmanagers, in their latest version."""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from alert_history.domain.alert import Silence


class Silences(Protocol):
    """The read side of silences; `ports.Reconciling.keep_silences` and the recorder write them.

    A silence that somebody ended early ends then. Every call may raise StorageUnavailable or QueryTimeout.
    """

    async def in_force(self, since: datetime, until: datetime, *, limit: int) -> list[Silence]:
        """Silences in force at some time of `since` ≤ t < `until`, those that end first come first."""
        ...

    async def named(self, ids: Collection[str]) -> list[Silence]:
        """The silences with these ids, as far as they are known, by id."""
        ...
