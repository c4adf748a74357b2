"""Which labels there are and with which values, for whoever completes a query.

Without a query, the counts of all history answer. With one, or for who sees some alerts only, the newest occurrences
that match do, up to `MOST_READ`: then an answer says how far back it looked.
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Literal

import msgspec

from alert_history.domain.query import parse_query
from alert_history.engine.reach import is_narrowed
from alert_history.ports import (
    Clock,
    History,
    HistoryFilter,
    LabelCounts,
    LabelName,
    LabelValue,
    PageRequest,
    Rollups,
    StoredAlert,
)

MOST_READ = 5_000
"""So many occurrences are looked at, at most, to answer with a query."""

_PAGE = 1_000
_NOT_COUNTED = "the history is not counted yet: what was received before the upgrade is missing"


class LabelCovers(msgspec.Struct, frozen=True):
    """What an answer about labels covers. Times are aware UTC.

    `counted_from` is `counts` where all history is counted; else `occurrences_read` occurrences were looked at, the
    newest that match, down to `since` (null: none matches, or all were). Where `is_exact` is false, the numbers are
    lower bounds, and there may be more values. `left_out` names what is missing, one sentence each.
    """

    fresh_as_of: datetime
    is_exact: bool = True
    counted_from: Literal["counts", "occurrences"] = "counts"
    occurrences_read: int | None = None
    since: datetime | None = None
    left_out: list[str] = []


class LabelNames(msgspec.Struct, frozen=True):
    """All labels, those of the most occurrences first.

    `value_count` of a label are its values that are kept by name; `other_occurrences` have another one.
    """

    labels: list[LabelName]
    covers: LabelCovers


class LabelValues(msgspec.Struct, frozen=True):
    """A label, and its values that begin with a prefix, the most frequent first.

    `is_complete` is false where there are more such values than the limit lets through.
    """

    name: str
    occurrences: int
    value_count: int
    other_occurrences: int
    values: list[LabelValue]
    is_complete: bool
    covers: LabelCovers


class Labels:
    """Answers about labels. Each call may raise InvalidQuery, StorageUnavailable or QueryTimeout."""

    def __init__(self, counts: LabelCounts, history: History, rollups: Rollups, *, clock: Clock) -> None:
        self._counts = counts
        self._history = history
        self._rollups = rollups
        self._clock = clock

    async def names(self) -> LabelNames:
        """All labels of all history; for who sees some alerts only, those of the newest of these."""
        if is_narrowed():
            return await self._names_within_reach()
        covers = await self._covers()
        return LabelNames(list(await self._counts.names()), covers)

    async def values(self, name: str, *, prefix: str = "", query: str = "", limit: int = 100) -> LabelValues:
        """The values of a label that begin with a prefix, of what a query matches, at most so many."""
        if query.strip() or is_narrowed():
            return await self._matching(name, prefix=prefix, query=query, limit=limit)
        covers = await self._covers()
        counted_values = await self._counts.values(name, prefix=prefix, limit=limit)
        label = counted_values.label
        return LabelValues(
            label.name,
            label.occurrences,
            label.value_count,
            label.other_occurrences,
            list(counted_values.values),
            counted_values.is_complete,
            covers,
        )

    async def _covers(self) -> LabelCovers:
        is_counted = await self._rollups.is_counted()
        return LabelCovers(self._clock(), is_exact=is_counted, left_out=[] if is_counted else [_NOT_COUNTED])

    async def _matching(self, name: str, *, prefix: str, query: str, limit: int) -> LabelValues:
        counts: Counter[str] = Counter()

        def count(alert: StoredAlert) -> None:
            if name in alert.labels:
                counts[alert.labels[name]] += 1

        covers = await self._newest(HistoryFilter(query=parse_query(query)), count)
        values = [LabelValue(value, number) for value, number in counts.items() if value.startswith(prefix)]
        values.sort(key=lambda value: (-value.occurrences, value.value))
        return LabelValues(
            name, counts.total(), len(counts), 0, values[:limit], is_complete=len(values) <= limit, covers=covers
        )

    async def _names_within_reach(self) -> LabelNames:
        values: dict[str, Counter[str]] = {}

        def count(alert: StoredAlert) -> None:
            for name, value in alert.labels.items():
                values.setdefault(name, Counter())[value] += 1

        covers = await self._newest(HistoryFilter(), count)
        labels = [LabelName(name, of_label.total(), len(of_label)) for name, of_label in values.items()]
        return LabelNames(sorted(labels, key=lambda label: (-label.occurrences, label.name)), covers)

    async def _newest(self, wanted: HistoryFilter, count: Callable[[StoredAlert], None]) -> LabelCovers:
        """Count the newest occurrences that match."""
        read, since, cursor = 0, None, None
        fresh_as_of = self._clock()
        while read < MOST_READ:
            page = await self._history.page(wanted, PageRequest(limit=_PAGE, cursor=cursor))
            for alert in page.alerts:
                count(alert)
            read, cursor = read + len(page.alerts), page.next_cursor
            since = page.searched_until or (page.alerts[-1].timestamp if page.alerts else since)
            if cursor is None or page.searched_until is not None:
                break
        return LabelCovers(fresh_as_of, cursor is None, "occurrences", read, None if cursor is None else since)
