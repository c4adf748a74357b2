"""How many alerts fired over time: each counts in every bucket at whose end it fires.

The rollups tell what moved in each quarter of an hour; with what fires now it follows what fired at any time. A query
that no rollup knows is answered from occurrences: those that were received in, or soon before or after, the span.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from alert_history.domain.calendar import Bucket, buckets, series_step
from alert_history.domain.covers import Covers
from alert_history.domain.levels import Firing, Level, firing_in, together, without
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.stacks import ranked
from alert_history.domain.tally import DAY_US, QUARTER_US, Dimension
from alert_history.engine.analysis import Analysis, Asked, dimension_of
from alert_history.engine.series_parts import Row, SeriesParts, SeriesWish
from alert_history.errors import InvalidQuery
from alert_history.ports import Statistics

_QUARTER = timedelta(microseconds=QUARTER_US)
_LOOKS_BACK = timedelta(days=7)
_LOOKS_AHEAD = timedelta(days=1)
_MOST_LASTING = 100_000
_MOST_ROWS = 10_000
"""Where values have more rows of days than that, only those are read that are likely to be shown."""
_LIKELY = 50
_SHORT_DAYS = 10


class _Levels(msgspec.Struct, frozen=True):
    """The levels of values, and of all others together, of which there are so many; None: that is not known."""

    values: Mapping[str, Level]
    rest: Level
    others: int | None
    covers: Covers


class OpenSeries:
    """See the module. Every call may raise StorageUnavailable, QueryTimeout or InvalidQuery."""

    def __init__(self, analysis: Analysis, statistics: Statistics) -> None:
        self._analysis = analysis
        self._statistics = statistics

    async def parts(self, asked: Asked, wish: SeriesWish) -> SeriesParts:
        """The series of a span: of whole quarters of an hour, and not of the future."""
        asked = _in_quarters(asked)
        step = wish.step or max(series_step(asked.until - asked.since), _QUARTER)
        if step < _QUARTER:
            raise InvalidQuery("step: what is open is known for each quarter of an hour; the shortest step is 15m")
        points = buckets(asked.since, asked.until, step=step, tz=wish.tz)
        levels = await self._levels(asked, wish)
        return await asyncio.to_thread(_parts, levels, points, step, wish=wish)

    async def _levels(self, asked: Asked, wish: SeriesWish) -> _Levels:
        answering = dimension_of(asked.wanted, wish.by)
        if answering is None or not await self._analysis.is_rolled_up(asked.wanted, by=wish.by):
            return await self._from_occurrences(asked, wish)
        dimension, known = answering
        covers = _covers(self._analysis.covers(asked, "rollups"))
        first_day = to_us(asked.since) // DAY_US
        likely = await self._likely(asked, wish, dimension) if known is None and wish.by is not None else None
        levels = await self._statistics.levels(dimension, first_day=first_day, values=known or likely)
        if likely is None:
            return _Levels(levels, Level(0, {}), 0, covers)
        whole = together((await self._statistics.levels("all", first_day=first_day)).values())
        return _Levels(levels, await asyncio.to_thread(without, whole, levels.values()), None, covers)

    async def _likely(self, asked: Asked, wish: SeriesWish, dimension: Dimension) -> Sequence[str] | None:
        """The values that fired longest, as far as sums tell; None where all values can be read."""
        if wish.values is not None:
            return wish.values
        first_day, today = to_us(asked.since) // DAY_US, to_us(asked.now) // DAY_US
        days = today - first_day + 1
        if days <= _SHORT_DAYS:
            return None
        sums = await self._analysis.analytics.sums(
            dimension, first_day=first_day - 1, last_day=to_us(asked.until) // DAY_US
        )
        if len(sums) * days <= _MOST_ROWS:
            return None
        span_us = to_us(asked.until) - to_us(asked.since)
        lasted_us = {value: of_value.length_us for value, of_value in sums.items()}
        for value, number in (await self._analysis.analytics.firing(asked.wanted, by=wish.by)).items():
            lasted_us[value] = lasted_us.get(value, 0) + number * span_us
        return ranked(lasted_us, max(_LIKELY, 5 * wish.top))

    async def _from_occurrences(self, asked: Asked, wish: SeriesWish) -> _Levels:
        since, until = asked.since - _LOOKS_BACK, asked.until + _LOOKS_AHEAD
        wanted = msgspec.structs.replace(asked.wanted, since=since, until=until)
        lasting = await self._statistics.lasting(wanted, by=wish.by, fired_since=asked.since, most=_MOST_LASTING)
        covers = _covers(self._analysis.covers(asked, "occurrences"))
        left_out = _left_out(lasting.read_from or since, None if until > asked.now else until)
        covers = msgspec.structs.replace(covers, is_exact=False, left_out=left_out)
        return _Levels(lasting.levels, Level(0, {}), 0, covers)


def _parts(levels: _Levels, points: Sequence[Bucket], step: timedelta, *, wish: SeriesWish) -> SeriesParts:
    edges_us = [to_us(point.begin) for point in points] + [to_us(point.end) for point in points[-1:]]
    values = _shown(levels.values, edges_us, wish)
    rows = {value: _row(firing_in(levels.values.get(value, Level(0, {})), edges_us)) for value in values}
    hidden = [level for value, level in levels.values.items() if value not in rows]
    other = _row(firing_in(together([levels.rest, *hidden]), edges_us))
    total = _row(firing_in(together([levels.rest, *levels.values.values()]), edges_us))
    others = None if levels.others is None else sum(_lasted_us(level, edges_us) > 0 for level in hidden)
    return SeriesParts(step, points, total, rows, other, others, levels.covers)


def _shown(levels: Mapping[str, Level], edges_us: Sequence[int], wish: SeriesWish) -> Sequence[str]:
    """The values that fired longest, or those that are wished for."""
    if wish.by is None:
        return ()
    if wish.values is not None:
        return wish.values
    return ranked({value: _lasted_us(level, edges_us) for value, level in levels.items()}, wish.top)


def _lasted_us(level: Level, edges_us: Sequence[int]) -> int:
    return sum(firing_in(level, [edges_us[0], edges_us[-1]]).lasted_us) if edges_us else 0


def _row(firing: Firing) -> Row:
    return Row(firing.counts, firing.peaks, firing.lasted_us)


def _in_quarters(asked: Asked) -> Asked:
    """The span of whole quarters of an hour; its end is no later than now."""
    since_us = to_us(asked.since) // QUARTER_US * QUARTER_US
    until_us = -(-to_us(asked.until) // QUARTER_US) * QUARTER_US
    until = max(min(from_us(until_us), asked.now), from_us(since_us))
    return msgspec.structs.replace(asked, since=from_us(since_us), until=until)


def _covers(covers: Covers) -> Covers:
    return msgspec.structs.replace(covers, counted_by="firing")


def _left_out(read_from: datetime, until: datetime | None) -> tuple[str, ...]:
    before = f"what was first received before {read_from.isoformat()} and has ended"
    return (before,) if until is None else (before, f"what was first received at {until.isoformat()} or later")
