"""Reads the numbers of the history, and the episodes behind them; the same statements on both databases.

The stored tallies and the log of what is not added up yet are read in one statement, and so in one snapshot: whatever a
background job moves meanwhile, each change is counted once.
"""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from operator import attrgetter
from time import monotonic
from typing import Any, Protocol, get_args

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Integer,
    Select,
    Text,
    bindparam,
    case,
    cast,
    func,
    null,
    select,
)

from alert_history.domain.counting import Repeated
from alert_history.domain.episode import Episode
from alert_history.domain.microseconds import to_us
from alert_history.domain.occurrence import occurrence_id
from alert_history.domain.tally import (
    DIMENSIONS,
    LONGEST_VALUE,
    Dimension,
    Tallies,
    Tally,
    TallyMap,
    by_value,
    without_maps,
)
from alert_history.ports.analytics import ALL, Recount, Sums
from alert_history.ports.history import HistoryFilter
from alert_history.storage.shared import reads
from alert_history.storage.shared.counting_anew import COUNTED_COLUMNS, counted_of
from alert_history.storage.shared.elements import is_among, is_number_among
from alert_history.storage.shared.reads import ended_by_of
from alert_history.storage.shared.rollup_log import tallies_of, with_log
from alert_history.storage.shared.sampling import BRIEF, SAMPLE_SECONDS, pieces
from alert_history.storage.shared.session import Database, Row, Session
from alert_history.storage.shared.tables import alerts, rollup_again, rollup_log, rollups
from alert_history.storage.shared.tallies import SUMS, tally_of
from alert_history.storage.shared.tally_blocks import SpanSums


class Finding(Protocol):
    """How each database finds occurrences: by labels and fingerprints, and in the order of time."""

    def matching(self, statement: Select[Any], wanted: HistoryFilter) -> Select[Any]:
        """A statement on `alerts` with the conditions of a filter."""
        ...

    def time_of(self, wanted: HistoryFilter) -> ColumnElement[Any]:
        """The column in the order of `timestamp` by which a statement with these conditions is ordered."""
        ...

    def of_label_sets(self, statement: Select[Any], fingerprints: Sequence[str]) -> Select[Any]:
        """A statement on `alerts`, of these label sets alone."""
        ...


_LABEL_SETS = 500
"""So many label sets are asked for in one statement."""

_LATEST = timedelta(days=1)
"""Of a label set those are found that were received so long after their start, or sooner.

PostgreSQL keeps the start in the key of a label set. A condition on `timestamp` would be another way to find them, and
after some calls PostgreSQL takes that way, which is slower a hundred times.
"""

_COLUMNS = {"alertname", "severity", "namespace", "receiver", "source"}

_R = rollups.c
_first, _last = bindparam("first_day", type_=Integer()), bindparam("last_day", type_=Integer())
_IN_SPAN = (_R.dimension == bindparam("of_dimension", type_=Text()), _R.day >= _first, _R.day <= _last)

EPISODE_COLUMNS = (
    alerts.c.fingerprint,
    alerts.c.alertname,
    alerts.c.severity,
    alerts.c.namespace,
    alerts.c.starts_at,
    alerts.c.began_at,
    func.coalesce(alerts.c.ends_at, alerts.c.last_received_at).label("ended_at"),
    alerts.c.timestamp,
    alerts.c.status,
    alerts.c.ended_by,
    alerts.c.repeat_count,
)


@cache
def _tallies_of(only: TallyMap | None, *, is_some: bool, is_mapped: bool) -> CompoundSelect[Any]:
    """The rows of a dimension in a span, and the log: with all maps or with one, of all days or of some."""
    maps: tuple[str, ...] = get_args(TallyMap)
    nothing = {column.name: cast(null(), column.type) for column in _R}
    is_read = is_number_among(_R.day, "mapped")
    columns: list[ColumnElement[Any]] = []
    for column in _R:
        if column.name not in maps:
            columns.append(column)
        elif only is not None and column.name != only:
            columns.append(nothing[column.name].label(column.name))
        else:
            columns.append(case((is_read, column)).label(column.name) if is_mapped else column)
    rows = select(*columns).where(*_IN_SPAN)
    return with_log(rows.where(is_among(_R.value, "values")) if is_some else rows)


_SUMS_END = 1 + len(SUMS)
"""Where the sums of a row of `SpanSums` end; its first column is the value."""

_AGAIN = (
    select(rollup_again.c.fingerprint, cast(func.sum(rollup_again.c.number), BigInteger).label("number"))
    .where(rollup_again.c.day >= _first, rollup_again.c.day <= _last)
    .group_by(rollup_again.c.fingerprint)
)
_LOG = select(rollup_log)

_read_labels = msgspec.json.Decoder(dict[str, str]).decode


