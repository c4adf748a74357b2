"""The numbers of a span, for all that analyses history: from the rollups where they can answer, else from occurrences.

Every answer comes with what it covers. `begun` is exact to the microsecond: the minutes at both ends of a span are
counted from occurrences. `by_day` has all numbers of a tally, for whole days. A condition that no rollup knows is
answered from occurrences, and from a sample of them where they are many.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from alert_history.domain.covers import Covers
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.query import parse_query
from alert_history.domain.stacks import days_cut
from alert_history.domain.tally import (
    DAY_US,
    LONGEST_VALUE,
    MINUTE_US,
    Dimension,
    Tally,
    TallyMap,
    empty_tally,
    kept_minutes,
)
from alert_history.domain.times import parse_time
from alert_history.engine.reach import is_narrowed
from alert_history.errors import InvalidQuery
from alert_history.ports import Analytics, Clock, HistoryFilter, Rollups
from alert_history.ports.analytics import ALL

MOST_READ = 150_000
"""Of more occurrences than about so many a sample is counted: so many take about a second."""

_SHORTEST_BY_DAY = timedelta(days=2)
_DEFAULT_SPAN = timedelta(days=7)
_LONG = timedelta(days=400)
_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""A span is cut to these: nothing is received outside of them, and no reckoning leaves the calendar."""
_LABELS: Mapping[str, Dimension] = {"alertname": "alertname", "severity": "severity", "namespace": "namespace"}
_STACKED: Mapping[str, Dimension] = {**_LABELS, "receiver": "receiver", "source": "source"}

MANY_VALUES: Collection[Dimension] = frozenset({"alertname", "namespace", "receiver"})
"""Dimensions that may have so many values that it pays to ask first which of them are shown."""


class Asked(msgspec.Struct, frozen=True):
    """Which occurrences, received when: `since` ≤ `timestamp` < `until`, as in `/history`."""

    wanted: HistoryFilter
    since: datetime
    until: datetime
    now: datetime
    is_past: bool = False

    @property
    def is_long(self) -> bool:
        """Whether the span is long enough to be counted by whole days."""
        return self.until - self.since >= _SHORTEST_BY_DAY

    @property
    def before(self) -> "Asked":
        """The same of the span before, which is as long."""
        return msgspec.structs.replace(self, since=self.since - (self.until - self.since), until=self.since)

    @property
    def filter(self) -> HistoryFilter:
        """The filter with its span."""
        return msgspec.structs.replace(self.wanted, since=self.since, until=self.until)


class Numbers(msgspec.Struct, frozen=True):
    """Tallies by (day, value). Where a sample was counted, they are those of the sample: `whole` scales a sum up."""

    tallies: Mapping[tuple[int, str], Tally]
    covers: Covers

    def whole(self, number: float) -> int:
        """A sum of these tallies, for the whole span."""
        return round(number / (self.covers.sampled_share or 1.0))


def asked(
    query: str,
    since: str | None,
    until: str | None,
    *,
    now: datetime,
    wanted: HistoryFilter | None = None,
    default_span: timedelta = _DEFAULT_SPAN,
) -> Asked:
    """What the texts of a request ask for. Raises InvalidQuery naming what is wrong."""
    end = now if until is None else _time(until, now, of="until")
    begin = end - default_span if since is None else _time(since, now, of="since")
    if begin >= end:
        raise InvalidQuery(f"since: {begin.isoformat()} is not before until, {end.isoformat()}")
    wanted = msgspec.structs.replace(wanted or HistoryFilter(), query=parse_query(query))
    return Asked(wanted, begin, end, now)


def _time(text: str, now: datetime, *, of: str) -> datetime:
    try:
        time = parse_time(text, now)
    except InvalidQuery as error:
        raise InvalidQuery(f"{of}: {error}") from None
    return max(_EARLIEST, min(time, _LATEST))


