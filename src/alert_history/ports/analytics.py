"""The numbers of the history and the episodes behind them, for whoever analyses it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from alert_history.domain.episode import Episode
from alert_history.domain.tally import Dimension, Tally, TallyMap
from alert_history.ports.history import HistoryFilter

ALL = 2**62
"""As the most occurrences to read: all, however many."""


class Sums(msgspec.Struct, frozen=True):
    """The plain sums of one value over some days; see `domain.tally.Tally`."""

    begun: int = 0
    repeats: int = 0
    ended: int = 0
    short: int = 0
    again: int = 0
    length_us: int = 0


class Recount(msgspec.Struct, frozen=True):
    """Numbers that were counted from occurrences: by (day, value).

    `share` is the share of the span that was read: where it is less than 1, the numbers are those of a sample, not yet
    scaled. `occurrences` is how many were read.
    """

    tallies: Mapping[tuple[int, str], Tally]
    share: float
    occurrences: int


class Analytics(Protocol):
    """Numbers and episodes. Days are days since 1970, UTC. Every call may raise StorageUnavailable or QueryTimeout.

    What is not added up yet is in all numbers all the same.
    """

    async def tallies(
        self,
        dimension: Dimension,
        *,
        first_day: int,
        last_day: int,
        values: Sequence[str] | None = None,
        only: TallyMap | None = None,
        mapped: Collection[int] | None = None,
    ) -> Mapping[tuple[int, str], Tally]:
        """The tallies of one dimension by (day, value), from one day to another, both included.

        Of some `values` only, where they are given. With `only`, the other maps may be empty: that costs less. Where
        `mapped` days are given, the maps of all other days are empty: that costs less still.
        """
        ...

    async def sums(self, dimension: Dimension, *, first_day: int, last_day: int) -> Mapping[str, Sums]:
        """The plain sums of each value over these days."""
        ...

    async def recount(self, wanted: HistoryFilter, *, by: str | None, most: int) -> Recount:
        """Tallies of the occurrences that match, by the values of a label (None: all together), from occurrences.

        `since` and `until` of the filter must be given. Of more than about `most` occurrences in the span a sample is
        read, spread evenly.
        """
        ...

    async def firing(self, wanted: HistoryFilter, *, by: str | None) -> Mapping[str, int]:
        """How many occurrences that match fire now, by the values of a label."""
        ...

    async def episodes(self, wanted: HistoryFilter, *, most: int) -> Sequence[Episode]:
        """The newest episodes that match, at most so many, newest first."""
        ...

    async def again(self, *, first_day: int, last_day: int, least: int) -> Mapping[str, int]:
        """How often a label set began again soon after its end, by fingerprint; those with at least so many."""
        ...

    async def episodes_of(
        self, fingerprints: Sequence[str], *, since: datetime, until: datetime
    ) -> Mapping[str, Sequence[Episode]]:
        """The episodes of label sets that were received in a span, and within a day of their start; oldest first."""
        ...
