"""What fires now: open occurrences in groups. What mutes one is in its newest event about that.

Whether somebody acknowledged one is in its newest act about that. The newest event and act are looked up one occurrence
at a time, inside the statement, as the report of a night does it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, get_args

from sqlalchemy import ColumnElement, Select, Text, and_, case, func, literal_column, select
from sqlalchemy.sql.functions import coalesce

from alert_history.domain.query import ALL, Query
from alert_history.ports.firing import FiringGroup, Mute
from alert_history.ports.history import HistoryFilter
from alert_history.storage.shared.analytics import Finding
from alert_history.storage.shared.reads import check_filter
from alert_history.storage.shared.session import Database, Row, Session
from alert_history.storage.shared.tables import acts, alerts, events

_A, _E = alerts.c, events.c
_IS_OPEN = and_(_A.status == literal_column("'firing'", Text), _A.joined_into.is_(None))  # as in the index
_KINDS: ColumnElement[str] = literal_column("('silenced', 'unsilenced', 'inhibited')")
_ACTS: ColumnElement[str] = literal_column("('acknowledged', 'unacknowledged')")
_NEWEST_ACT = (
    select(acts.c.kind)
    .where(acts.c.fingerprint == _A.fingerprint, acts.c.starts_at == _A.starts_at, acts.c.kind.op("IN")(_ACTS))
    .order_by(acts.c.at.desc(), acts.c.id.desc())
    .limit(literal_column("1"))
    .scalar_subquery()
)
_BY_SEVERITY = select(_A.severity, func.count().label("number")).where(_IS_OPEN).group_by(_A.severity)


class SharedFiringReads:
    """See `ports.FiringReads`. `is_event_of` tells the events of a row of `alerts`."""

    def __init__(self, database: Database, finding: Finding, *, is_event_of: ColumnElement[bool]) -> None:
        self._database = database
        self._finding = finding
        self._columns = _columns_of(is_event_of)
        self._all_groups = _grouped(select(*self._columns).where(_IS_OPEN))

    async def by_severity(self) -> dict[str, int]:
        """See `ports.FiringReads.by_severity`."""
        return await self._database.read(_by_severity)

    async def groups(self, now: datetime, *, query: Query = ALL) -> Sequence[FiringGroup]:
        """See `ports.FiringReads.groups`."""
        rows = await self._database.read(*((_fetch, self._all_groups) if query == ALL else self._matching(query)))
        return _added_up([_group_of(row, now) for row in rows])

    def _matching(self, query: Query) -> tuple[Any, Any]:
        wanted = HistoryFilter(query, status="firing")
        check_filter(wanted)
        return _fetch_anew, _grouped(self._finding.matching(select(*self._columns), wanted))


def _columns_of(is_event_of: ColumnElement[bool]) -> Sequence[ColumnElement[Any]]:
    """What groups have in common, with the last mute of each occurrence."""
    until = coalesce(_E.detail.op("->>")(literal_column("'ends_at'")), literal_column("''"))
    mute: ColumnElement[str] = case(
        (_E.kind == literal_column("'silenced'", Text), literal_column("'silenced '", Text).concat(until)),
        else_=_E.kind,
    )
    newest = (
        select(mute)
        .where(is_event_of, _E.kind.op("IN")(_KINDS))
        .order_by(_E.at.desc(), _E.key.desc())
        .limit(literal_column("1"))
        .scalar_subquery()
    )
    return (
        _A.alertname,
        _A.severity,
        _A.unconfirmed.is_not(None).label("is_unconfirmed"),
        newest.label("mute"),
        _NEWEST_ACT.label("act"),
        func.coalesce(_A.began_at, _A.starts_at).label("began_at"),
        _A.timestamp,
    )


def _grouped(statement: Select[Any]) -> Select[Any]:
    fires = statement.subquery("fires")
    shared = [fires.c[name] for name in ("alertname", "severity", "is_unconfirmed", "mute", "act")]
    return select(
        *shared,
        func.count().label("number"),
        func.min(fires.c.began_at).label("oldest_at"),
        func.max(fires.c.timestamp).label("newest_at"),
    ).group_by(*shared)


async def _by_severity(session: Session) -> dict[str, int]:
    return {row.severity: row.number for row in await session.fetch(_BY_SEVERITY)}


async def _fetch(session: Session, statement: Any) -> list[Row]:
    return await session.fetch(statement)


async def _fetch_anew(session: Session, statement: Any) -> list[Row]:
    return await session.fetch_anew(statement)


def _group_of(row: Row, now: datetime) -> FiringGroup:
    return FiringGroup(
        row.alertname,
        row.severity,
        bool(row.is_unconfirmed),
        _mute_of(row.mute or "", now),
        row.number,
        row.oldest_at,
        row.newest_at,
        row.act == "acknowledged",
    )


def _mute_of(text: str, now: datetime) -> Mute | None:
    """What mutes, of an event's kind and the end of its silence."""
    kind, _, until = text.partition(" ")
    mute = next((each for each in get_args(Mute) if each == kind), None)
    return None if until and datetime.fromisoformat(until) <= now else mute


def _added_up(groups: Sequence[FiringGroup]) -> list[FiringGroup]:
    """One group for what has all in common: a rule may be under several silences."""
    whole: dict[tuple[object, ...], FiringGroup] = {}
    for group in groups:
        key = (group.alertname, group.severity, group.is_unconfirmed, group.muted, group.is_acknowledged)
        other = whole.get(key)
        whole[key] = group if other is None else _together(group, other)
    return list(whole.values())


def _together(group: FiringGroup, other: FiringGroup) -> FiringGroup:
    return FiringGroup(
        group.alertname,
        group.severity,
        group.is_unconfirmed,
        group.muted,
        group.number + other.number,
        min(group.oldest_at, other.oldest_at),
        max(group.newest_at, other.newest_at),
        group.is_acknowledged,
    )