class SharedAnalytics:
    """See `ports.Analytics`."""

    def __init__(self, database: Database, finding: Finding) -> None:
        self._database = database
        self._finding = finding
        self._span_sums = SpanSums(database)

    async def tallies(
        self,
        dimension: Dimension,
        *,
        first_day: int,
        last_day: int,
        values: Sequence[str] | None = None,
        only: TallyMap | None = None,
        mapped: Collection[int] | None = None,
    ) -> Mapping[tuple[int, str], Tally]:
        """See `ports.Analytics.tallies`."""
        span: dict[str, Any] = {"of_dimension": dimension, "first_day": first_day, "last_day": last_day}
        chosen = None if values is None else frozenset(values)
        with_maps = None if mapped is None else frozenset(mapped)
        if values is not None:
            span["values"] = list(values)
        if mapped is not None:
            span["mapped"] = sorted(mapped)
        statement = _tallies_of(only, is_some=values is not None, is_mapped=mapped is not None)
        rows = await self._database.read(_fetch, statement, span)
        days = range(first_day, last_day + 1)
        return await asyncio.to_thread(_tallies, rows, dimension, days, values=chosen, mapped=with_maps)

    async def sums(self, dimension: Dimension, *, first_day: int, last_day: int) -> Mapping[str, Sums]:
        """See `ports.Analytics.sums`."""
        rows = await self._span_sums.rows(dimension, first_day, last_day)
        return await asyncio.to_thread(_sums, rows, dimension, range(first_day, last_day + 1))

    async def recount(self, wanted: HistoryFilter, *, by: str | None, most: int) -> Recount:
        """See `ports.Analytics.recount`."""
        reads.check_filter(wanted)
        if wanted.since is None or wanted.until is None:
            raise ValueError("a recount needs a span")
        about = await self._about(wanted.since, wanted.until) if most < ALL else 0
        columns = [*COUNTED_COLUMNS, *([alerts.c.labels] if by is not None and by not in _COLUMNS else [])]
        tallies: dict[tuple[int, str], Tally] = {}
        counting = _Counting(by)
        read_share = 0.0
        read = self._database.read_few if wanted.until - wanted.since <= BRIEF else self._database.read
        end = monotonic() + SAMPLE_SECONDS
        for piece in pieces(wanted.since, wanted.until, share=min(most / about, 1.0) if about else 1.0):
            some = msgspec.structs.replace(wanted, since=piece.since, until=piece.until)
            rows = await read(_fetch_anew, self._finding.matching(select(*columns), some))
            await asyncio.to_thread(counting.take, rows)
            read_share += piece.share
            if monotonic() > end:
                break
        tallies = counting.tallies()
        return Recount(tallies, min(read_share, 1.0), counting.occurrences)

    async def _about(self, since: datetime, until: datetime) -> int:
        """About how many occurrences were received in a span."""
        first_day, last_day = to_us(since) // _DAY_US, to_us(until) // _DAY_US
        sums = await self.sums("all", first_day=first_day, last_day=last_day)
        return sum(each.begun for each in sums.values())

    async def firing(self, wanted: HistoryFilter, *, by: str | None) -> Mapping[str, int]:
        """See `ports.Analytics.firing`."""
        wanted = msgspec.structs.replace(wanted, status="firing")
        reads.check_filter(wanted)
        if by is None or by in _COLUMNS:
            value = func.max("") if by is None else alerts.c[by]
            statement = select(value.label("value"), func.count().label("number")).select_from(alerts)
            statement = statement if by is None else statement.group_by(alerts.c[by])
            rows = await self._database.read(_fetch_anew, self._finding.matching(statement, wanted))
            return {row.value or "": row.number for row in rows if row.number}
        rows = await self._database.read(_fetch_anew, self._finding.matching(select(alerts.c.labels), wanted))
        counts: dict[str, int] = {}
        for row in rows:
            value_ = _read_labels(row.labels).get(by, "")
            counts[value_] = counts.get(value_, 0) + 1
        return counts

    async def episodes(self, wanted: HistoryFilter, *, most: int) -> Sequence[Episode]:
        """See `ports.Analytics.episodes`."""
        reads.check_filter(wanted)
        matching = self._finding.matching(select(*EPISODE_COLUMNS), wanted)
        newest = matching.order_by(self._finding.time_of(wanted).desc()).limit(most)
        rows = await self._database.read(_fetch_anew, newest)
        return await asyncio.to_thread(lambda: list(map(episode_of, rows)))

    async def again(self, *, first_day: int, last_day: int, least: int) -> Mapping[str, int]:
        """See `ports.Analytics.again`."""
        numbers = await self._database.read(_again, {"first_day": first_day, "last_day": last_day})
        return {fingerprint: number for fingerprint, number in numbers.items() if number >= least}

    async def episodes_of(
        self, fingerprints: Sequence[str], *, since: datetime, until: datetime
    ) -> Mapping[str, Sequence[Episode]]:
        """See `ports.Analytics.episodes_of`."""
        episodes: dict[str, list[Episode]] = {fingerprint: [] for fingerprint in fingerprints}
        names = list(episodes)
        began = [alerts.c.starts_at >= since - _LATEST, alerts.c.starts_at < until, alerts.c.joined_into.is_(None)]
        for first in range(0, len(names), _LABEL_SETS):
            some = self._finding.of_label_sets(
                select(*EPISODE_COLUMNS).where(*began), names[first : first + _LABEL_SETS]
            )
            rows = await self._database.read(_fetch_anew, some)
            await asyncio.to_thread(_gather, episodes, rows, since, until)
        return episodes


