"""How many occurrences began with each value of a label: from the rollups where they can answer, else from occurrences.

Of a long span only the days at its ends are read minute by minute; the days between are sums.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from alert_history.domain.covers import Covers
from alert_history.domain.microseconds import to_us
from alert_history.domain.stacks import ranked, scaled
from alert_history.domain.tally import DAY_US, Tally
from alert_history.engine.analysis import MOST_READ, Analysis, Asked, dimension_of, first_midnight, midnight
from alert_history.ports import Statistics


class Counts(msgspec.Struct, frozen=True):
    """How many began with each value; together all that began. `covers` says in what span."""

    values: Mapping[str, int]
    covers: Covers

    @property
    def total(self) -> int:
        """How many began in all."""
        return sum(self.values.values())


class ValueCounting:
    """Counts by the values of labels. Every call may raise StorageUnavailable, QueryTimeout or InvalidQuery."""

    def __init__(self, analysis: Analysis, statistics: Statistics) -> None:
        self._analysis = analysis
        self._statistics = statistics

    async def by_labels(self, asked: Asked, labels: Sequence[str]) -> dict[str, Counts]:
        """The counts by each label; those of labels that no rollup knows come from one reading of the occurrences."""
        counts = {
            label: await self.by_label(asked, label) for label in labels if await self._is_rolled_up(asked, label)
        }
        others = [label for label in labels if label not in counts]
        if others:
            counts |= (await self._from_occurrences(asked, others))[0]
        return {label: counts[label] for label in labels}

    async def by_label(self, asked: Asked, label: str | None) -> Counts:
        """The counts by one label; None: all together, under ''."""
        if not await self._is_rolled_up(asked, label):
            by_labels, together = await self._from_occurrences(asked, [] if label is None else [label])
            return together if label is None else by_labels[label]
        dimension = dimension_of(asked.wanted, label)
        since, until = first_midnight(asked.since), midnight(asked.until)
        if dimension is None or dimension[1] is not None or since >= until:
            return Counts(_begun((await self._analysis.begun(asked, by=label)).tallies), self._covers(asked))
        sums = await self._analysis.analytics.sums(dimension[0], first_day=_day(since), last_day=_day(until) - 1)
        values = {value: sums_.begun for value, sums_ in sums.items()}
        for edge in _days_at_the_ends(asked, since, until):
            for value, number in _begun((await self._analysis.begun(edge, by=label)).tallies).items():
                values[value] = values.get(value, 0) + number
        return Counts(values, self._covers(asked))

    async def _is_rolled_up(self, asked: Asked, label: str | None) -> bool:
        return await self._analysis.is_rolled_up(asked.wanted, by=label)

    def _covers(self, asked: Asked) -> Covers:
        return self._analysis.covers(asked, "rollups")

    async def _from_occurrences(self, asked: Asked, labels: Sequence[str]) -> tuple[dict[str, Counts], Counts]:
        """The counts by each label, and all together."""
        filled, about = await self._analysis.filled(asked)
        share_wanted = min(MOST_READ / about, 1.0) if about else 1.0
        counted = await self._statistics.value_counts(filled.filter, by=labels, share=share_wanted)
        share = None if counted.share >= 1 else counted.share
        covers = self._analysis.covers(asked, "occurrences", share=share)
        by_labels = {label: Counts(_scaled(values, share), covers) for label, values in counted.values.items()}
        return by_labels, Counts(_scaled({"": counted.total}, share), covers)


def _begun(tallies: Mapping[tuple[int, str], Tally]) -> dict[str, int]:
    values: dict[str, int] = {}
    for (_, value), tally in tallies.items():
        values[value] = values.get(value, 0) + tally.begun
    return values


def _scaled(values: Mapping[str, int], share: float | None) -> dict[str, int]:
    order = ranked(values, len(values))
    return dict(zip(order, scaled((values[value] for value in order), share), strict=True))


def _days_at_the_ends(asked: Asked, since: datetime, until: datetime) -> list[Asked]:
    """What of the span is before its first whole day, and after its last."""
    ends = [(asked.since, since), (until, asked.until)]
    return [msgspec.structs.replace(asked, since=begin, until=end) for begin, end in ends if begin < end]


def _day(time: datetime) -> int:
    return to_us(time) // DAY_US
