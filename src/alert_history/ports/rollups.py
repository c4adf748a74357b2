"""The numbers of the history, kept up beside it."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Protocol

import msgspec


class RollupSize(msgspec.Struct, frozen=True):
    """How much there is of the numbers, and whether they cover the whole history.

    `is_counting`: a process counts it anew now. `waiting` are entries of the log that are not added up yet. `first_day`
    and `last_day` have numbers. From `whole_from` on the history is whole, so its days can be counted anew; None where
    nothing was ever dropped.
    """

    is_counted: bool
    is_counting: bool
    waiting: int
    rows: int
    first_day: date | None
    last_day: date | None
    whole_from: date | None


class Difference(msgspec.Struct, frozen=True):
    """A rule of which the numbers tell other than the history: how many occurrences began on a day."""

    alertname: str
    by_numbers: int
    by_history: int


class Rollups(Protocol):
    """Adds up what transactions changed, in the background. Every call may raise StorageUnavailable."""

    share: float
    """The share of the time that the steps of `fold` may take, while changes wait."""

    async def fold(self) -> int:
        """Add up one bounded step of changes; how many entries of the log, 0 where none waits or another replica does.

        A step loses and doubles nothing, whenever a process dies.
        """
        ...

    async def seal(self) -> int:
        """Add up the days of one more block of past days, from which long spans are read; 0 where none is left.

        Also 0 where another replica changes the numbers.
        """
        ...

    async def is_counted(self) -> bool:
        """Whether the numbers cover the whole history. If not, `count_anew` has to run."""
        ...

    async def count_anew(self, *, progress: Callable[[int], None]) -> int:
        """Count all occurrences of the database anew, while ingest goes on; how many.

        The numbers of days stay of which occurrences were dropped, if they were ever counted. `progress` hears of
        occurrences as they are counted. Raises Busy where another process counts.
        """
        ...

    async def forget(self, before: date) -> int:
        """Remove the numbers of days before this one; how many rows."""
        ...


class RollupChecks(Protocol):
    """How much there is of the numbers, and whether they are right. Every call may raise StorageUnavailable."""

    async def log_length(self) -> int:
        """How many entries of the log are not added up yet, up to 10 000: a higher number means more."""
        ...

    async def size(self) -> RollupSize:
        """How much there is."""
        ...

    async def differences(self, day: date) -> Sequence[Difference]:
        """Where the numbers of a day, UTC, and its occurrences disagree; the largest difference first."""
        ...
