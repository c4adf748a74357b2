"""What a background job does to a store."""

from datetime import datetime, timedelta
from typing import Protocol


class Upkeep(Protocol):
    """What a background job does to a store. None of it may hold up ingest for longer than a commit takes."""

    prepare_every: timedelta
    """How often `prepare` wants to be called."""

    forgetting_share: float
    """How much of the time the steps of the drops may take, while there is something to drop."""

    async def prepare(self, now: datetime) -> None:
        """Make room for what comes (partitions ahead, index backlog)."""
        ...

    async def drop_history(self, before: datetime) -> int:
        """Forget one bounded step of occurrences last received before then; rows removed, 0 when done."""
        ...

    async def drop_bodies(self, before: datetime) -> int:
        """Forget one bounded step of raw bodies received before then; rows removed, 0 when done."""
        ...

    async def drop_classifications(self, before: datetime) -> int:
        """Forget one bounded step of what was said of shapes, what it took, and the audit; rows seen, 0 when done.

        What serves on stays: the newest word on a shape while the history knows the alert that it was said of, and a
        person's for good until a person says something else.
        """
        ...
