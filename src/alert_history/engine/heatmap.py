"""The heatmap: in which hour of the week occurrences begin, by the clocks of a time zone."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, timedelta, tzinfo

import msgspec
from msgspec import UNSET, UnsetType

from alert_history.domain.calendar import HOURS_A_WEEK, exposure_hours, hours_of_minutes
from alert_history.domain.covers import Covers
from alert_history.domain.stacks import scaled
from alert_history.domain.tally import Tally
from alert_history.engine.analysis import Analysis, Asked

_EPOCH = date(1970, 1, 1)
_HOURS_A_DAY = 24


class HeatmapCell(msgspec.Struct, frozen=True):
    """One hour of the week: how many occurrences began in it, and how many hours of the span it had.

    `weekday` is 0 on Mondays, `hour` 0 to 23. `per_hour` is how many began an hour; null where the span has none of
    that hour. Only in `compared`: `change` is how many more began in the span that was asked for.
    """

    weekday: int
    hour: int
    begun: int
    hours: float
    per_hour: float | None
    change: int | UnsetType = UNSET


class Heatmap(msgspec.Struct, frozen=True):
    """168 cells, from Monday 00:00 on; together they are `total`, and their hours the span until now.

    `compared` is the same of the span before; `change` there is how many more began in the span that was asked for.
    """

    tz: str
    total: int
    cells: Sequence[HeatmapCell]
    covers: Covers
    compared: "Heatmap | None" = None
    change: int | UnsetType = UNSET


class HeatmapCounting:
    """Answers with heatmaps. Every call may raise StorageUnavailable, QueryTimeout or InvalidQuery."""

    def __init__(self, analysis: Analysis) -> None:
        self._analysis = analysis

    async def heatmap(self, asked: Asked, tz: tzinfo, *, tz_name: str, is_compared: bool = False) -> Heatmap:
        """The heatmap of a span; compared with the span before, if wished."""
        heatmap = await self._heatmap(asked, tz, tz_name=tz_name)
        if not is_compared:
            return heatmap
        before = await self._heatmap(asked.before, tz, tz_name=tz_name)
        return msgspec.structs.replace(heatmap, compared=_compared(heatmap, before))

    async def _heatmap(self, asked: Asked, tz: tzinfo, *, tz_name: str) -> Heatmap:
        numbers = await self._analysis.begun(asked)
        cells = await asyncio.to_thread(_cells, numbers.tallies, asked, tz, share=numbers.covers.sampled_share)
        return Heatmap(tz_name, sum(cell.begun for cell in cells), cells, numbers.covers)


def _cells(
    tallies: Mapping[tuple[int, str], Tally], asked: Asked, tz: tzinfo, *, share: float | None
) -> list[HeatmapCell]:
    begun = [0] * HOURS_A_WEEK
    for (day, _), tally in tallies.items():
        places = hours_of_minutes(_EPOCH + timedelta(days=day), tz)
        for minute, number in tally.minutes.items():
            begun[places[minute]] += number
    hours = exposure_hours(asked.since, max(asked.since, min(asked.until, asked.now)), tz=tz)
    return [_cell(place, *of_hour) for place, of_hour in enumerate(zip(scaled(begun, share), hours, strict=True))]


def _cell(place: int, begun: int, hours: float) -> HeatmapCell:
    weekday, hour = divmod(place, _HOURS_A_DAY)
    return HeatmapCell(weekday, hour, begun, hours, begun / hours if hours else None)


def _compared(now: Heatmap, before: Heatmap) -> Heatmap:
    cells = [
        msgspec.structs.replace(of_before, change=of_now.begun - of_before.begun)
        for of_now, of_before in zip(now.cells, before.cells, strict=True)
    ]
    return msgspec.structs.replace(before, cells=cells, change=now.total - before.total)
