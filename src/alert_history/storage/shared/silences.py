"""Silences, as they are known now, and what they muted. The recorders write them: see `sqlite.rows`."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Integer, Select, Text, bindparam, func, literal_column, select, tuple_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from alert_history.domain.alert import Silence
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.occurrence import occurrence_id
from alert_history.errors import InvalidQuery
from alert_history.ports.silences import MutedAlert, MutedAlerts, SilenceCounts, SilencePage, SilenceState
from alert_history.storage.shared import reads
from alert_history.storage.shared.elements import given, is_among
from alert_history.storage.shared.session import Database, Row, Session
from alert_history.storage.shared.tables import Json, UtcTime, alerts, events, silences

_MOST_MUTED = 1_000
_EVENTS_AN_ALERT = 5
"""An alert may be silenced again and again: so many events are read for each alert that is shown."""

_S = silences.c
_IN_FORCE = (
    select(silences)
    .where(_S.starts_at < bindparam("until"), _S.ends_at > bindparam("since"))
    .order_by(_S.ends_at, _S.id)
    .limit(bindparam("most"))
)
_NAMED = select(silences).where(is_among(_S.id, "ids")).order_by(_S.id)

_NOW, _SOON = bindparam("now", type_=UtcTime()), bindparam("soon", type_=UtcTime())
_STATES: dict[SilenceState, tuple[ColumnElement[bool], ...]] = {
    "active": (_S.ends_at > _NOW, _S.starts_at <= _NOW),
    "pending": (_S.ends_at > _NOW, _S.starts_at > _NOW),
    "expired": (_S.ends_at <= _NOW,),
}

_read_matchers = msgspec.json.Decoder(list[list[dict[str, str]]]).decode


class SilenceWays(NamedTuple):
    """What each database does in its own way: which columns of `events` name an occurrence, and which is its row.

    `fingerprint` and `starts_at` are of the occurrence of a row of `events`.
    """

    occurrence: tuple[ColumnElement[Any], ...]
    is_event_of: ColumnElement[bool]
    fingerprint: ColumnElement[Any]
    starts_at: ColumnElement[Any]


class SharedSilences:
    """See `ports.Silences`."""

    def __init__(self, database: Database, *, ways: SilenceWays) -> None:
        self._database = database
        self._muted_statement = muted_statement(ways)

    async def in_force(self, since: datetime, until: datetime, *, limit: int) -> list[Silence]:
        """See `ports.Silences.in_force`."""
        return await self._database.read(_in_force, since, until, limit)

    async def named(self, ids: Collection[str]) -> list[Silence]:
        """See `ports.Silences.named`."""
        return await self._database.read(_named, sorted(each for each in ids if reads.is_storable(each)))

    async def page(
        self,
        state: SilenceState,
        now: datetime,
        *,
        limit: int,
        cursor: str | None = None,
        ends_before: datetime | None = None,
    ) -> SilencePage:
        """See `ports.Silences.page`."""
        reads.check_limit(limit)
        asked: dict[str, Any] = {"now": now, "most": limit + 1}
        if cursor is not None:
            asked["after_at"], asked["after_id"] = _after(cursor, state)
        if ends_before is not None:
            asked["soon"] = ends_before
        found = await self._database.read(_page, _page_of(state, frozenset(asked)), asked)
        last = found[limit - 1] if len(found) > limit else None
        return SilencePage(found[:limit], None if last is None else _cursor(last, state))

    async def counts(self, now: datetime, *, soon: datetime) -> SilenceCounts:
        """See `ports.Silences.counts`."""
        return await self._database.read(_counts, now, soon)

    async def muted(self, ids: Collection[str], *, newest: int) -> dict[str, MutedAlerts]:
        """See `ports.Silences.muted`."""
        return await self._database.read(self._muted, sorted(set(ids)), newest)

    async def _muted(self, session: Session, ids: Sequence[str], newest: int) -> dict[str, MutedAlerts]:
        most = {"most_newest": newest * _EVENTS_AN_ALERT, "most_counted": _MOST_MUTED}
        rows = await session.fetch(self._muted_statement, ids=list(ids), **most)
        return {
            row.value: MutedAlerts(row.number, row.events < _MOST_MUTED, _newest_of(row.newest, newest))
            for row in rows
            if row.events
        }


# --- silences ---------------------------------------------------------------------------------------------------------


async def _in_force(session: Session, since: datetime, until: datetime, most: int) -> list[Silence]:
    return [_silence_of(row) for row in await session.fetch(_IN_FORCE, since=since, until=until, most=most)]


async def _named(session: Session, ids: list[str]) -> list[Silence]:
    return [_silence_of(row) for row in await session.fetch(_NAMED, ids=ids)]


async def _page(session: Session, statement: Select[Any], asked: Mapping[str, Any]) -> list[Silence]:
    return [_silence_of(row) for row in await session.fetch(statement, **asked)]


def _order(state: SilenceState) -> ColumnElement[datetime]:
    return _S.starts_at if state == "pending" else _S.ends_at


@cache
def _page_of(state: SilenceState, asked: frozenset[str]) -> Select[Any]:
    """The statement of a page that knows the parameters that are `asked`."""
    order = _order(state)
    statement = select(silences).where(*_STATES[state])
    if "soon" in asked:
        statement = statement.where(_S.ends_at < _SOON)
    if "after_id" in asked:
        key, after = (
            tuple_(order, _S.id),
            tuple_(bindparam("after_at", type_=UtcTime()), bindparam("after_id", type_=Text())),
        )
        statement = statement.where(key < after if state == "expired" else key > after)
    ordered = (order.desc(), _S.id.desc()) if state == "expired" else (order, _S.id)
    return statement.order_by(*ordered).limit(bindparam("most", type_=Integer()))


def _cursor(last: Silence, state: SilenceState) -> str:
    return f"{state}.{to_us(last.starts_at if state == 'pending' else last.ends_at)}.{last.id}"


def _after(cursor: str, state: SilenceState) -> tuple[datetime, str]:
    """The place behind which a page begins. Raises InvalidQuery."""
    reads.check_text(cursor, of="cursor")
    made_for, _, rest = cursor.partition(".")
    at, _, silence = rest.partition(".")
    try:
        if made_for == state:
            return from_us(int(at)), silence
    except (ValueError, OverflowError):
        pass
    raise InvalidQuery("cursor: it is of no page of these silences")


def _some(*conditions: ColumnElement[bool]) -> Any:
    some = select(_S.id).where(*conditions).limit(literal_column(str(reads.COUNT_BOUND + 1))).subquery()
    return select(func.count()).select_from(some).scalar_subquery()


_COUNTS = select(
    *(_some(*conditions).label(state) for state, conditions in _STATES.items()),
    _some(*_STATES["active"], _S.ends_at < _SOON).label("soon"),
)


async def _counts(session: Session, now: datetime, soon: datetime) -> SilenceCounts:
    [row] = await session.fetch(_COUNTS, now=now, soon=soon)
    return SilenceCounts(active=row.active, soon=row.soon, pending=row.pending, expired=row.expired)


def _silence_of(row: Row) -> Silence:
    return Silence(**row._asdict() | {"matchers": _read_matchers(row.matchers)})


# --- what they muted --------------------------------------------------------------------------------------------------

_Muted = tuple[int, str | None, str | None, int | None]
"""When, in microseconds, and of which alert: its name, its fingerprint, its start. None where it is gone."""


class _MutedList(FunctionElement[list[_Muted]]):
    """The rows of a subquery with `at`, `alertname`, `fingerprint` and `starts_at` as one JSON array."""

    inherit_cache = True
    name = "muted_list"
    type = Json(list[_Muted])


@compiles(_MutedList, "postgresql")
def _array_of_muted(element: _MutedList, compiler: SQLCompiler, **kw: Any) -> str:
    at, name, fingerprint, starts_at = (compiler.process(clause, **kw) for clause in element.clauses)
    us = "(extract(epoch FROM {}) * 1000000)::bigint"
    return f"json_agg(json_build_array({us.format(at)}, {name}, {fingerprint}, {us.format(starts_at)}))"


@compiles(_MutedList, "sqlite")
def _json_of_muted(element: _MutedList, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_group_array(json_array({', '.join(compiler.process(clause, **kw) for clause in element.clauses)}))"


_GIVEN = given("ids")
_OF_SILENCE = (
    events.c.kind == literal_column("'silenced'"),  # a literal, as in the condition of the index
    literal_column("events.detail ->> 'silence_id'", Text()) == literal_column("given.value", Text()),
)


def muted_statement(ways: SilenceWays) -> Select[Any]:
    """Of each given silence: how many events and occurrences there are, up to a bound, and the newest events."""
    counted = _newest_events(*ways.occurrence, most="most_counted").subquery("counted")
    distinct = select(counted).distinct().subquery("distinct_occurrences")
    name = select(alerts.c.alertname).where(ways.is_event_of).correlate(events).scalar_subquery().label("alertname")
    occurrence = (ways.fingerprint.label("fingerprint"), ways.starts_at.label("starts_at"))
    newest = _newest_events(events.c.at, name, *occurrence, most="most_newest").subquery("newest")
    listed = _MutedList(newest.c.at, newest.c.alertname, newest.c.fingerprint, newest.c.starts_at)
    return select(
        _GIVEN.c.value,
        select(func.count()).select_from(counted).scalar_subquery().label("events"),
        select(func.count()).select_from(distinct).scalar_subquery().label("number"),
        select(listed).scalar_subquery().label("newest"),
    )


def _newest_events(*columns: ColumnElement[Any], most: str) -> Select[Any]:
    chosen = select(*columns).select_from(events).where(*_OF_SILENCE)
    return chosen.order_by(events.c.at.desc()).limit(bindparam(most, type_=Integer()))


def _newest_of(muted: Sequence[_Muted] | None, most: int) -> list[MutedAlert]:
    """The newest of the occurrences that are still here, each once."""
    newest: dict[str, MutedAlert] = {}
    for at_us, name, fingerprint, starts_us in sorted(muted or (), reverse=True, key=lambda each: each[0]):
        if name is not None and fingerprint is not None and starts_us is not None:
            occurrence = occurrence_id(fingerprint, starts_us)
            newest.setdefault(occurrence, MutedAlert(occurrence, name, from_us(at_us)))
    return list(newest.values())[:most]
