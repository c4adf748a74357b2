"""Who sent requests lately, and what of these requests was refused."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec


class AcceptedRequest(msgspec.Struct, frozen=True, gc=False):
    """One accepted request. `truncated` are alerts that its sender left out of it."""

    received_at: datetime
    source: str
    receiver: str
    external_url: str
    path: str
    received: int
    quarantined: int
    truncated: int


class RefusedAlerts(msgspec.Struct, frozen=True, gc=False):
    """How many alerts were refused, or kept with less than was sent, for one reason; the last one at `last_at`."""

    reason: str
    source: str
    number: int
    last_at: datetime


class Senders(Protocol):
    """Reads what requests left, within bounds. Every call may raise StorageUnavailable or QueryTimeout."""

    async def requests(self, edges: Sequence[datetime], *, most: int) -> list[list[AcceptedRequest]]:
        """The newest requests of each span between two edges, newest first, at most so many of each span."""
        ...

    async def refused(self, since: datetime, *, most: int) -> list[RefusedAlerts]:
        """Of the newest so many alerts in quarantine since then, how many by reason and source, the most first."""
        ...
