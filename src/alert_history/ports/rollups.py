"""The numbers of the history, kept up beside it."""

from collections.abc import Callable
from datetime import date
from typing import Protocol


class Rollups(Protocol):
    """Adds up what transactions changed, in the background. Every call may raise StorageUnavailable."""

    share: float
    """The share of the time that the steps of `fold` may take, while changes wait."""

    async def fold(self) -> int:
        """Add up one bounded step of changes; how many entries of the log, 0 where none waits or another replica does.

        A step loses and doubles nothing, whenever a process dies.
        """
        ...

    async def is_counted(self) -> bool:
        """Whether the numbers cover the whole history. If not, `count_anew` has to run."""
        ...

    async def count_anew(self, *, keep_before: date | None, progress: Callable[[int], None]) -> int:
        """Count all occurrences of the database anew, while ingest goes on; how many.

        The numbers of days before `keep_before` stay as they are: their occurrences may be dropped already. `progress`
        hears of occurrences as they are counted. Raises Busy where another process counts.
        """
        ...

    async def forget(self, before: date) -> int:
        """Remove the numbers of days before this one; how many rows."""
        ...
