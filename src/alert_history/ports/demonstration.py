"""What the demo keeps beside what it sends: the deliveries of a past in which this service had targets."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from alert_history.domain.delivery import Attempt, Routing
from alert_history.domain.occurrence import EventKind


class PastDelivery(msgspec.Struct, frozen=True, gc=False):
    """A delivery that is settled, with all its attempts, the last of which settled it. `created_at` is its event's."""

    id: str
    target: str
    state: Literal["delivered", "dead"]
    log: list[Attempt]


class PastNews(msgspec.Struct, frozen=True, gc=False):
    """An event of the past that was news: its key in the occurrence, whom it was routed to, and the deliveries."""

    fingerprint: str
    starts_at: datetime
    key: int
    event: EventKind
    at: datetime
    receipt_id: str
    routing: Routing
    deliveries: list[PastDelivery] = []


class Demonstrations(Protocol):
    """What a demo needs beside the recorder. Every call may raise StorageUnavailable."""

    async def kept_ids(self, receipt_ids: Sequence[str]) -> set[str]:
        """Those of the receipts that are kept already."""
        ...

    async def add_news(self, news: Sequence[PastNews]) -> None:
        """Keep routings with their events, and deliveries as settled, in one transaction.

        A routing is added to what else the event says; a delivery that is known stays as it is. So a caller that calls
        again changes nothing.
        """
        ...
