"""The outbox: deliveries that wait for their targets, and what became of deliveries."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

from alert_history.domain.delivery import Leased, Settlement, State
from alert_history.domain.occurrence import EventKind


class QueueDepth(msgspec.Struct, frozen=True):
    """How many deliveries wait for a target, and since when the oldest is due; in the future: none is due yet."""

    waiting: int
    oldest: datetime


class StoredDelivery(msgspec.Struct, frozen=True):
    """One delivery with all its attempts (the last 20). `due_at` is when it is tried next.

    `event_number` is that of the event in its timeline, 0 for what follows up. `shape` is set where a classification
    was to go with it; `enrichment` is `awaited`, or why it went without one.
    """

    id: str
    occurrence_id: str
    fingerprint: str
    target: str
    event: EventKind
    state: State
    created_at: datetime
    due_at: datetime | None
    settled_at: datetime | None
    attempts: int
    log: list[dict[str, Any]]
    event_number: int = 0
    shape: str | None = None
    enrichment: str | None = None


class DeliveryFilter(msgspec.Struct, frozen=True):
    """Which deliveries, newest first; `cursor` is a `next_cursor`."""

    target: str | None = None
    state: State | None = None
    fingerprint: str | None = None
    starts_at: datetime | None = None
    limit: int = 50
    cursor: str | None = None


class DeliveryPage(msgspec.Struct, frozen=True):
    """A page of deliveries; `next_cursor` is None on the last one."""

    deliveries: list[StoredDelivery]
    next_cursor: str | None


class Outbox(Protocol):
    """Deliveries that wait, and what became of deliveries. `Recorder.commit` fills the outbox."""

    async def lease(self, target: str, *, now: datetime, limit: int, lease_for: timedelta) -> tuple[list[Leased], int]:
        """Take up to `limit` due deliveries of a target: for each alert the newest due delivery alone.

        Also returns how many older deliveries of those alerts were superseded. Until a lease runs out no other replica
        gets the delivery; then the delivery is due again.
        """
        ...

    async def reserve(self, target: str, *, every: timedelta, burst: int, within: timedelta) -> timedelta | None:
        """Take the next turn to send to a target, among all replicas; returns the time until the turn.

        A turn comes `every` so often; after a rest up to `burst` turns come at once. Returns None, and takes no turn,
        if the turn would come later than `within`, which must be the same for all calls. An SQLite file has one
        process, which keeps the rate by itself: the turn is always now.
        """
        ...

    async def settle(self, settlements: Sequence[tuple[Leased, Settlement]]) -> None:
        """Keep what became of leased deliveries, in one transaction.

        A lost lease changes nothing, even where another replica holds the delivery by now.
        """
        ...

    async def depth(self) -> dict[str, QueueDepth]:
        """What waits for each target."""
        ...

    async def dead(self) -> dict[str, int]:
        """How many dead letters each target has."""
        ...

    async def replay(self, *, now: datetime, delivery_id: str | None = None, target: str | None = None) -> int:
        """Make dead deliveries due again: one delivery, those of a target, or all; returns how many.

        A delivery stays dead where its target was, or will be, notified of newer events of the alert. Raises NotFound
        if `delivery_id` names no delivery that can be due again.
        """
        ...

    async def deliveries(self, wanted: DeliveryFilter) -> DeliveryPage:
        """A page of deliveries, newest first."""
        ...
