"""Deliveries: what is still to be said, and what became of it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

from alert_history.domain.delivery import Leased, Settlement, State
from alert_history.domain.occurrence import EventKind


class QueueDepth(msgspec.Struct, frozen=True):
    """What waits for a target, and since when the oldest of it could have been told (in the future: all are held)."""

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
    """What is still to be said, and what became of it. Filled by `Recorder.commit`."""

    async def lease(self, target: str, *, now: datetime, limit: int, lease_for: timedelta) -> tuple[list[Leased], int]:
        """Take up to `limit` due deliveries of a target, at most one an alert: the newest that is due.

        Also returns how many older ones of those alerts that superseded. No other replica gets them before the
        lease runs out; what ran out is due again.
        """
        ...

    async def reserve(self, target: str, *, every: timedelta, burst: int, within: timedelta) -> timedelta | None:
        """Take the next turn to send to a target, of all replicas; how long it is till then.

        Turns come `every` so often, up to `burst` of them at once after a rest. None, and no turn is taken, if it would
        not come `within` that time, which must be the same for all calls. An SQLite file has one process, which keeps
        the rate by itself: the turn is always now.
        """
        ...

    async def settle(self, settlements: Sequence[tuple[Leased, Settlement]]) -> None:
        """Keep what became of leased deliveries, in one transaction.

        A lease that was lost changes nothing, also where another replica holds the delivery by now.
        """
        ...

    async def depth(self) -> dict[str, QueueDepth]:
        """What waits, by target."""
        ...

    async def dead(self) -> dict[str, int]:
        """How many dead letters are kept, by target."""
        ...

    async def replay(self, *, now: datetime, delivery_id: str | None = None, target: str | None = None) -> int:
        """Make dead deliveries due again: one, a target's, or all; how many.

        Not those whose target was told newer of the alert, or will be: they stay dead. Raises NotFound if it was to be
        one, and it is none of these.
        """
        ...

    async def deliveries(self, wanted: DeliveryFilter) -> DeliveryPage:
        """A page of deliveries, newest first."""
        ...
