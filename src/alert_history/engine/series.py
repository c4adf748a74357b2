"""Series: how many alerts began, or fired, over time, stacked by the values of a label.

Two ways to count, and each answer names its own. `begun`: an occurrence counts once, in the bucket in which it was
first received. `open`: it counts in every bucket at whose end it fires.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType

from alert_history.domain.calendar import Bucket
from alert_history.domain.covers import Covers
from alert_history.domain.tally import SECOND_US
from alert_history.engine.analysis import Asked
from alert_history.engine.begun_series import BegunSeries
from alert_history.engine.open_series import OpenSeries
from alert_history.engine.series_parts import Count, Row, SeriesParts, SeriesWish, step_name


class SeriesBucket(msgspec.Struct, frozen=True):
    """A point in time: from `begin` until before `end`, aware UTC; `is_whole` is false where the span cuts it.

    `total` is of all values. Only for `open`: `peak` is the most that fired at a quarter of an hour in the bucket, and
    `firing_seconds` for how long all of them together fired in it.
    """

    begin: datetime
    end: datetime
    is_whole: bool
    total: int
    peak: int | UnsetType = UNSET
    firing_seconds: float | UnsetType = UNSET


class Series(msgspec.Struct, frozen=True):
    """One value of the label: its number in each bucket. `total` is their sum; null for `open`, which has no sum.

    `value` is '' for occurrences without the label. Only for `open`: `peaks` and `firing_seconds` of each bucket, and
    `total_firing_seconds`. Only in `compared`: `change` is how much more the total (for `open`: the seconds) is in the
    span that was asked for.
    """

    value: str
    total: int | None
    counts: Sequence[int]
    peaks: Sequence[int] | UnsetType = UNSET
    firing_seconds: Sequence[float] | UnsetType = UNSET
    total_firing_seconds: float | UnsetType = UNSET
    change: float | UnsetType = UNSET


class OtherSeries(msgspec.Struct, frozen=True):
    """All other values together, as in `Series`. `values` is how many there are; null where not all were read."""

    values: int | None
    total: int | None
    counts: Sequence[int]
    peaks: Sequence[int] | UnsetType = UNSET
    firing_seconds: Sequence[float] | UnsetType = UNSET
    total_firing_seconds: float | UnsetType = UNSET
    change: float | UnsetType = UNSET


class SeriesAnswer(msgspec.Struct, frozen=True):
    """A series. In each bucket, `series` and `other` add up to its `total`; peaks do not add up.

    For `begun`, `total` is the sum of the buckets, and of the totals of `series` and `other`. `series` is empty, and
    `other` null, where no label was asked for. `compared` is the same of the span before, with the same values in the
    same order; `change` there is how much more it is in the span that was asked for.
    """

    count: Count
    by: str | None
    step: str
    tz: str
    total: int | None
    buckets: Sequence[SeriesBucket]
    series: Sequence[Series]
    other: OtherSeries | None
    covers: Covers
    total_firing_seconds: float | UnsetType = UNSET
    compared: "SeriesAnswer | None" = None
    change: float | UnsetType = UNSET


_Summed = SeriesAnswer | Series | OtherSeries


class SeriesCounting:
    """Answers with series. Every call may raise StorageUnavailable, QueryTimeout or InvalidQuery."""

    def __init__(self, begun: BegunSeries, open_: OpenSeries) -> None:
        self._begun = begun
        self._open = open_

    async def series(self, asked: Asked, wish: SeriesWish, *, is_compared: bool = False) -> SeriesAnswer:
        """The series of a span; compared with the span before, if wished."""
        parts = await self._parts(asked, wish)
        answer = _answer(parts, wish)
        if not is_compared:
            return answer
        same = msgspec.structs.replace(wish, step=parts.step, values=list(parts.values))
        covered = msgspec.structs.replace(asked, since=parts.covers.since, until=parts.covers.until)
        before = _answer(await self._parts(covered.before, same), same)
        return msgspec.structs.replace(answer, compared=_compared(answer, before))

    async def _parts(self, asked: Asked, wish: SeriesWish) -> SeriesParts:
        return await (self._begun if wish.count == "begun" else self._open).parts(asked, wish)


def _answer(parts: SeriesParts, wish: SeriesWish) -> SeriesAnswer:
    total = parts.total
    return SeriesAnswer(
        count=wish.count,
        by=wish.by,
        step=step_name(parts.step),
        tz=wish.tz_name,
        total=_total(total),
        buckets=[_bucket(bucket, total, place) for place, bucket in enumerate(parts.buckets)],
        series=[_series(value, row) for value, row in parts.values.items()],
        other=None if wish.by is None else _other(parts.other_values, parts.other),
        covers=parts.covers,
        total_firing_seconds=_total_seconds(total),
    )


def _bucket(bucket: Bucket, total: Row, place: int) -> SeriesBucket:
    return SeriesBucket(
        begin=bucket.begin,
        end=bucket.end,
        is_whole=bucket.is_whole,
        total=total.counts[place],
        peak=UNSET if total.peaks is None else total.peaks[place],
        firing_seconds=UNSET if total.lasted_us is None else total.lasted_us[place] / SECOND_US,
    )


def _series(value: str, row: Row) -> Series:
    peaks = UNSET if row.peaks is None else row.peaks
    return Series(value, _total(row), row.counts, peaks, _seconds(row), _total_seconds(row))


def _other(values: int | None, row: Row) -> OtherSeries:
    peaks = UNSET if row.peaks is None else row.peaks
    return OtherSeries(values, _total(row), row.counts, peaks, _seconds(row), _total_seconds(row))


def _total(row: Row) -> int | None:
    return sum(row.counts) if row.lasted_us is None else None


def _seconds(row: Row) -> Sequence[float] | UnsetType:
    return UNSET if row.lasted_us is None else [lasted_us / SECOND_US for lasted_us in row.lasted_us]


def _total_seconds(row: Row) -> float | UnsetType:
    return UNSET if row.lasted_us is None else sum(row.lasted_us) / SECOND_US


def _compared(now: SeriesAnswer, before: SeriesAnswer) -> SeriesAnswer:
    """The span before, with how much more it is now."""
    other = before.other
    if other is not None and now.other is not None:
        other = msgspec.structs.replace(other, change=_change(now.other, other))
    series = [
        msgspec.structs.replace(of_before, change=_change(of_now, of_before))
        for of_now, of_before in zip(now.series, before.series, strict=True)
    ]
    return msgspec.structs.replace(before, series=series, other=other, change=_change(now, before))


def _change(now: _Summed, before: _Summed) -> float:
    """How much more the total is now; for `open`, the seconds."""
    if isinstance(now.total_firing_seconds, float) and isinstance(before.total_firing_seconds, float):
        return now.total_firing_seconds - before.total_firing_seconds
    return (now.total or 0) - (before.total or 0)
