"""What was sent and what was not, in the order of time, as the records have it: deliveries, and decisions about alerts.

Every read looks at a bounded number of rows, so that its cost does not grow with the history.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from alert_history.domain.delivery import State
from alert_history.domain.occurrence import EventKind, Key
from alert_history.ports.delivery_log import StoredDelivery

Place = tuple[int | str, ...]
"""The place of an occurrence in the order in which occurrences were received; each database has its own form."""


class Stretch(msgspec.Struct, frozen=True):
    """A part of the time: `since` ≤ t < `until`, to the millisecond. None is no bound."""

    since: datetime | None = None
    until: datetime | None = None


class Queued(msgspec.Struct, frozen=True):
    """A delivery in short. Ids sort by the time when a delivery was first queued; a replay keeps the id.

    `labels` are those of its occurrence, where they were asked for; None also where it is no longer kept.
    """

    id: str
    target: str
    state: State
    created_at: datetime
    labels: dict[str, str] | None = None


class QueuedChunk(msgspec.Struct, frozen=True):
    """Deliveries, newest first. `reached` is the id down to which all were looked at; None: there are no more."""

    rows: Sequence[Queued]
    reached: str | None


class Choice(msgspec.Struct, frozen=True):
    """Which deliveries to look at: those that are dead (of one target, if it is named), or of one fingerprint."""

    is_dead: bool = False
    target: str | None = None
    fingerprint: str | None = None


class NotifiedAlert(msgspec.Struct, frozen=True):
    """The occurrence of an entry. Where it is no longer kept, it has its id and fingerprint alone."""

    id: str
    fingerprint: str
    alertname: str = ""
    severity: str = ""
    namespace: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class SentDelivery(msgspec.Struct, frozen=True):
    """A delivery with its occurrence, and the stored decision that it came of; None where there is none."""

    delivery: StoredDelivery
    alert: NotifiedAlert
    routing: dict[str, Any] | None


class Decision(msgspec.Struct, frozen=True):
    """An event of an occurrence that says who was to be notified, or that Alertmanager did not notify."""

    kind: EventKind
    at: datetime
    detail: dict[str, Any] | None


class DecidedAlert(msgspec.Struct, frozen=True):
    """An occurrence with its newest decisions, oldest first. `received_at` goes down from one place to the next."""

    place: Place
    received_at: datetime
    alert: NotifiedAlert
    is_published: bool
    decisions: Sequence[Decision]


class NotificationReads(Protocol):
    """Reads deliveries and decisions, newest first. Every call may raise StorageUnavailable or QueryTimeout."""

    async def queued(
        self, within: Stretch, *, behind: str | None, most: int, choice: Choice | None = None, with_labels: bool = False
    ) -> QueuedChunk:
        """The newest deliveries behind an id, at most so many; all of them, or those of a choice.

        The cost of a choice grows with what it names: with the dead letters, or with the deliveries of one alert.
        """
        ...

    async def queued_of(
        self, occurrences: Sequence[Key], within: Stretch, *, behind: str | None, most: int
    ) -> QueuedChunk:
        """The newest deliveries of these occurrences behind an id; of each at most so many."""
        ...

    async def sent(self, rows: Sequence[Queued]) -> Sequence[SentDelivery]:
        """These deliveries whole, in this order; without those that are gone."""
        ...

    async def decided(
        self, within: Stretch, *, to: Place | None, most: int, fingerprint: str | None = None
    ) -> Sequence[DecidedAlert]:
        """The newest occurrences received in a stretch, from a place on, with the one at that place.

        Raises: InvalidQuery where the place is none.
        """
        ...

    async def decided_of(self, occurrences: Sequence[Key]) -> Sequence[DecidedAlert]:
        """These occurrences, newest first."""
        ...
