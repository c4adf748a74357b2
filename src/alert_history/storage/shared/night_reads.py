"""What the report of a night reads: occurrences with some of their events, earlier ones, and failed deliveries.

Events are looked up one occurrence at a time, inside the statement: a join of two tables that grow for years would be
planned anew by the size that they seem to have.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Table,
    Text,
    bindparam,
    literal_column,
    select,
)

from alert_history.domain.episode import Episode
from alert_history.domain.firing_spans import LENGTHS
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.night_facts import FailedDelivery
from alert_history.domain.occurrence import EventKind, occurrence_id
from alert_history.domain.query import ALL, Query
from alert_history.ports.history import HistoryFilter
from alert_history.ports.night import NightEvent, NightRow
from alert_history.storage.shared.analytics import Finding
from alert_history.storage.shared.elements import is_one_of
from alert_history.storage.shared.event_list import IS_OF_KINDS, newest_events
from alert_history.storage.shared.moments import MomentWays, is_near, is_of_length, times_of
from alert_history.storage.shared.reads import check_filter, ended_by_of
from alert_history.storage.shared.session import Database, Row, Session
from alert_history.storage.shared.tables import UtcTime, alerts, deliveries, delivery_queue, events

_KINDS: tuple[EventKind, ...] = ("fired", "refired", "published", "silenced", "unsilenced", "inhibited")
_MOST_EVENTS = 20
_WEEK = timedelta(days=7)
_SLACK = timedelta(milliseconds=1)  # an id of SQLite may be so much ahead of its time


class Ways(NamedTuple):
    """What each database does in its own way.

    `at` is the column of `alerts` that orders them by time, `is_event_of` tells the events of a row of `alerts`.
    `last_seen` and `known` are works: see `ports.NightReads`.
    """

    at: ColumnElement[datetime]
    is_event_of: ColumnElement[bool]
    last_seen: Callable[[Session, Sequence[str], datetime], Awaitable[dict[str, datetime]]]
    known: Callable[[Session, Sequence[str], datetime], Awaitable[set[str]]]


class SharedNightReads:
    """See `ports.NightReads`."""

    def __init__(self, database: Database, finding: Finding, *, ways: Ways, moment_ways: MomentWays) -> None:
        self._database = database
        self._finding = finding
        self._ways = ways
        self._statements = _Statements(ways, moment_ways)

    async def received(self, since: datetime, until: datetime, *, most: int, query: Query = ALL) -> list[NightRow]:
        """See `ports.NightReads.received`."""
        if query != ALL:
            return await self._matching(self._newest(HistoryFilter(query, since=since, until=until), most))
        return await self._database.read(self._received, since, until, most)

    async def open_at(self, at: datetime, *, received_since: datetime, most: int, query: Query = ALL) -> list[NightRow]:
        """See `ports.NightReads.open_at`."""
        if query == ALL:
            return await self._database.read(self._open_at, at, received_since, most)
        firing = self._newest(HistoryFilter(query, status="firing", until=at), most)
        ended = self._newest(HistoryFilter(query, status="resolved", since=received_since, until=at), most)
        return [*await self._matching(firing), *await self._matching(ended.where(_A.ends_at >= at))]

    async def last_seen(self, alertnames: Collection[str], *, before: datetime) -> dict[str, datetime]:
        """See `ports.NightReads.last_seen`."""
        return await self._database.read(self._last_seen, sorted(alertnames), before)

    async def known(self, fingerprints: Collection[str], *, before: datetime) -> set[str]:
        """See `ports.NightReads.known`."""
        return await self._database.read(self._known, sorted(fingerprints), before)

    async def failed_deliveries(self, since: datetime, until: datetime, *, most: int) -> list[FailedDelivery]:
        """See `ports.NightReads.failed_deliveries`."""
        return await self._database.read(_failed, since, until, most)

    def _newest(self, wanted: HistoryFilter, most: int) -> Select[Any]:
        """The newest occurrences that match, each with its newest events of some kinds."""
        check_filter(wanted)
        columns = _columns(self._ways, is_one_of(events.c.kind, _KINDS))
        rows = self._finding.matching(select(*columns), wanted)
        return rows.order_by(self._finding.time_of(wanted).desc()).limit(most)

    async def _matching(self, statement: Select[Any]) -> list[NightRow]:
        return [_row_of(row) for row in await self._database.read(_fetch_anew, statement)]

    async def _received(self, session: Session, since: datetime, until: datetime, most: int) -> list[NightRow]:
        span = {"since": since, "until": until, "behind": until + _SLACK}
        rows = await session.fetch(self._statements.received, kinds=_KINDS, most=most, **span)
        return [_row_of(row) for row in rows]

    async def _open_at(self, session: Session, at: datetime, received_since: datetime, most: int) -> list[NightRow]:
        firing = await session.fetch(self._statements.firing, kinds=_KINDS, most=most, until=at)
        asked = {**times_of(at), "since": received_since, "until": at, "kinds": _KINDS, "most": most}
        over = {  # one that took long and was received around that time is found twice
            (row.fingerprint, row.starts_at): row
            for statement in self._statements.over
            for row in await session.fetch(statement, **asked)
        }
        newest = sorted(over.values(), key=lambda row: row.timestamp, reverse=True)
        return [_row_of(row) for row in (*firing, *newest[:most])]

    async def _last_seen(self, session: Session, names: Sequence[str], before: datetime) -> dict[str, datetime]:
        return await self._ways.last_seen(session, names, before)

    async def _known(self, session: Session, fingerprints: Sequence[str], before: datetime) -> set[str]:
        return await self._ways.known(session, fingerprints, before)


_A = alerts.c
_SINCE, _UNTIL = bindparam("since", type_=UtcTime()), bindparam("until", type_=UtcTime())
_MOST = bindparam("most", type_=Integer())
_IS_FIRING = _A.status == literal_column("'firing'", Text)  # a literal, as in the condition of the index


class _Statements:
    """The statements that read occurrences of one database."""

    def __init__(self, ways: Ways, moment_ways: MomentWays) -> None:
        inside = (
            ways.at >= bindparam("since", type_=ways.at.type),
            ways.at < bindparam("behind", type_=ways.at.type),
            _A.timestamp < _UNTIL,
        )
        rows = _rows(ways)
        self.received = rows.where(*inside).order_by(ways.at.desc()).limit(_MOST)
        over = rows.where(_A.ends_at >= _UNTIL, ~_IS_FIRING, _A.timestamp < _UNTIL, _A.timestamp >= _SINCE).limit(_MOST)
        self.over = [
            over.where(is_near(moment_ways)).order_by(ways.at.desc()),
            *(over.where(is_of_length(moment_ways, length)) for length in LENGTHS[1:]),
        ]
        self.firing = rows.where(_IS_FIRING, _A.timestamp < _UNTIL).order_by(_A.timestamp.desc()).limit(_MOST)


def _rows(ways: Ways) -> Select[Any]:
    """Occurrences that are part of no other, each with its newest events of some kinds."""
    return select(*_columns(ways)).select_from(alerts).where(_A.joined_into.is_(None))


def _columns(ways: Ways, is_wanted: ColumnElement[bool] = IS_OF_KINDS) -> Sequence[ColumnElement[Any]]:
    listed = newest_events(ways.is_event_of, most=_MOST_EVENTS, is_wanted=is_wanted)
    return (
        _A.fingerprint,
        _A.starts_at,
        _A.timestamp,
        _A.alertname,
        _A.namespace,
        _A.severity,
        _A.status,
        _A.ends_at,
        _A.ended_by,
        _A.began_at,
        _A.unconfirmed,
        _A.repeat_count,
        _A.is_published,
        listed.label("listed"),
    )


async def _fetch_anew(session: Session, statement: Select[Any]) -> list[Row]:
    return await session.fetch_anew(statement)


def _row_of(row: Row) -> NightRow:
    is_open = row.status == "firing"
    episode = Episode(
        id=occurrence_id(row.fingerprint, to_us(row.starts_at)),
        fingerprint=row.fingerprint,
        alertname=row.alertname,
        severity=row.severity,
        namespace=row.namespace,
        starts_at=row.began_at or row.starts_at,
        ends_at=None if is_open else row.ends_at,
        received_at=row.timestamp,
        ended_by=ended_by_of(row.status, row.ended_by),
        repeats=row.repeat_count,
    )
    listed = sorted(row.listed or (), key=lambda event: event[1])
    noted = tuple(NightEvent(kind, from_us(at), detail) for kind, at, detail in listed)
    return NightRow(episode, row.unconfirmed if is_open else None, bool(row.is_published), noted)


# --- Failed deliveries ------------------------------------------------------------------------------------------------


def _failures(table: Table, *conditions: ColumnElement[bool]) -> Select[Any]:
    """Deliveries under conditions, each with the rule and the severity of its occurrence."""
    columns = [table.c[name] for name in ("fingerprint", "starts_at", "target", "created_at", "settled_at", "log")]
    made = table.c.created_at
    some = select(*columns).where(made >= bindparam("oldest", type_=UtcTime()), *conditions)
    failed = some.order_by(made.desc(), table.c.target).limit(_MOST).subquery("failed")

    def of_alert(column: ColumnElement[str]) -> ColumnElement[str]:
        key = (_A.fingerprint == failed.c.fingerprint, _A.starts_at == failed.c.starts_at)
        return select(column).where(*key).correlate(failed).scalar_subquery()

    return select(failed, of_alert(_A.alertname).label("alertname"), of_alert(_A.severity).label("severity"))


_D, _Q = deliveries.c, delivery_queue.c
_DEAD = _failures(
    deliveries,
    _D.state == literal_column("'dead'"),  # a literal, as in the condition of the index
    _D.settled_at >= _SINCE,
    _D.settled_at < _UNTIL,
)
_WAITING = _failures(delivery_queue, _Q.attempts > 0, _Q.created_at < _UNTIL)


async def _failed(session: Session, since: datetime, until: datetime, most: int) -> list[FailedDelivery]:
    oldest = since - _WEEK
    dead = await session.fetch(_DEAD, since=since, until=until, oldest=oldest, most=most)
    waiting = await session.fetch(_WAITING, until=until, oldest=oldest, most=most)
    return [*(_failure_of(row, is_dead=True) for row in dead), *(_failure_of(row, is_dead=False) for row in waiting)]


def _failure_of(row: Row, *, is_dead: bool) -> FailedDelivery:
    last = row.log[-1] if row.log else {}
    at = msgspec.convert(last["at"], datetime) if "at" in last else row.created_at
    return FailedDelivery(
        target=row.target,
        is_dead=is_dead,
        occurrence_id=occurrence_id(row.fingerprint, to_us(row.starts_at)),
        alertname=row.alertname or "",
        severity=row.severity or "",
        at=row.settled_at or at,
        reason=str(last.get("reason", "")),
    )
