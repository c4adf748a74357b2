"""Segments: runs of consecutive occurrences with what their texts lack, built in the background for searches.

A segment is a promise: what its bitmap lacks, none of its occurrences has, but strays. An occurrence that was added or
reworded since is a stray. So whoever builds a segment removes the strays that the read of the texts could see, in the
same snapshot. Each database gives the order of time as a column: `timestamp`, or the id that follows it.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Integer, and_, bindparam, delete, func, insert, select

from alert_history.domain.grams import Grams
from alert_history.storage.shared.label_values import keep_values
from alert_history.storage.shared.session import Row, Session
from alert_history.storage.shared.tables import UtcTime, alerts, search_segments, search_strays

ROWS = 4096
"""The rows of a segment. A segment ends with a microsecond, so it may have more."""

SETTLED = timedelta(seconds=60)
"""The least age of the occurrences in a segment: twice the age at which what is written becomes a stray."""

MOST_STRAYS = 256
"""A segment with so many is built anew."""

_STRAYS_A_STEP = 10_000
_TICK = timedelta(microseconds=1)
_LOWEST = datetime(1970, 1, 1, tzinfo=UTC)

_read_texts = msgspec.json.Decoder(dict[str, str]).decode


class Span(msgspec.Struct, frozen=True):
    """The occurrences of `first` ≤ time < `until`."""

    first: datetime
    until: datetime


class Plan(msgspec.Struct, frozen=True):
    """One step: segments to remove, by `first_at`; spans without a segment, which have strays; the span to build."""

    outdated: Sequence[datetime] = ()
    loose: Sequence[Span] = ()
    span: Span | None = None
    last_stray: int = -1
    """The highest id of a stray that the plan could see."""


class Order:
    """The statements that read occurrences in the order of time; `at` is the column of this order."""

    def __init__(self, at: ColumnElement[datetime]) -> None:
        first, until = bindparam("first", type_=at.type), bindparam("until", type_=at.type)
        inside = and_(at >= first, at < until)
        self.at = at
        self.inside = inside
        """Whether an occurrence lies between the parameters `first` and `until`."""
        times = select(at.label("at")).select_from(alerts)
        rows = bindparam("rows", type_=Integer())
        self.oldest = times.order_by(at).limit(1)
        self.newest = times.order_by(at.desc()).limit(1)
        self.from_oldest = times.where(inside).order_by(at).limit(1).offset(rows)
        self.from_newest = times.where(inside).order_by(at.desc()).limit(1).offset(rows)
        self.texts = select(alerts.c.starts_at, alerts.c.labels, alerts.c.annotations).where(inside)


class Summary:
    """What the texts of a span hold. `add` all its rows, in as many steps as suits the caller."""

    def __init__(self) -> None:
        self.values: dict[str, set[str]] = {}
        self.rows = 0
        self._counts: Counter[str] = Counter()
        self._starts: list[datetime] = []
        self._grams = Grams()
        self._texts: set[str] = set()

    def add(self, rows: Sequence[Row]) -> None:
        """Take in rows of `Order.texts`."""
        new: set[str] = set()
        for labels, count in Counter(row.labels for row in rows).items():
            pairs = {name: value for name, value in _read_texts(labels).items() if value}
            self._counts.update(dict.fromkeys(pairs, count))
            for name, value in pairs.items():
                self.values.setdefault(name, set()).add(value)
            new.update(pairs.values())
        for annotations in {row.annotations for row in rows}:
            new.update(_read_texts(annotations).values())
        new -= self._texts
        self._texts |= new
        self._grams.add(new)
        self.rows += len(rows)
        starts = [*self._starts, *(row.starts_at for row in rows)]
        self._starts = [min(starts), max(starts)] if starts else []

    def row(self, span: Span) -> dict[str, Any]:
        """The row of `search_segments`."""
        starts_from, starts_to = self._starts or (span.first, span.first)
        return {
            "first_at": span.first,
            "until_at": span.until,
            "starts_from": starts_from,
            "starts_to": starts_to,
            "row_count": self.rows,
            "complete": listed(name for name, count in self._counts.items() if count == self.rows),
            "grams": self._grams.bitmap(),
        }


def listed(names: Iterable[str]) -> str:
    """Names as a text that holds the `listed` text of each of them, and of no other."""
    return "".join(f"\n{msgspec.json.encode(name).decode()}\n" for name in sorted(names))


_SEGMENTS = select(search_segments.c.first_at, search_segments.c.until_at).order_by(search_segments.c.first_at)
_STRAYS = (
    select(search_strays.c.at, func.count().label("strays"), func.max(search_strays.c.id).label("last"))
    .group_by(search_strays.c.at)
    .order_by(search_strays.c.at)
    .limit(_STRAYS_A_STEP)
)
_first, _until = bindparam("first", type_=UtcTime()), bindparam("until", type_=UtcTime())
_OVERLAPPING = select(search_segments.c.first_at).where(
    search_segments.c.first_at < _until, search_segments.c.until_at > _first
)
_INSERT = insert(search_segments).values({c.name: bindparam(c.name, type_=c.type) for c in search_segments.c})
_REMOVE = delete(search_segments).where(search_segments.c.first_at == _first)
_REMOVE_STRAYS = delete(search_strays).where(
    search_strays.c.at >= _first,
    search_strays.c.at < _until,
    search_strays.c.id <= bindparam("last", type_=BigInteger()),
)


async def plan(session: Session, order: Order, edge: datetime) -> Plan:
    """What to do next for occurrences older than `edge`.

    First come the newest, then holes, then segments with many strays; of these one in a step, so that the others serve.
    """
    segments = [Span(*row) for row in await session.fetch(_SEGMENTS)]
    strays = await session.fetch(_STRAYS)
    outdated = [span.first for span in await _empty(session, order, segments, turn=int(edge.timestamp()))]
    segments = [span for span in segments if span.first not in outdated]
    span = await _next_span(session, order, segments, edge=edge)
    if span is None and (crowded := _crowded(segments, strays)):
        outdated.append(crowded.first)
        span = await _end_of_hole(session, order, crowded)
    last_stray = max((row.last for row in strays), default=-1)
    return Plan(outdated, _loose(segments, strays), span, last_stray)


async def keep(session: Session, step: Plan, summary: Summary | None, *, row: dict[str, Any] | None) -> int:
    """Carry out a plan, with the summary and the row of its span; the rows that it summarised, 0 if it did nothing.

    The summary was read in the snapshot of the plan, or in a later one.
    """
    for first in step.outdated:
        await session.execute(_REMOVE, first=first)
    for loose in step.loose:
        await session.execute(_REMOVE_STRAYS, first=loose.first, until=loose.until, last=step.last_stray)
    tidied = len(step.outdated) + len(step.loose)
    span = step.span
    if span is None or summary is None or row is None:
        return tidied
    if await session.fetch(_OVERLAPPING, first=span.first, until=span.until):
        return tidied
    await session.execute(_INSERT, **row)
    await session.execute(_REMOVE_STRAYS, first=span.first, until=span.until, last=step.last_stray)
    await keep_values(session, summary.values)
    return max(summary.rows, 1)


async def _empty(session: Session, order: Order, segments: Sequence[Span], *, turn: int) -> Sequence[Span]:
    """Segments whose occurrences are forgotten: those before all others, and one of the rest in turn."""
    if not segments:
        return ()
    oldest = await _time(session, order.oldest)
    past = [span for span in segments if oldest is None or span.until <= oldest]
    span = segments[turn % len(segments)]
    if span not in past and await _time(session, order.from_oldest, first=span.first, until=span.until, rows=0) is None:
        past.append(span)
    return past


def _place(segments: Sequence[Span], time: datetime) -> int:
    """The place of the last segment that begins at this time or before; -1 if none does."""
    return bisect_right(segments, time, key=lambda span: span.first) - 1


def _crowded(segments: Sequence[Span], strays: Iterable[Row]) -> Span | None:
    """The segment with the most strays, if they are many."""
    counts: Counter[int] = Counter()
    for row in strays:
        place = _place(segments, row.at)
        if place >= 0 and row.at < segments[place].until:
            counts[place] += row.strays
    [(place, count)] = counts.most_common(1) or [(-1, 0)]
    return segments[place] if count >= MOST_STRAYS else None


def _loose(segments: Sequence[Span], strays: Iterable[Row]) -> list[Span]:
    """The spans between segments that have strays: whoever searches reads all of these spans."""
    spans: dict[int, Span] = {}
    for row in strays:
        place = _place(segments, row.at)
        if place < 0 or row.at >= segments[place].until:
            span = spans.get(place)
            spans[place] = Span(row.at if span is None else span.first, row.at + _TICK)
    return list(spans.values())


async def _next_span(session: Session, order: Order, segments: Sequence[Span], *, edge: datetime) -> Span | None:
    if not segments:
        first = await _time(session, order.from_newest, first=_LOWEST, until=edge, rows=ROWS - 1)
        return None if first is None else Span(first, edge)
    first = segments[-1].until
    end = await _time(session, order.from_oldest, first=first, until=max(first, edge), rows=ROWS)
    if end is not None:
        return Span(first, max(end, first + _TICK))
    ends = [_LOWEST, *(span.until for span in segments[:-1])]
    for end, span in zip(reversed(ends), reversed(segments), strict=True):
        if end < span.first and (hole := await _end_of_hole(session, order, Span(end, span.first))):
            return hole
    return None


async def _end_of_hole(session: Session, order: Order, hole: Span) -> Span | None:
    """The newest occurrences of a hole, or all of them if they are few."""
    inside = {"first": hole.first, "until": hole.until}
    if await _time(session, order.from_newest, **inside, rows=ROWS + ROWS // 2) is not None:
        first = await _time(session, order.from_newest, **inside, rows=ROWS - 1)
        return None if first is None else Span(first, hole.until)
    oldest = await _time(session, order.from_oldest, **inside, rows=0)
    if oldest is None:
        return None
    return Span(oldest if hole.first == _LOWEST else hole.first, hole.until)


async def _time(session: Session, statement: Any, **parameters: Any) -> datetime | None:
    rows = await session.fetch(statement, **parameters)
    return rows[0].at if rows else None
