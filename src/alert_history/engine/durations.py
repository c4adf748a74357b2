"""How long alerts fire, in all and by rule: `domain.durations` of the occurrences of a span, those that fire still too.

Of a long span whole days are counted, UTC, as rollups have them.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, cast

import msgspec
from msgspec import UNSET, UnsetType

from alert_history.domain.covers import Covers
from alert_history.domain.durations import DurationCounts, Durations, counts_of_episodes, durations_from, merged_counts
from alert_history.domain.episode import Episode
from alert_history.domain.microseconds import to_us
from alert_history.domain.stacks import ranked, scaled
from alert_history.domain.standing import EndedBy
from alert_history.domain.tally import DAY_US, LONGEST_VALUE, Tally
from alert_history.engine.analysis import MANY_VALUES, Analysis, Asked, dimension_of

DurationLabel = Literal["alertname", "severity", "namespace"]

_MOST_FIRING = 50_000
_MANY_DAYS = timedelta(days=3)


class DurationChange(msgspec.Struct, frozen=True):
    """How much more it is in the span that was asked for; null where one of both is not known."""

    count: int
    p50_seconds: float | None
    p90_seconds: float | None
    p99_seconds: float | None


class ValueDurations(msgspec.Struct, frozen=True):
    """How long the occurrences with one value of the label fired; '' stands for a missing label."""

    value: str
    durations: Durations
    change: DurationChange | UnsetType = UNSET


class OtherDurations(msgspec.Struct, frozen=True):
    """The same of all other values together; `values` is how many there are."""

    values: int
    durations: Durations
    change: DurationChange | UnsetType = UNSET


class DurationsAnswer(msgspec.Struct, frozen=True):
    """How long the occurrences fired that began in the span. Counts of `values` and `other` add up to those of `all`.

    Percentiles do not add up. `values` is empty, and `other` null, where no label was asked for; the values with most
    occurrences come first. `compared` is the same of the span before, with the same values; `change` there is how much
    more it is in the span that was asked for.
    """

    by: DurationLabel | None
    all: Durations
    values: Sequence[ValueDurations]
    other: OtherDurations | None
    covers: Covers
    compared: "DurationsAnswer | None" = None
    change: DurationChange | UnsetType = UNSET


_Length = tuple[str, int]
"""How an occurrence ended, and the bucket of how long it fired."""

_NONE = DurationCounts({}, {})


class _Lengths(msgspec.Struct, frozen=True):
    """How long those fired that ended, by value.

    Where not all values were read, `shown` are those that were; `rest` is of the others, of which there are `others`.
    """

    values: Mapping[str, Mapping[_Length, int]]
    covers: Covers
    shown: frozenset[str] | None = None
    rest: Mapping[_Length, int] = {}
    others: int = 0


class _Counts(msgspec.Struct, frozen=True):
    """The counts of values, and those of the rest, which has so many others."""

    values: Mapping[str, DurationCounts]
    rest: DurationCounts
    others: int


class DurationCounting:
    """Answers with durations. Every call may raise StorageUnavailable, QueryTimeout or InvalidQuery."""

    def __init__(self, analysis: Analysis) -> None:
        self._analysis = analysis

    async def durations(
        self, asked: Asked, *, by: DurationLabel | None, top: int, is_compared: bool = False
    ) -> DurationsAnswer:
        """The durations of a span; compared with the span before, if wished."""
        answer = await self._durations(asked, by=by, top=top, values=None)
        if not is_compared:
            return answer
        covered = msgspec.structs.replace(asked, since=answer.covers.since, until=answer.covers.until)
        values = [each.value for each in answer.values]
        before = await self._durations(covered.before, by=by, top=top, values=values)
        return msgspec.structs.replace(answer, compared=_compared(answer, before))

    async def counts(self, asked: Asked) -> tuple[DurationCounts, Covers]:
        """How many occurrences of a span fired how long, in all, and what these numbers cover."""
        counts, covers = await self._counted(asked, by=None, top=1, values=None)
        return merged_counts([counts.rest, *counts.values.values()]), covers

    async def _durations(
        self, asked: Asked, *, by: DurationLabel | None, top: int, values: Sequence[str] | None
    ) -> DurationsAnswer:
        counts, covers = await self._counted(asked, by=by, top=top, values=values)
        if values is None:
            values = ranked({value: _number(of_value) for value, of_value in counts.values.items()}, top)
        return await asyncio.to_thread(_answer, counts, by, covers, values=values)

    async def _counted(
        self, asked: Asked, *, by: DurationLabel | None, top: int, values: Sequence[str] | None
    ) -> tuple[_Counts, Covers]:
        lengths = await self._lengths(asked, by=by, top=top, values=values)
        covers = lengths.covers
        firing = msgspec.structs.replace(asked.filter, since=covers.since, until=covers.until, status="firing")
        episodes = await self._analysis.analytics.episodes(firing, most=_MOST_FIRING)
        if len(episodes) == _MOST_FIRING:
            note = f"what fires still and was first received before {episodes[-1].received_at.isoformat()}"
            covers = msgspec.structs.replace(covers, is_exact=False, left_out=(*covers.left_out, note))
        return await asyncio.to_thread(_counts, lengths, episodes, asked.now, by=by), covers

    async def _lengths(
        self, asked: Asked, *, by: DurationLabel | None, top: int, values: Sequence[str] | None
    ) -> _Lengths:
        """How long those fired that ended: by each value, or by the values that are to be shown."""
        if by is not None and await self._is_much(asked, by):
            return await self._lengths_of_shown(asked, by, top=top, values=values)
        numbers = await self._analysis.by_day(asked, by=by, only="lengths")
        share = numbers.covers.sampled_share
        return _Lengths(await asyncio.to_thread(_by_value, numbers.tallies, by, share=share), numbers.covers)

    async def _is_much(self, asked: Asked, by: DurationLabel) -> bool:
        """Whether it pays to ask first which values are shown: rollups answer, of many days of many values."""
        answering = dimension_of(asked.wanted, by)
        if answering is None or answering[1] is not None or asked.until - asked.since < _MANY_DAYS:
            return False
        return by in MANY_VALUES and await self._analysis.is_rolled_up(asked.wanted, by=by)

    async def _lengths_of_shown(
        self, asked: Asked, by: DurationLabel, *, top: int, values: Sequence[str] | None
    ) -> _Lengths:
        whole = await self._analysis.by_day(asked, only="lengths")
        since, until = whole.covers.since, whole.covers.until
        sums = await self._analysis.analytics.sums(
            by, first_day=to_us(since) // DAY_US, last_day=(to_us(until) - 1) // DAY_US
        )
        begun = {value: of_value.begun for value, of_value in sums.items() if of_value.begun}
        shown = ranked(begun, top) if values is None else values
        some = await self._analysis.by_day(asked, by=by, values=shown, only="lengths")
        own = await asyncio.to_thread(_by_value, some.tallies, by, share=None)
        rest = _without(_by_value(whole.tallies, None, share=None).get("", {}), own.values())
        return _Lengths(own, whole.covers, frozenset(shown), rest, len(begun.keys() - set(shown)))


def _by_value(
    tallies: Mapping[tuple[int, str], Tally], by: DurationLabel | None, *, share: float | None
) -> dict[str, dict[_Length, int]]:
    """The lengths of each value; of all together, under '', where no label is asked for."""
    values: dict[str, dict[_Length, int]] = {}
    for (_, value), tally in tallies.items():
        lengths = values.setdefault("" if by is None else value, {})
        for key, number in tally.lengths.items():
            lengths[key] = lengths.get(key, 0) + number
    return {value: dict(zip(own, scaled(own.values(), share), strict=True)) for value, own in values.items()}


def _without(lengths: Mapping[_Length, int], parts: Iterable[Mapping[_Length, int]]) -> dict[_Length, int]:
    rest = dict(lengths)
    for part in parts:
        for key, number in part.items():
            rest[key] = max(rest.get(key, 0) - number, 0)  # alerts may end between the readings
    return rest


def _counts(lengths: _Lengths, firing: Iterable[Episode], now: datetime, *, by: DurationLabel | None) -> _Counts:
    """The counts of each value, and of those that were not read one by one, with those that fire still."""
    still: dict[str, list[Episode]] = {}
    still_in_rest: list[Episode] = []
    for episode in firing:
        value = "" if by is None else str(getattr(episode, by))[:LONGEST_VALUE]
        is_own = lengths.shown is None or value in lengths.shown
        (still.setdefault(value, []) if is_own else still_in_rest).append(episode)
    values = {
        value: _with_firing(lengths.values.get(value, {}), still.get(value, ()), now)
        for value in lengths.values.keys() | still.keys()
    }
    return _Counts(values, _with_firing(lengths.rest, still_in_rest, now), lengths.others)


def _with_firing(lengths: Mapping[_Length, int], firing: Iterable[Episode], now: datetime) -> DurationCounts:
    ended: dict[EndedBy, dict[int, int]] = {}
    for (ended_by, bucket), number in lengths.items():
        ended.setdefault(cast("EndedBy", ended_by), {})[bucket] = number
    return merged_counts([DurationCounts(ended, {}), counts_of_episodes(firing, now)])


def _answer(counts: _Counts, by: DurationLabel | None, covers: Covers, *, values: Sequence[str]) -> DurationsAnswer:
    everything = durations_from(merged_counts([counts.rest, *counts.values.values()]))
    if by is None:
        return DurationsAnswer(by, everything, [], None, covers)
    rows = [ValueDurations(value, durations_from(counts.values.get(value, _NONE))) for value in values]
    hidden = [each for value, each in counts.values.items() if value not in frozenset(values) and _number(each)]
    other = OtherDurations(len(hidden) + counts.others, durations_from(merged_counts([counts.rest, *hidden])))
    return DurationsAnswer(by, everything, rows, other, covers)


def _number(counts: DurationCounts) -> int:
    return sum(sum(of_end.values()) for of_end in (*counts.ended.values(), counts.firing))


def _compared(now: DurationsAnswer, before: DurationsAnswer) -> DurationsAnswer:
    other = before.other
    if other is not None and now.other is not None:
        other = msgspec.structs.replace(other, change=_change(now.other.durations, other.durations))
    values = [
        msgspec.structs.replace(of_before, change=_change(of_now.durations, of_before.durations))
        for of_now, of_before in zip(now.values, before.values, strict=True)
    ]
    return msgspec.structs.replace(before, values=values, other=other, change=_change(now.all, before.all))


def _change(now: Durations, before: Durations) -> DurationChange:
    return DurationChange(
        now.count - before.count,
        _difference(now.p50_seconds, before.p50_seconds),
        _difference(now.p90_seconds, before.p90_seconds),
        _difference(now.p99_seconds, before.p99_seconds),
    )


def _difference(now: float | None, before: float | None) -> float | None:
    return None if now is None or before is None else now - before
