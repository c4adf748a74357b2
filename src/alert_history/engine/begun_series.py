"""How many occurrences began over time: each counts once, in the bucket in which it was first received."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta

import msgspec

from alert_history.domain.calendar import STEPS, Bucket, buckets, series_step
from alert_history.domain.covers import Covers
from alert_history.domain.microseconds import to_us
from alert_history.domain.stacks import Stack, cells_of, days_cut, ranked, scaled_cells, stacked, summed
from alert_history.domain.tally import Tally
from alert_history.engine.analysis import MANY_VALUES, Analysis, Asked, Numbers, dimension_of
from alert_history.engine.series_parts import Row, SeriesParts, SeriesWish, step_name
from alert_history.engine.value_counts import ValueCounting

_LEAST_SHARE = 1 / 30
"""A sample says little of a shorter part of its span."""
_MANY_DAYS = timedelta(days=3)


class BegunSeries:
    """See the module. Every call may raise StorageUnavailable, QueryTimeout or InvalidQuery."""

    def __init__(self, analysis: Analysis, counting: ValueCounting) -> None:
        self._analysis = analysis
        self._counting = counting

    async def parts(self, asked: Asked, wish: SeriesWish) -> SeriesParts:
        """The series of a span."""
        if wish.by is not None and await self._is_much(asked, wish.by):
            return await self._parts_of_values(asked, wish, wish.by)
        numbers = await self._analysis.begun(asked, by=wish.by, minutes_on=_days_cut(asked, wish))
        return await asyncio.to_thread(_parts, numbers, asked, wish)

    async def _is_much(self, asked: Asked, by: str) -> bool:
        """Whether it pays to ask first which values are shown: rollups answer, of many days of many values."""
        answering = dimension_of(asked.wanted, by)
        if answering is None or answering[1] is not None or asked.until - asked.since < _MANY_DAYS:
            return False
        return answering[0] in MANY_VALUES and await self._analysis.is_rolled_up(asked.wanted, by=by)

    async def _parts_of_values(self, asked: Asked, wish: SeriesWish, by: str) -> SeriesParts:
        """As `parts`: reads the minutes of the values that are shown, and of all together."""
        counts = (await self._counting.by_labels(asked, [by]))[by]
        values = ranked(counts.values, wish.top) if wish.values is None else wish.values
        minutes_on = _days_cut(asked, wish)
        shown = await self._analysis.begun(asked, by=by, values=values, minutes_on=minutes_on)
        whole = await self._analysis.begun(asked, minutes_on=minutes_on)
        others = sum(number > 0 for value, number in counts.values.items() if value not in frozenset(values))
        return await asyncio.to_thread(
            _parts_beside, shown, whole, asked, wish=msgspec.structs.replace(wish, values=values), others=others
        )


def _parts(numbers: Numbers, asked: Asked, wish: SeriesWish) -> SeriesParts:
    share = numbers.covers.sampled_share
    step, covers = _step(asked, wish, numbers.covers)
    points = buckets(asked.since, asked.until, step=step, tz=wish.tz)
    cells = scaled_cells(cells_of(numbers.tallies, _begins(points)), share)
    totals = {value: sum(counts) for value, counts in cells.items()}
    values = _values(wish, totals)
    others = sum(total > 0 for value, total in totals.items() if value not in frozenset(values))
    return _made(stacked(cells, values, buckets=len(points)), points, step, covers=covers, others=others)


def _parts_beside(shown: Numbers, whole: Numbers, asked: Asked, *, wish: SeriesWish, others: int) -> SeriesParts:
    """The values that are shown, and what the whole has beside them."""
    step, covers = _step(asked, wish, whole.covers)
    points = buckets(asked.since, asked.until, step=step, tz=wish.tz)
    begins_us = _begins(points)
    cells = cells_of(shown.tallies, begins_us)
    rows = [cells.get(value, [0] * len(points)) for value in wish.values or ()]
    rest = zip(_all(whole.tallies, begins_us), summed(rows, buckets=len(points)), strict=True)
    beside = [max(all_ - of_shown, 0) for all_, of_shown in rest]  # alerts may arrive between the readings
    stack = Stack(dict(zip(wish.values or (), rows, strict=True)), beside)
    return _made(stack, points, step, covers=covers, others=others)


def _made(stack: Stack, points: Sequence[Bucket], step: timedelta, *, covers: Covers, others: int) -> SeriesParts:
    values = {value: Row(counts) for value, counts in stack.values.items()}
    return SeriesParts(step, points, Row(stack.totals), values, Row(stack.others), others, covers)


def _values(wish: SeriesWish, totals: Mapping[str, int]) -> Sequence[str]:
    if wish.by is None:
        return ()
    return ranked(totals, wish.top) if wish.values is None else wish.values


def _days_cut(asked: Asked, wish: SeriesWish) -> set[int]:
    """The days of which the minutes are needed, where no sample is counted."""
    step = wish.step or series_step(asked.until - asked.since)
    return days_cut(_begins(buckets(asked.since, asked.until, step=step, tz=wish.tz)))


def _begins(points: Sequence[Bucket]) -> list[int]:
    return [to_us(point.begin) for point in points]


def _all(tallies: Mapping[tuple[int, str], Tally], begins_us: Sequence[int]) -> list[int]:
    return summed(cells_of(tallies, begins_us).values(), buckets=len(begins_us))


def _step(asked: Asked, wish: SeriesWish, covers: Covers) -> tuple[timedelta, Covers]:
    """The step that was asked for or is fitting; a longer one where a sample says nothing of that one."""
    span = asked.until - asked.since
    step = wish.step or series_step(span)
    if covers.sampled_share is None or step >= span * _LEAST_SHARE:
        return step, covers
    longer = next((each for each in STEPS.values() if each >= span * _LEAST_SHARE), step)
    note = f"steps of {step_name(step)}: a sample says little of parts of a span shorter than {step_name(longer)}"
    return longer, msgspec.structs.replace(covers, left_out=(*covers.left_out, note))
