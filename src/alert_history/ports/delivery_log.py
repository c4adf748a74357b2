"""The delivery log: all deliveries, those that wait and those that are settled, as people ask for them.

It reads the two tables of deliveries, `delivery_queue` and `deliveries`.
"""

from datetime import datetime
from typing import Any, Protocol

import msgspec

from alert_history.domain.acts import TellableKind
from alert_history.domain.delivery import State


class QueueDepth(msgspec.Struct, frozen=True):
    """How many deliveries wait for a target, and since when the oldest is due; in the future: none is due yet."""

    waiting: int
    oldest: datetime


class StoredDelivery(msgspec.Struct, frozen=True):
    """One delivery with all its attempts (the last 20). `due_at` is when it is tried next.

    `event_number` is that of the event in its timeline, 0 for what follows up, and negative for an act. `shape` is set
    where a classification was to go with it; `enrichment` is `awaited`, or why it went without one. `external_id` is
    the name that the target gave the alert.
    """

    id: str
    occurrence_id: str
    fingerprint: str
    target: str
    event: TellableKind
    state: State
    created_at: datetime
    due_at: datetime | None
    settled_at: datetime | None
    attempts: int
    log: list[dict[str, Any]]
    event_number: int = 0
    shape: str | None = None
    enrichment: str | None = None
    external_id: str | None = None


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


class DeliveryLog(Protocol):
    """What people ask of deliveries: a list of them, how many wait or are dead, and that dead ones are tried again."""

    async def depth(self) -> dict[str, QueueDepth]:
        """What waits for each target."""
        ...

    async def dead(self) -> dict[str, int]:
        """How many dead letters each target has."""
        ...

    async def replay(self, *, now: datetime, delivery_id: str | None = None, target: str | None = None) -> int:
        """Make dead letters due again: one delivery, those of a target, or all; returns how many.

        A delivery stays dead where its target was, or will be, notified of newer events of the alert. Raises NotFound
        if `delivery_id` names no delivery that can be due again.
        """
        ...

    async def deliveries(self, wanted: DeliveryFilter) -> DeliveryPage:
        """A page of deliveries, newest first."""
        ...
