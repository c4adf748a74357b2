"""What vendors told of their incidents: of which occurrence an incident is, and the events that fit none."""

from datetime import datetime
from typing import Protocol

from alert_history.domain.acts import ActSource
from alert_history.domain.occurrence import Key
from alert_history.domain.vendor_event import RefusedEvent


class VendorEvents(Protocol):
    """What is kept of vendors' events beside the acts. Every call may raise StorageUnavailable."""

    async def remember(self, source: ActSource, incident: str, *, key: Key, now: datetime) -> None:
        """Remember of which occurrence an incident is. A later call for the same incident changes nothing."""
        ...

    async def occurrence_of(self, source: ActSource, incident: str) -> Key | None:
        """The key of the occurrence of an incident; None where no event has named both."""
        ...

    async def refuse(self, refused: RefusedEvent) -> bool:
        """Put an event into the quarantine. Returns whether it is new: the same id again changes nothing."""
        ...
