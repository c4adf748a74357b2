"""What the background jobs do to a store."""

from datetime import datetime, timedelta
from typing import Protocol


class Upkeep(Protocol):
    """What the background jobs do to a store. No step may hold up ingest for longer than a commit takes."""

    prepare_every: timedelta
    """How often a job should call `prepare`."""

    forgetting_share: float
    """The share of the time that the steps of the drops may take, while old rows are left."""

    summarising_share: float
    """The share of the time that the steps of `summarise` may take, while there are occurrences to summarise."""

    async def prepare(self, now: datetime) -> None:
        """Make room for new rows: partitions ahead, the backlog of indexes."""
        ...

    async def summarise(self, now: datetime) -> int:
        """Summarise one bounded step of occurrences, so that searches pass them by; how many, 0 when done."""
        ...

    async def drop_history(self, before: datetime) -> int:
        """Forget one bounded step of occurrences last received before then; rows removed, 0 when done.

        What people did before then about an occurrence goes once the occurrence is gone.
        """
        ...

    async def drop_bodies(self, before: datetime) -> int:
        """Forget one bounded step of raw bodies received before then; rows removed, 0 when done."""
        ...

    async def drop_classifications(self, before: datetime) -> int:
        """Forget one bounded step of classifications and of what they cost; rows seen, 0 when done.

        The newest classification of a shape stays as long as the history knows its alert. The newest word of a person
        stays until a person says something else.
        """
        ...
