"""What left the database for an archive, read where it lies.

Every call may raise SettingLacking where a package is not installed, ArchiveFault, QueryTimeout and StorageUnavailable.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from alert_history.domain.acts import Act
from alert_history.domain.occurrence import Key
from alert_history.ports.delivery_log import StoredDelivery
from alert_history.ports.history import HistoryFilter, StoredAlert, StoredEvent


class Position(msgspec.Struct, frozen=True):
    """A place in the order of archived occurrences, which is by the sort column, then by fingerprint and key.

    `value` is that of the sort column, a time in microseconds. With `key` it is the place behind that occurrence.
    Without `key` it is the place before all occurrences with this value where the order is descending, and behind all
    of them where it is ascending.
    """

    value: int | str
    key: tuple[str, int] | None = None


class ArchivedRows(msgspec.Struct, frozen=True):
    """Archived occurrences, in order. `is_last`: there are no more of them.

    A search, newest first, that would take too long stops: it has looked at all of `stopped_at` or later.
    """

    alerts: Sequence[StoredAlert]
    is_last: bool
    stopped_at: datetime | None = None


class ArchivedSearch(Protocol):
    """Searches all archives of a database, as `History` searches the database. An occurrence comes once."""

    async def rows(
        self, wanted: HistoryFilter, *, sort: str, limit: int, after: Position | None = None
    ) -> ArchivedRows:
        """At most so many occurrences behind a place. Raises InvalidQuery for a sort or a place that there is not."""
        ...

    async def count(self, wanted: HistoryFilter, *, seconds: float, among: Collection[Key] | None = None) -> int | None:
        """How many match, of these keys alone if some are given; None if counting takes longer."""
        ...

    async def span(self, wanted: HistoryFilter) -> tuple[datetime, datetime] | None:
        """From when until when the archives have occurrences of that time, by whole days; None if they have none."""
        ...

    def export(self, wanted: HistoryFilter, *, batch_size: int = 1000) -> AsyncIterator[list[StoredAlert]]:
        """All occurrences that match, oldest first, in batches; memory stays the same however many match."""
        ...


class ArchivedRecords(Protocol):
    """What archives have of one occurrence, by its id."""

    async def find(self, occurrence_id: str) -> StoredAlert:
        """The occurrence, or the one that it is part of. Raises NotFound."""
        ...

    async def timeline(self, occurrence_id: str, *, newest: int = 10_000) -> list[StoredEvent]:
        """The newest events of an occurrence, oldest first; empty for an unknown occurrence."""
        ...

    async def deliveries(self, occurrence_id: str, *, limit: int) -> list[StoredDelivery]:
        """The deliveries of an occurrence, newest first; empty for an unknown occurrence."""
        ...

    async def acts(self, occurrence_id: str) -> list[Act]:
        """What people did about an occurrence, oldest first; empty for an unknown occurrence."""
        ...
