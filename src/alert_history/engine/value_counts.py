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
from alert_history.engine.analysis import MOST_READ, Analysis, Asked, dimension_of, edges_of, first_midnight, midnight
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
        rolled_up = [label for label in labels if await self._analysis.is_rolled_up(asked.wanted, by=label)]
        others = [label for label in labels if label not in rolled_up]
        counts = await self._from_rollups(asked, rolled_up) if rolled_up else {}
        counts |= await self._from_occurrences(asked, others) if others else {}
        return {label: counts[label] for label in labels}

    async def _from_rollups(self, asked: Asked, labels: Sequence[str]) -> dict[str, Counts]:
        values = {label: await self._in_minutes(asked, label) for label in labels}
        for edge in edges_of(asked):
            counted = await self._statistics.value_counts(edge.filter, by=labels, share=1.0)
            for label in labels:
                _add(values[label], counted.values[label])
        return {label: Counts(of_label, self._analysis.covers(asked, "rollups")) for label, of_label in values.items()}

    async def _in_minutes(self, asked: Asked, label: str) -> dict[str, int]:
        """How many began with each value in the whole minutes of a span; a rollup answers."""
        answering = dimension_of(asked.wanted, label)
        if answering is None:
            raise ValueError(f"no rollup knows {label!r} of these occurrences")
        dimension, known = answering
        since, until = first_midnight(asked.since), midnight(asked.until)
        if known is not None or since >= until:
            return _begun(await self._analysis.in_minutes(asked, dimension, known))
        sums = await self._analysis.analytics.sums(dimension, first_day=_day(since), last_day=_day(until) - 1)
        values = {value: of_value.begun for value, of_value in sums.items()}
        for part in _days_at_the_ends(asked, since, until):
            _add(values, _begun(await self._analysis.in_minutes(part, dimension, None)))
        return values

    async def _from_occurrences(self, asked: Asked, labels: Sequence[str]) -> dict[str, Counts]:
        filled, about = await self._analysis.filled(asked)
        share_wanted = min(MOST_READ / about, 1.0) if about else 1.0
        counted = await self._statistics.value_counts(filled.filter, by=labels, share=share_wanted)
        share = None if counted.share >= 1 else counted.share
        covers = self._analysis.covers(asked, "occurrences", share=share)
        return {label: Counts(_scaled(values, share), covers) for label, values in counted.values.items()}


def _add(values: dict[str, int], others: Mapping[str, int]) -> None:
    for value, number in others.items():
        values[value] = values.get(value, 0) + number


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