class Analysis:
    """Answers with numbers. Every call may raise StorageUnavailable, QueryTimeout or InvalidQuery."""

    def __init__(self, analytics: Analytics, rollups: Rollups, *, clock: Clock) -> None:
        self.analytics = analytics
        self.clock = clock
        self._rollups = rollups
        self._is_counted = False

    async def begun(
        self,
        asked: Asked,
        *,
        by: str | None = None,
        values: Collection[str] | None = None,
        minutes_on: Collection[int] | None = None,
    ) -> Numbers:
        """How many occurrences began in each minute of the span, by the values of a label; `minutes` and `begun` alone.

        `receiver` and `source` stand for the columns of these names. Of `values` alone, where they are given and a
        rollup answers; their texts are those of the rollups. Where days are given, `minutes` may be empty on others.
        """
        rolled_up = await self._rolled_up(asked.wanted, by)
        if rolled_up is None:
            return await self._recounted(asked, by=by)
        dimension, known = rolled_up
        chosen = known if values is None else list(values)
        tallies = await self.in_minutes(asked, dimension, chosen, minutes_on=minutes_on)
        for edge in edges_of(asked):
            recount = await self.analytics.recount(edge.filter, by=by, most=ALL)
            _add(tallies, recount.tallies, values=values)
        return Numbers(tallies, self.covers(asked, "rollups"))

    async def in_minutes(
        self,
        asked: Asked,
        dimension: Dimension,
        values: Sequence[str] | None,
        *,
        minutes_on: Collection[int] | None = None,
    ) -> dict[tuple[int, str], Tally]:
        """As `begun`, from a rollup, of the whole minutes of the span; `edges_of` has the rest of it."""
        first_us, last_us = _whole_minutes(asked)
        if first_us >= last_us:
            return {}
        first_day, last_day = first_us // DAY_US, (last_us - 1) // DAY_US
        mapped = None if minutes_on is None else {*minutes_on, *days_cut((first_us, last_us))}
        stored = await self.analytics.tallies(
            dimension, first_day=first_day, last_day=last_day, values=values, only="minutes", mapped=mapped
        )
        return await asyncio.to_thread(kept_minutes, stored, first_us, last_us)

    async def by_day(
        self,
        asked: Asked,
        *,
        by: str | None = None,
        values: Sequence[str] | None = None,
        only: TallyMap | None = None,
    ) -> Numbers:
        """All numbers, of whole days, UTC. A span of less than two days is counted from its occurrences, as it is.

        Where a rollup answers, of some `values` only, and with one map alone, if they are given.
        """
        rolled_up = await self._rolled_up(asked.wanted, by)
        if rolled_up is None or not asked.is_long:
            return await self._recounted(asked, by=by)
        whole = whole_days(asked)
        dimension, known = rolled_up
        tallies = await self.analytics.tallies(
            dimension,
            first_day=to_us(whole.since) // DAY_US,
            last_day=(to_us(whole.until) - 1) // DAY_US,
            values=known if values is None else values,
            only=only,
        )
        return Numbers(tallies, self.covers(whole, "rollups"))

    async def is_rolled_up(self, wanted: HistoryFilter, *, by: str | None) -> bool:
        """Whether the rollups can answer."""
        return await self._rolled_up(wanted, by) is not None

    async def filled(self, asked: Asked) -> tuple[Asked, int]:
        """The part of a span that has occurrences, by whole days, and about how many: a sample is to be of it alone.

        Who sees some alerts only gets no sample: the number is 0, and a short span stays as it is.
        """
        if is_narrowed():
            return await self._filled_within_reach(asked), 0
        first_day, last_day = to_us(asked.since) // DAY_US, to_us(asked.until) // DAY_US
        tallies = await self.analytics.tallies("all", first_day=first_day, last_day=last_day, only="lengths")
        days = {day: tally.begun for (day, _), tally in tallies.items() if tally.begun}
        if not days:
            return asked, 0
        return _of_days(asked, days), sum(days.values())

    async def _filled_within_reach(self, asked: Asked) -> Asked:
        if asked.until - asked.since <= _LONG:
            return asked
        recount = await self.analytics.recount(asked.filter, by=None, most=ALL)
        days = {day for (day, _), tally in recount.tallies.items() if tally.begun}
        return _of_days(asked, days) if days else asked

    async def _recounted(self, asked: Asked, *, by: str | None) -> Numbers:
        filled, _ = await self.filled(asked)
        recount = await self.analytics.recount(filled.filter, by=by, most=MOST_READ)
        share = None if recount.share >= 1 else recount.share
        return Numbers(recount.tallies, self.covers(asked, "occurrences", share=share))

    async def _rolled_up(self, wanted: HistoryFilter, by: str | None) -> tuple[Dimension, list[str] | None] | None:
        """The dimension and the values that answer, None for all values; None where no rollup answers.

        Rollups add up all alerts, so they never answer who sees some of them only.
        """
        if is_narrowed():
            return None
        self._is_counted = self._is_counted or await self._rollups.is_counted()
        return dimension_of(wanted, by) if self._is_counted else None

    def covers(
        self, asked: Asked, counted_from: Literal["rollups", "occurrences"], *, share: float | None = None
    ) -> Covers:
        """What numbers by `timestamp` cover, which are those of a sample where its share is given."""
        return Covers(
            since=asked.since,
            until=asked.until,
            fresh_as_of=asked.now,
            is_exact=share is None,
            sampled_share=share,
            counted_from=counted_from,
        )