_DAY_US = 86_400 * 1_000_000


async def _fetch(session: Session, statement: Any, parameters: Mapping[str, Any]) -> list[Row]:
    return await session.fetch(statement, **parameters)


async def _fetch_anew(session: Session, statement: Any) -> list[Row]:
    return await session.fetch_anew(statement)


async def _again(session: Session, span: Mapping[str, int]) -> dict[str, int]:
    numbers = {row.fingerprint: row.number for row in await session.fetch(_AGAIN, **span)}
    waiting = tallies_of(await session.fetch(_LOG))
    for (day, fingerprint, _), number in waiting.again.items():
        if span["first_day"] <= day <= span["last_day"]:
            numbers[fingerprint] = numbers.get(fingerprint, 0) + number
    return numbers


def _waiting(
    rows: Iterable[Row], dimension: Dimension, days: range, *, values: frozenset[str] | None
) -> Iterator[tuple[int, str, Tally]]:
    """What is not added up yet, as (day, value, tally)."""
    waiting = tallies_of(row for row in rows if row.is_waiting)
    for day, value, tally in by_value(waiting.by_place(), dimension):
        if day in days and (values is None or value in values):
            yield day, value, tally


def _tallies(
    rows: Sequence[Row],
    dimension: Dimension,
    days: range,
    *,
    values: frozenset[str] | None,
    mapped: frozenset[int] | None,
) -> dict[tuple[int, str], Tally]:
    tallies = {(row.day, row.value): tally_of(row) for row in rows if not row.is_waiting}
    for day, value, tally in _waiting(rows, dimension, days, values=values):
        if mapped is not None and day not in mapped:
            tally = without_maps(tally)  # noqa: PLW2901  # the same numbers
        stored = tallies.get((day, value))
        if stored is None:
            tallies[day, value] = tally.without_zeros()
        else:
            stored.add(tally)
            stored.without_zeros()
    return tallies


def _sums(rows: Sequence[Row], dimension: Dimension, days: range) -> dict[str, Sums]:
    sums = {row.value: Sums(*row[1:_SUMS_END]) for row in rows if not row.is_waiting}
    for _, value, tally in _waiting(rows, dimension, days, values=None):
        before = sums.get(value, Sums())
        sums[value] = Sums(*(getattr(before, name) + getattr(tally, name) for name in SUMS))
    return sums


def _gather(episodes: Mapping[str, list[Episode]], rows: Iterable[Row], since: datetime, until: datetime) -> None:
    """Add those that were received in a span to those of their label set, and put these in order."""
    some = [row for row in rows if since <= row.timestamp < until]
    for row in some:
        episodes[row.fingerprint].append(episode_of(row))
    for fingerprint in {row.fingerprint for row in some}:
        episodes[fingerprint].sort(key=attrgetter("starts_at"))


def episode_of(row: Row) -> Episode:
    """The episode in a row of `alerts`."""
    return Episode(
        id=occurrence_id(row.fingerprint, to_us(row.starts_at)),
        fingerprint=row.fingerprint,
        alertname=row.alertname,
        severity=row.severity,
        namespace=row.namespace,
        starts_at=row.began_at or row.starts_at,
        ends_at=None if row.status == "firing" else row.ended_at,
        received_at=row.timestamp,
        ended_by=ended_by_of(row.status, row.ended_by),
        repeats=row.repeat_count,
    )


# --- from occurrences -------------------------------------------------------------------------------------------------


class _Counting:
    """Counts rows of `alerts` by the values of one label."""

    def __init__(self, by: str | None) -> None:
        self._by = by
        self._values: dict[str, Tallies] = {}
        self.occurrences = 0

    def take(self, rows: Sequence[Row]) -> None:
        """Count rows."""
        self.occurrences += len(rows)
        for row in rows:
            counted = counted_of(row)
            tallies = self._of(self._value(row))
            tallies.count(counted, 1)
            if row.repeat_count:
                tallies.repeat(Repeated(counted.about, counted.receiver, row.repeat_count))

    def tallies(self) -> dict[tuple[int, str], Tally]:
        """The tallies by (day, value)."""
        return {
            (day, value): tally.without_zeros()
            for value, tallies in self._values.items()
            for day, _, tally in by_value(tallies.by_place(), DIMENSIONS[0])
        }

    def _of(self, value: str) -> Tallies:
        tallies = self._values.get(value)
        if tallies is None:
            tallies = self._values[value] = Tallies()
        return tallies

    def _value(self, row: Row) -> str:
        if self._by is None:
            return ""
        if self._by in _COLUMNS:
            value: str = getattr(row, self._by)
        else:
            value = _read_labels(row.labels).get(self._by, "")
        return value[:LONGEST_VALUE]
