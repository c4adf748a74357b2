"""What the report of a night asks of a store: occurrences with the events that tell who was notified and what muted."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Protocol

import msgspec

from alert_history.domain.episode import Episode
from alert_history.domain.night_facts import FailedDelivery
from alert_history.domain.occurrence import EventKind
from alert_history.domain.query import ALL, Query


class NightEvent(msgspec.Struct, frozen=True, gc=False):
    """An event of an occurrence that tells who was notified of its beginning, or what muted it."""

    kind: EventKind
    at: datetime
    detail: dict[str, Any] | None


class NightRow(msgspec.Struct, frozen=True, gc=False):
    """One occurrence as it stands now, with its newest such events, oldest first.

    `unconfirmed` is why no sender confirms it; None where one does, or it is over. `is_published` is false where no
    request that was to be published said that it fires.
    """

    episode: Episode
    unconfirmed: str | None
    is_published: bool
    events: tuple[NightEvent, ...]


class NightReads(Protocol):
    """Reads for the report of a night; each costs what its bounds allow, however long the history is.

    What was joined to another occurrence is left out. Every call may raise StorageUnavailable or QueryTimeout.
    """

    async def received(self, since: datetime, until: datetime, *, most: int, query: Query = ALL) -> list[NightRow]:
        """Occurrences that match, first received in `since` ≤ t < `until`, newest first, at most so many."""
        ...

    async def open_at(self, at: datetime, *, received_since: datetime, most: int, query: Query = ALL) -> list[NightRow]:
        """Those that match, first received before `at` and open then, at most so many that fire and that are over.

        Of those that are over by now it finds the ones first received at `received_since` or later.
        """
        ...

    async def last_seen(self, alertnames: Collection[str], *, before: datetime) -> dict[str, datetime]:
        """When each of these rules was last received before then; a rule that never was is not in the answer."""
        ...

    async def known(self, fingerprints: Collection[str], *, before: datetime) -> set[str]:
        """Those of these label sets, each with its scope, of which an occurrence was received before then."""
        ...

    async def failed_deliveries(self, since: datetime, until: datetime, *, most: int) -> list[FailedDelivery]:
        """Deliveries that were given up in `since` ≤ t < `until`, and those made before `until` that failed and wait.

        Newest first, at most so many of each. A delivery that was queued more than a week before is left out.
        """
        ...