def dimension_of(wanted: HistoryFilter, by: str | None) -> tuple[Dimension, list[str] | None] | None:
    """The dimension of the rollups, and its values (None: all), that answer a filter by a label; None if none does."""
    conditions = {name: getattr(wanted, name) for name in _LABELS if getattr(wanted, name) is not None}
    for matcher in wanted.query.matchers:
        if (
            matcher.op != "="
            or matcher.name not in _LABELS
            or conditions.get(matcher.name, matcher.value) != matcher.value
        ):
            return None
        conditions[matcher.name] = matcher.value
    if wanted.query.words or wanted.fingerprint is not None or wanted.status is not None or wanted.came_by:
        return None
    if not conditions:
        dimension = "all" if by is None else _STACKED.get(by)
        return None if dimension is None else (dimension, None)
    [(name, value), *others] = conditions.items()
    if others or name not in _LABELS or by not in {None, name} or len(value) >= LONGEST_VALUE:
        return None
    return _LABELS[name], [value]


def _of_days(asked: Asked, days: Collection[int]) -> Asked:
    """The part of a span from the first of these days to the last."""
    since = max(asked.since, from_us(min(days) * DAY_US))
    until = min(asked.until, from_us((max(days) + 1) * DAY_US))
    return msgspec.structs.replace(asked, since=since, until=until)


def whole_days(asked: Asked) -> Asked:
    """The same of whole days, UTC. Of who asks of the past, no day that was not over by then."""
    until = midnight(asked.until) if asked.is_past else first_midnight(asked.until)
    since = midnight(asked.since)
    return msgspec.structs.replace(asked, since=since, until=max(until, since))


def midnight(time: datetime) -> datetime:
    """The last midnight that is not after a time, UTC."""
    return time.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def first_midnight(time: datetime) -> datetime:
    """The first midnight that is not before a time, UTC."""
    before = midnight(time)
    return before if before == time else before + timedelta(days=1)


def edges_of(asked: Asked) -> list[Asked]:
    """The parts of the span before its first whole minute and after its last."""
    first_us, last_us = _whole_minutes(asked)
    if first_us >= last_us:
        return [asked]
    first, last = from_us(first_us), from_us(last_us)
    edges = [(asked.since, first), (last, asked.until)]
    return [
        msgspec.structs.replace(asked, since=since, until=until)
        for since, until in edges
        if since < until and since <= asked.now
    ]


def _whole_minutes(asked: Asked) -> tuple[int, int]:
    """Where the first whole minute begins, and the last one ends; nothing is received in the future."""
    until_us = to_us(min(asked.until, asked.now + timedelta(minutes=1)))
    return -(-to_us(asked.since) // MINUTE_US) * MINUTE_US, until_us // MINUTE_US * MINUTE_US


def _add(
    tallies: dict[tuple[int, str], Tally],
    others: Mapping[tuple[int, str], Tally],
    *,
    values: Collection[str] | None,
) -> None:
    for place, other in others.items():
        if other.minutes and (values is None or place[1] in values):
            tallies.setdefault(place, empty_tally()).add(Tally(begun=other.begun, minutes=other.minutes))
