"""Reads levels, and counts of occurrences, for the statistics; the same statements on both databases.

What fires now, the stored moves and the log of what is not added up yet are read in one statement, and so in one
snapshot: a level that is reckoned backwards from what fires now is right at any time.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Executable,
    Integer,
    LargeBinary,
    Select,
    Text,
    bindparam,
    case,
    cast,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from alert_history.domain.counting import read_changes
from alert_history.domain.levels import Level, level_of
from alert_history.domain.microseconds import to_us
from alert_history.domain.tally import DIMENSIONS, LONGEST_VALUE, Dimension, by_value, moves_of, tallied
from alert_history.ports.history import HistoryFilter
from alert_history.ports.statistics import LabelSet, Lasting, ValueCounts
from alert_history.storage.shared import reads
from alert_history.storage.shared.analytics import Finding
from alert_history.storage.shared.elements import is_among
from alert_history.storage.shared.sampling import BRIEF, SAMPLE_SECONDS, pieces
from alert_history.storage.shared.session import Database, Row, Session
from alert_history.storage.shared.tables import alerts, rollup_log, rollups

_COLUMNS = frozenset({"alertname", "severity", "namespace", "receiver", "source"})
_QUARTERS_A_DAY = 96
_TICK = timedelta(microseconds=1)

_A, _R = alerts.c, rollups.c
_BEGAN = func.coalesce(_A.began_at, _A.starts_at)
_ENDED = func.coalesce(_A.ends_at, _A.last_received_at)
_FIRES = _A.status == literal_column("'firing'")

_read_labels = msgspec.json.Decoder(dict[str, str]).decode


class _Microseconds(FunctionElement[int]):
    """A time as microseconds since 1970, UTC."""

    inherit_cache = True
    name = "microseconds"
    type = BigInteger()


@compiles(_Microseconds, "postgresql")
def _of_timestamptz(element: _Microseconds, compiler: SQLCompiler, **kw: Any) -> str:
    return f"(extract(epoch FROM {compiler.process(element.clauses, **kw)}) * 1000000)::bigint"


@compiles(_Microseconds, "sqlite")
def _of_integer(element: _Microseconds, compiler: SQLCompiler, **kw: Any) -> str:
    return f"({compiler.process(element.clauses, **kw)})"


def _levels_of(dimension: Dimension, *, is_some: bool) -> CompoundSelect[Any]:
    """Stored moves, the entries of the log, and how many fire now; each row has one of them."""
    value: ColumnElement[str] = literal("") if dimension == "all" else func.substr(_A[dimension], 1, LONGEST_VALUE)
    nothing = cast(null(), LargeBinary)
    moves = select(
        _R.value.label("value"),
        _R.day.label("day"),
        _R.moves.label("moves"),
        nothing.label("entry"),
        cast(null(), BigInteger).label("firing"),
    ).where(_R.dimension == dimension, _R.day >= bindparam("first_day", type_=Integer()))
    log = select(
        cast(null(), Text), cast(null(), Integer), nothing, rollup_log.c.entry, cast(null(), BigInteger)
    ).where(rollup_log.c.entry.is_not(None))
    firing = select(value, cast(null(), Integer), nothing, nothing, cast(func.count(), BigInteger)).where(
        _FIRES, _A.joined_into.is_(None)
    )
    if is_some:
        moves, firing = moves.where(is_among(_R.value, "values")), firing.where(is_among(value, "values"))
    return union_all(moves, log, firing if dimension == "all" else firing.group_by(value))


_LEVELS: Mapping[tuple[Dimension, bool], CompoundSelect[Any]] = {
    (dimension, is_some): _levels_of(dimension, is_some=is_some)
    for dimension in DIMENSIONS
    for is_some in (False, True)
}

_LENGTH = _Microseconds(_ENDED) - _Microseconds(_BEGAN)
_LABEL_SETS = select(
    _A.fingerprint,
    func.max(_A.alertname).label("alertname"),
    func.max(_A.namespace).label("namespace"),
    func.max(_A.severity).label("severity"),
    func.count().label("occurrences"),
    cast(func.sum(case((_FIRES, 0), else_=1)), BigInteger).label("ended"),
    cast(func.sum(case((_FIRES, 0), (_LENGTH < 0, 0), else_=_LENGTH)), BigInteger).label("length_us"),
    func.max(_A.last_received_at).label("last_seen"),
)


class SharedStatistics:
    """See `ports.Statistics`."""

    def __init__(self, database: Database, finding: Finding) -> None:
        self._database = database
        self._finding = finding

    async def levels(
        self, dimension: Dimension, *, first_day: int, values: Sequence[str] | None = None
    ) -> Mapping[str, Level]:
        """See `ports.Statistics.levels`."""
        parameters: dict[str, Any] = {"first_day": first_day}
        if values is not None:
            parameters["values"] = list(values)
        rows = await self._database.read(_fetch, _LEVELS[dimension, values is not None], parameters)
        chosen = None if values is None else frozenset(values)
        return await asyncio.to_thread(_levels, rows, dimension, first_day, values=chosen)

    async def lasting(self, wanted: HistoryFilter, *, by: str | None, fired_since: datetime, most: int) -> Lasting:
        """See `ports.Statistics.lasting`."""
        reads.check_filter(wanted)
        columns = [_BEGAN.label("began_at"), _ENDED.label("ended_at"), _A.status, _A.timestamp, *_value_columns([by])]
        newest = self._finding.matching(select(*columns), wanted).where(or_(_FIRES, fired_since <= _ENDED))
        newest = newest.order_by(self._finding.time_of(wanted).desc()).limit(most + 1)
        rows = await self._database.read(_fetch_anew, newest)
        read_from = rows[-1].timestamp + _TICK if len(rows) > most else None
        older = msgspec.structs.replace(wanted, since=None, until=read_from or wanted.since, status="firing")
        rows = [row for row in rows if read_from is None or row.timestamp >= read_from]
        rows += await self._database.read(_fetch_anew, self._finding.matching(select(*columns), older))
        return Lasting(await asyncio.to_thread(_lasting, rows, by), read_from)

    async def value_counts(self, wanted: HistoryFilter, *, by: Sequence[str], share: float) -> ValueCounts:
        """See `ports.Statistics.value_counts`."""
        reads.check_filter(wanted)
        if wanted.since is None or wanted.until is None:
            raise ValueError("counts need a span")
        counting = _Counting(by)
        read_share = 0.0
        read = self._database.read_few if wanted.until - wanted.since <= BRIEF else self._database.read
        end = monotonic() + SAMPLE_SECONDS
        for piece in pieces(wanted.since, wanted.until, share=share):
            some = msgspec.structs.replace(wanted, since=piece.since, until=piece.until)
            rows = await read(_fetch_anew, self._counts(some, by))
            await asyncio.to_thread(counting.take, rows)
            read_share += piece.share
            if monotonic() > end:
                break
        return ValueCounts(counting.values, counting.total, min(read_share, 1.0))

    def _counts(self, wanted: HistoryFilter, by: Sequence[str]) -> Select[Any]:
        """The values of the labels, with how many have them; one row for each where a label has no column."""
        columns = _value_columns(by)
        if any(column is _A.labels for column in columns):
            return self._finding.matching(select(*columns, literal(1).label("number")), wanted)
        counting = select(*columns, func.count().label("number"))
        return self._finding.matching(counting, wanted).group_by(*columns)

    async def label_sets(self, wanted: HistoryFilter) -> Sequence[LabelSet]:
        """See `ports.Statistics.label_sets`."""
        reads.check_filter(wanted)
        counting = self._finding.matching(_LABEL_SETS, wanted).group_by(_A.fingerprint)
        rows = await self._database.read(_fetch_anew, counting)
        return await asyncio.to_thread(lambda: [LabelSet(*row) for row in rows])


async def _fetch(session: Session, statement: Executable, parameters: Mapping[str, Any]) -> list[Row]:
    return await session.fetch(statement, **parameters)


async def _fetch_anew(session: Session, statement: Executable) -> list[Row]:
    return await session.fetch_anew(statement)


def _levels(
    rows: Iterable[Row], dimension: Dimension, first_day: int, *, values: frozenset[str] | None
) -> dict[str, Level]:
    firing: dict[str, int] = {}
    moves: dict[str, dict[int, tuple[int, int]]] = {}
    entries: list[bytes] = []
    for row in rows:
        if row.entry is not None:
            entries.append(row.entry)
        elif row.firing is not None:
            firing[row.value] = row.firing
        else:
            _add(moves.setdefault(row.value, {}), row.day, moves_of(row.moves))
    for day, value, tally in by_value(tallied(map(read_changes, entries)).by_place(), dimension):
        if day >= first_day and (values is None or value in values):
            _add(moves.setdefault(value, {}), day, tally.moves)
    return {value: Level(firing.get(value, 0), moves.get(value, {})) for value in firing.keys() | moves.keys()}


def _add(moves: dict[int, tuple[int, int]], day: int, of_day: Mapping[int, tuple[int, int]]) -> None:
    first = day * _QUARTERS_A_DAY
    for quarter, (more, left_us) in of_day.items():
        was = moves.get(first + quarter)
        moves[first + quarter] = (more, left_us) if was is None else (was[0] + more, was[1] + left_us)


def _value_columns(by: Iterable[str | None]) -> list[ColumnElement[Any]]:
    """The columns that hold the values of these labels, each once."""
    columns = [_A[name] if name in _COLUMNS else _A.labels for name in by if name is not None]
    return list(dict.fromkeys(columns))


def _value_of(label: str) -> Callable[[Row, Mapping[str, str]], str]:
    """How the value of a label is read from a row, and its labels."""
    if label in _COLUMNS:
        return lambda row, _: getattr(row, label)[:LONGEST_VALUE]
    return lambda _, labels: labels.get(label, "")[:LONGEST_VALUE]


def _labels_of(row: Row) -> Mapping[str, str]:
    text = getattr(row, "labels", None)
    return {} if text is None else _read_labels(text)


def _lasting(rows: Iterable[Row], by: str | None) -> dict[str, Level]:
    value_of = _value_of(by) if by is not None else lambda _row, _labels: ""
    spans: dict[str, list[tuple[int, int | None]]] = {}
    for row in rows:
        end_us = None if row.status == "firing" else to_us(row.ended_at)
        spans.setdefault(value_of(row, _labels_of(row)), []).append((to_us(row.began_at), end_us))
    return {value: level_of(of_value) for value, of_value in spans.items()}


class _Counting:
    """Counts rows by the values of labels."""

    def __init__(self, by: Sequence[str]) -> None:
        self.values: dict[str, dict[str, int]] = {label: {} for label in by}
        self.total = 0
        self._values_of = [(self.values[label], _value_of(label)) for label in self.values]

    def take(self, rows: Sequence[Row]) -> None:
        """Count rows."""
        for row in rows:
            labels = _labels_of(row)
            self.total += row.number
            for counts, value_of in self._values_of:
                value = value_of(row, labels)
                counts[value] = counts.get(value, 0) + row.number
