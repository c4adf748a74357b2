"""What was sent and what was not: deliveries by id, and occurrences with the decisions about them, newest first.

A statement reads a bounded number of rows in the order of an index. What belongs to a row is looked up row by row
inside the statement: a join of two tables that grow for years would be planned anew by the size that they seem to have.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Table,
    Text,
    bindparam,
    literal_column,
    select,
    tuple_,
    type_coerce,
    union_all,
)

from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.occurrence import EventKind, Key, occurrence_id
from alert_history.domain.speaker import SCOPE_MARK, split_scope
from alert_history.errors import InvalidQuery
from alert_history.ids import lowest_uuid7
from alert_history.ports.notifications import (
    Choice,
    DecidedAlert,
    Decision,
    NotifiedAlert,
    Place,
    Queued,
    QueuedChunk,
    SentDelivery,
    Stretch,
)
from alert_history.storage.shared.elements import is_among
from alert_history.storage.shared.event_list import newest_events
from alert_history.storage.shared.reads import check_text
from alert_history.storage.shared.rows import delivery_of
from alert_history.storage.shared.session import Database, Row, Session
from alert_history.storage.shared.tables import Json, UtcTime, alert_texts, alerts, deliveries, delivery_queue, events

_DECISIONS: tuple[EventKind, ...] = ("fired", "refired", "published", "silenced", "inhibited")
_MOST_DECISIONS = 20
_SLACK = timedelta(milliseconds=1)  # an id of SQLite may be so much ahead of its time
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
_BEHIND_ALL = "~"  # behind all ids
_INT64 = 1 << 63
_A = alerts.c


class Ordering(NamedTuple):
    """How a database orders occurrences by time: by `columns`, which name one; `at` is their time.

    `is_event_of` tells the events of a row of `alerts`.
    """

    at: ColumnElement[datetime]
    columns: tuple[ColumnElement[Any], ...]
    is_event_of: ColumnElement[bool]


class SharedNotificationReads:
    """See `ports.NotificationReads`."""

    def __init__(self, database: Database, *, ordering: Ordering) -> None:
        self._database = database
        self._ordering = ordering
        self._statements = _Statements(ordering)

    async def queued(
        self, within: Stretch, *, behind: str | None, most: int, choice: Choice | None = None, with_labels: bool = False
    ) -> QueuedChunk:
        """See `ports.NotificationReads.queued`."""
        asked: dict[str, Any] = {}
        if choice is not None and choice.fingerprint is not None:
            check_text(choice.fingerprint, of="fingerprint")
            asked |= _scopes_of(choice.fingerprint)
        elif choice is not None and choice.target is not None:
            check_text(choice.target, of="target")
            asked["target"] = choice.target
        is_dead = choice is not None and choice.is_dead and choice.fingerprint is None
        statement = _newest(frozenset(asked), is_dead=is_dead, with_labels=with_labels)
        return await self._database.read(_queued, statement, {**_ids(within, behind), **asked}, most)

    async def queued_of(
        self, occurrences: Sequence[Key], within: Stretch, *, behind: str | None, most: int
    ) -> QueuedChunk:
        """See `ports.NotificationReads.queued_of`."""
        return await self._database.read(_queued_of, occurrences, _ids(within, behind), most)

    async def sent(self, rows: Sequence[Queued]) -> Sequence[SentDelivery]:
        """See `ports.NotificationReads.sent`."""
        return await self._database.read(_sent, self._statements.sent, rows) if rows else []

    async def decided(
        self, within: Stretch, *, to: Place | None, most: int, fingerprint: str | None = None
    ) -> Sequence[DecidedAlert]:
        """See `ports.NotificationReads.decided`."""
        asked: dict[str, Any] = {} if to is None else self._values_of(to)
        if fingerprint is not None:
            check_text(fingerprint, of="fingerprint")
            asked |= _scopes_of(fingerprint)
        since, until = within.since or _FIRST, within.until or _LAST
        asked |= {"since": since, "until": until, "behind": until + _SLACK, "kinds": _DECISIONS, "most": most}
        statement = self._statements.decided(is_continued=to is not None, is_one=fingerprint is not None)
        rows = await self._database.read(_fetched, statement, asked)
        return [self._decided_of(row) for row in rows]

    async def decided_of(self, occurrences: Sequence[Key]) -> Sequence[DecidedAlert]:
        """See `ports.NotificationReads.decided_of`."""
        rows = await self._database.read(_decided_of, self._statements.one, occurrences)
        return sorted((self._decided_of(row) for row in rows), key=lambda decided: decided.place, reverse=True)

    def _values_of(self, place: Place) -> dict[str, Any]:
        """The parameters that a place stands for. Raises InvalidQuery."""
        columns = self._ordering.columns
        fault = InvalidQuery("cursor: not a next_cursor of an earlier answer")
        if len(place) != len(columns):
            raise fault
        values: dict[str, Any] = {}
        for number, (value, column) in enumerate(zip(place, columns, strict=True)):
            is_text = isinstance(column.type, Text)
            if isinstance(value, str) is not is_text or (isinstance(value, int) and not -_INT64 <= value < _INT64):
                raise fault
            if isinstance(value, str):
                check_text(value, of="cursor")
            try:
                values[f"place{number}"] = from_us(int(value)) if isinstance(column.type, UtcTime) else value
            except (OverflowError, ValueError):
                raise fault from None
        return values

    def _decided_of(self, row: Row) -> DecidedAlert:
        values = [getattr(row, f"place{number}") for number in range(len(self._ordering.columns))]
        listed = sorted(row.listed or (), key=lambda event: event[1])
        return DecidedAlert(
            place=tuple(to_us(value) if isinstance(value, datetime) else value for value in values),
            received_at=row.received_at,
            alert=_alert_of(row.fingerprint, row.starts_at, row),
            is_published=bool(row.is_published),
            decisions=[Decision(kind, from_us(at), detail) for kind, at, detail in listed],
        )


# --- Deliveries -------------------------------------------------------------------------------------------------------

_CONDITIONS = {
    "target": lambda table: table.c.target == bindparam("target"),
    "first": lambda table: table.c.fingerprint >= bindparam("first"),
    "beyond": lambda table: table.c.fingerprint < bindparam("beyond"),
    "fingerprint": lambda table: table.c.fingerprint == bindparam("fingerprint"),
    "starts_at": lambda table: table.c.starts_at == bindparam("starts_at"),
}


_KEY = ("fingerprint", "starts_at")
_SHORT = ("id", "target", "state", "created_at", *_KEY)
_LABELS = next(text for text in alert_texts if text.name == "labels")


def _scopes_of(fingerprint: str) -> dict[str, Any]:
    """The bounds between which a fingerprint lies with all its scopes."""
    return {"first": fingerprint, "beyond": fingerprint + chr(ord(SCOPE_MARK) + 1)}


def _ids(within: Stretch, behind: str | None) -> dict[str, Any]:
    """The bounds of ids. `oldest` spares PostgreSQL the weeks before: a replay only makes a delivery younger."""
    below = _BEHIND_ALL if within.until is None else lowest_uuid7(within.until)
    if behind is not None:
        check_text(behind, of="cursor")
        below = min(below, behind)
    since = within.since
    return {
        "least": "" if since is None else lowest_uuid7(since),
        "below": below,
        "oldest": _FIRST if since is None else since - _SLACK,
    }


@cache
def _newest(conditions: frozenset[str], *, is_dead: bool = False, with_labels: bool = False) -> Select[Any]:
    """The newest deliveries, in short. Where an index has the conditions, it is not the order that names the index."""
    is_chosen = is_dead or bool(conditions)

    def newest(table: Table) -> Select[Any]:
        id_: ColumnElement[str] = table.c.id.concat(literal_column("''")) if is_chosen else table.c.id
        where = [
            id_ >= bindparam("least", type_=Text()),
            id_ < bindparam("below", type_=Text()),
            table.c.created_at >= bindparam("oldest", type_=UtcTime()),
            *(_CONDITIONS[name](table) for name in sorted(conditions)),
        ]
        if is_dead:
            where.append(table.c.state == literal_column("'dead'"))  # a literal, as in the condition of the index
        rows = select(*(table.c[name] for name in _SHORT)).where(*where).order_by(id_.desc()).limit(bindparam("most"))
        return select(rows.subquery())

    tables = (deliveries,) if is_dead else (delivery_queue, deliveries)
    both = union_all(*map(newest, tables)).subquery("both_kinds")
    rows = select(both).order_by(both.c.id.desc()).limit(bindparam("most")).subquery("newest")
    labels = select(_LABELS.element).where(*_is_of(rows)).correlate(rows).scalar_subquery()
    shown = [rows.c[name] for name in _SHORT[: -len(_KEY)]]
    return select(*shown, *([labels.label("labels")] if with_labels else [])).order_by(rows.c.id.desc())


async def _queued(session: Session, statement: Select[Any], asked: dict[str, Any], most: int) -> QueuedChunk:
    rows = [Queued(*row) for row in await session.fetch(statement, most=most, **asked)]
    return QueuedChunk(rows, rows[-1].id if len(rows) == most else None)


async def _queued_of(session: Session, occurrences: Sequence[Key], ids: dict[str, Any], most: int) -> QueuedChunk:
    """Of an occurrence with more deliveries than were read, nothing is known below the last of them."""
    statement = _newest(frozenset({"fingerprint", "starts_at"}))
    chunks = [
        await _queued(session, statement, {**ids, "fingerprint": fingerprint, "starts_at": starts_at}, most)
        for fingerprint, starts_at in occurrences
    ]
    reached = max((chunk.reached for chunk in chunks if chunk.reached is not None), default=None)
    rows = [row for chunk in chunks for row in chunk.rows if reached is None or row.id >= reached]
    return QueuedChunk(sorted(rows, key=lambda row: row.id, reverse=True), reached)


async def _sent(session: Session, statement: Select[Any], rows: Sequence[Queued]) -> list[SentDelivery]:
    """PostgreSQL looks at no week before the oldest of the rows."""
    oldest = min(row.created_at for row in rows) - _SLACK
    whole = await session.fetch(statement, ids=[row.id for row in rows], oldest=oldest)
    by_id = {row.id: SentDelivery(delivery_of(row), _alert_of_delivery(row), _routing_of(row)) for row in whole}
    return [by_id[row.id] for row in rows if row.id in by_id]


def _routing_of(row: Row) -> dict[str, Any] | None:
    routing: dict[str, Any] | None = (row.decision or {}).get("routing")
    return routing


def _alert_of_delivery(row: Row) -> NotifiedAlert:
    if row.alertname is None:
        return NotifiedAlert(occurrence_id(row.fingerprint, to_us(row.starts_at)), split_scope(row.fingerprint)[0])
    return _alert_of(row.fingerprint, row.starts_at, row)


def _alert_of(fingerprint: str, starts_at: datetime, row: Row) -> NotifiedAlert:
    return NotifiedAlert(
        id=occurrence_id(fingerprint, to_us(starts_at)),
        fingerprint=split_scope(fingerprint)[0],
        alertname=row.alertname,
        severity=row.severity,
        namespace=row.namespace,
        labels=row.labels,
        annotations=row.annotations,
    )


# --- Occurrences ------------------------------------------------------------------------------------------------------


class _Statements:
    """The statements of one database."""

    def __init__(self, ordering: Ordering) -> None:
        self.sent = _whole_deliveries(ordering)
        self.one = _decided(ordering).where(*(_CONDITIONS[name](alerts) for name in ("fingerprint", "starts_at")))
        self._decided = {
            (is_continued, is_one): _newest_decided(ordering, is_continued=is_continued, is_one=is_one)
            for is_continued in (False, True)
            for is_one in (False, True)
        }

    def decided(self, *, is_continued: bool, is_one: bool) -> Select[Any]:
        """The newest occurrences, from a place on, of all label sets or of one fingerprint."""
        return self._decided[is_continued, is_one]


def _newest_decided(ordering: Ordering, *, is_continued: bool, is_one: bool) -> Select[Any]:
    at, columns = ordering.at, ordering.columns
    where = [
        at >= bindparam("since", type_=at.type),
        at < bindparam("behind", type_=at.type),
        _A.timestamp < bindparam("until", type_=UtcTime()),
    ]
    if is_continued:
        places = [bindparam(f"place{number}", type_=column.type) for number, column in enumerate(columns)]
        where.append(columns[0] <= places[0] if len(columns) == 1 else tuple_(*columns) <= tuple_(*places))
    if is_one:
        where += [_CONDITIONS[name](alerts) for name in ("first", "beyond")]
    rows = _decided(ordering).where(*where).order_by(*(column.desc() for column in columns))
    return rows.limit(bindparam("most", type_=Integer()))


def _decided(ordering: Ordering) -> Select[Any]:
    """Occurrences that are part of no other, each with its newest decisions."""
    listed = newest_events(ordering.is_event_of, most=_MOST_DECISIONS)
    places = (column.label(f"place{number}") for number, column in enumerate(ordering.columns))
    columns = (_A.fingerprint, _A.starts_at, _A.alertname, _A.severity, _A.namespace, _A.is_published)
    return (
        select(*places, ordering.at.label("received_at"), *columns, *alert_texts, listed.label("listed"))
        .select_from(alerts)
        .where(_A.joined_into.is_(None))
    )


def _whole_deliveries(ordering: Ordering) -> Select[Any]:
    """Deliveries by id, with columns of their occurrences, and with the events that they came of."""

    def some(table: Table) -> Select[Any]:
        made = table.c.created_at >= bindparam("oldest", type_=UtcTime())
        return select(table).where(is_among(table.c.id, "ids"), made)

    rows = union_all(some(delivery_queue), some(deliveries)).subquery("both_kinds")

    def of_alert(column: ColumnElement[Any], name: str) -> ColumnElement[Any]:
        return select(column).where(*_is_of(rows)).correlate(rows).scalar_subquery().label(name)

    decision = (
        select(type_coerce(events.c.detail, Json(dict[str, Any] | None)))
        .select_from(alerts.join(events, ordering.is_event_of))
        .where(*_is_of(rows), events.c.key == rows.c.event_key)
        .correlate(rows)
        .scalar_subquery()
    )
    columns = (of_alert(_A[name], name) for name in ("alertname", "severity", "namespace"))
    texts = (of_alert(text.element, text.name) for text in alert_texts)
    return select(rows, *columns, *texts, decision.label("decision"))


def _is_of(rows: FromClause) -> tuple[ColumnElement[bool], ...]:
    return _A.fingerprint == rows.c.fingerprint, _A.starts_at == rows.c.starts_at


async def _fetched(session: Session, statement: Select[Any], asked: dict[str, Any]) -> list[Row]:
    return await session.fetch(statement, **asked)


async def _decided_of(session: Session, statement: Select[Any], occurrences: Sequence[Key]) -> list[Row]:
    rows: list[Row] = []
    for fingerprint, starts_at in occurrences:
        rows += await session.fetch(statement, kinds=_DECISIONS, fingerprint=fingerprint, starts_at=starts_at)
    return rows
