"""What the statistics ask of a store beside `Analytics`: levels, and counts of the occurrences themselves."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from alert_history.domain.levels import Level
from alert_history.domain.tally import Dimension
from alert_history.ports.history import HistoryFilter


class Lasting(msgspec.Struct, frozen=True):
    """What fired in a span, by the values of a label.

    `read_from` is set where there is more than was to be read: of what was first received before it, only what fires
    still is here.
    """

    levels: Mapping[str, Level]
    read_from: datetime | None


class ValueCounts(msgspec.Struct, frozen=True):
    """How many occurrences have each value of each label: `values[label][value]`; together they are `total`.

    `share` is the share of the span that was read: where it is less than 1, the counts are those of a sample, not yet
    scaled.
    """

    values: Mapping[str, Mapping[str, int]]
    total: int
    share: float


class LabelSet(msgspec.Struct, frozen=True, gc=False):
    """The occurrences of one label set in a span: how many, how many of them ended, and how long those fired in all.

    `last_seen` is when one of them was last received.
    """

    fingerprint: str
    alertname: str
    namespace: str
    severity: str
    occurrences: int
    ended: int
    length_us: int
    last_seen: datetime


class Statistics(Protocol):
    """Counts behind the statistics. Every call may raise StorageUnavailable, QueryTimeout or InvalidQuery.

    A value longer than `domain.tally.LONGEST_VALUE` is cut, as in the rollups. '' stands for a missing label.
    """

    async def levels(
        self, dimension: Dimension, *, first_day: int, values: Sequence[str] | None = None
    ) -> Mapping[str, Level]:
        """What fires now, and what moved on a day (since 1970, UTC) and later, by value; both as of one moment.

        What is not added up yet is in it. Of some values only, where they are given.
        """
        ...

    async def lasting(self, wanted: HistoryFilter, *, by: str | None, fired_since: datetime, most: int) -> Lasting:
        """What matches and fired at that time or later, by the values of a label (None: all together).

        `since` and `until` of the filter must be given: of what was first received before `since`, only what fires
        still is in it. Of the rest, at most so many of the newest are read.
        """
        ...

    async def value_counts(self, wanted: HistoryFilter, *, by: Sequence[str], share: float) -> ValueCounts:
        """How many that match have each value of these labels. About this share of the span is read, spread evenly.

        `since` and `until` of the filter must be given. `receiver` and `source` stand for the columns of these names.
        """
        ...

    async def label_sets(self, wanted: HistoryFilter) -> Sequence[LabelSet]:
        """The occurrences that match, by label set, in no order."""
        ...
