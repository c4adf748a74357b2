"""How long alerts fire, in all and by rule: `domain.durations` of the occurrences of a span, those that fire still too.

Of a long span whole days are counted, UTC, as rollups have them.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, cast

import msgspec
from msgspec import UNSET, UnsetType

from alert_history.domain.covers import Covers
from alert_history.domain.durations import DurationCounts, Durations, counts_of_episodes, durations_from, merged_counts
from alert_history.domain.episode import Episode
from alert_history.domain.stacks import ranked, scaled
from alert_history.domain.standing import EndedBy
from alert_history.domain.tally import LONGEST_VALUE, Tally
from alert_history.engine.analysis import Analysis, Asked

DurationLabel = Literal["alertname", "severity", "namespace"]

_MOST_FIRING = 50_000


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

    async def _durations(
        self, asked: Asked, *, by: DurationLabel | None, top: int, values: Sequence[str] | None
    ) -> DurationsAnswer:
        numbers = await self._analysis.by_day(asked, by=by)
        covers = numbers.covers
        covered = msgspec.structs.replace(asked, since=covers.since, until=covers.until)
        firing = msgspec.structs.replace(covered.filter, status="firing")
        episodes = await self._analysis.analytics.episodes(firing, most=_MOST_FIRING)
        if len(episodes) == _MOST_FIRING:
            note = f"what fires still and was first received before {episodes[-1].received_at.isoformat()}"
            covers = msgspec.structs.replace(covers, is_exact=False, left_out=(*covers.left_out, note))
        counts = await asyncio.to_thread(_counts, numbers.tallies, episodes, asked, by=by, share=covers.sampled_share)
        return await asyncio.to_thread(_answer, counts, by, covers, top=top, values=values)


def _counts(
    tallies: Mapping[tuple[int, str], Tally],
    firing: Iterable[Episode],
    asked: Asked,
    *,
    by: DurationLabel | None,
    share: float | None,
) -> dict[str, DurationCounts]:
    """The counts of each value; all under '' where no label is asked for."""
    ended: dict[str, dict[tuple[str, int], int]] = {}
    for (_, value), tally in tallies.items():
        lengths = ended.setdefault("" if by is None else value, {})
        for key, number in tally.lengths.items():
            lengths[key] = lengths.get(key, 0) + number
    still: dict[str, list[Episode]] = {}
    for episode in firing:
        value = "" if by is None else str(getattr(episode, by))[:LONGEST_VALUE]
        still.setdefault(value, []).append(episode)
    return {
        value: merged_counts(
            [_ended_counts(ended.get(value, {}), share), counts_of_episodes(still.get(value, ()), asked.now)]
        )
        for value in ended.keys() | still.keys()
    }


def _ended_counts(lengths: Mapping[tuple[str, int], int], share: float | None) -> DurationCounts:
    ended: dict[EndedBy, dict[int, int]] = {}
    numbers = scaled(lengths.values(), share)
    for (ended_by, bucket), number in zip(lengths, numbers, strict=True):
        ended.setdefault(cast("EndedBy", ended_by), {})[bucket] = number
    return DurationCounts(ended, {})


def _answer(
    counts: Mapping[str, DurationCounts],
    by: DurationLabel | None,
    covers: Covers,
    *,
    top: int,
    values: Sequence[str] | None,
) -> DurationsAnswer:
    everything = durations_from(merged_counts(list(counts.values())))
    if by is None:
        return DurationsAnswer(by, everything, [], None, covers)
    totals = {value: _number(of_value) for value, of_value in counts.items()}
    shown = ranked(totals, top) if values is None else values
    hidden = [value for value, total in totals.items() if total and value not in frozenset(shown)]
    rows = [ValueDurations(value, durations_from(counts.get(value, DurationCounts({}, {})))) for value in shown]
    other = OtherDurations(len(hidden), durations_from(merged_counts([counts[value] for value in hidden])))
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
