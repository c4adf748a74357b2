"""SQLite: the read side.

The index `alert_terms` finds a label, newest first, as far as the page needs. Where this index can't answer (regexes,
words, missing labels), the matching of the domain decides row by row, within the time of a read.
"""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Text,
    and_,
    column,
    func,
    literal,
    literal_column,
    select,
    table,
    true,
    tuple_,
)
from sqlalchemy.dialects import sqlite as dialects

from alert_history.domain.microseconds import to_us
from alert_history.domain.occurrence import split_occurrence_id
from alert_history.domain.query import Query
from alert_history.errors import NotFound
from alert_history.ports import (
    HistoryFilter,
    HistoryPage,
    PageRequest,
    QuarantinePage,
    StoredAlert,
    StoredEvent,
)
from alert_history.storage.shared import reads
from alert_history.storage.shared.quarantine import quarantine_page
from alert_history.storage.shared.rows import alert_of, event_of
from alert_history.storage.shared.tables import alerts
from alert_history.storage.sqlite import rows as sql
from alert_history.storage.sqlite.connection import (
    Connections,
    is_interrupted,
    time_limit,
)
from alert_history.storage.sqlite.database import SqliteDatabase
from alert_history.storage.sqlite.terms import fingerprint_term, label_term

_DIALECT = dialects.dialect(paramstyle="qmark")
_alert_id: ColumnElement[int] = literal_column("alerts.id", BigInteger)
_TERMS = table("alert_terms", column("rowid", BigInteger))
_SLACK_MICROSECONDS = 1_000  # by how much the ids of one huge request may run ahead of their time

_FIND = "SELECT * FROM alerts WHERE starts_at = ? AND fingerprint = ?"
_TIMELINE = """SELECT e.kind, e.at, e.receipt_id, r.source, r.receiver, e.detail, e.key, r.publish
    FROM alerts a JOIN events e ON e.alert_id = a.id LEFT JOIN receipts r ON r.id = e.receipt_id
    WHERE a.starts_at = ? AND a.fingerprint = ? ORDER BY e.at DESC, e.key DESC LIMIT ?"""


class SqliteHistory:
    """See `ports.History`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._database = SqliteDatabase(connections)

    async def page(self, wanted: HistoryFilter, page: PageRequest) -> HistoryPage:
        """See `ports.History.page`."""
        reads.check_page(page)
        reads.check_filter(wanted)
        return await self._connections.read(_page, wanted, page=page)

    async def find(self, occurrence_id: str) -> StoredAlert:
        """See `ports.History.find`."""
        row = await self._connections.read(_find, _key_of(occurrence_id))
        if row is None:
            raise NotFound(f"no occurrence {occurrence_id!r}")
        return alert_of(row)

    async def timeline(self, occurrence_id: str, *, newest: int = 10_000) -> list[StoredEvent]:
        """See `ports.History.timeline`."""
        rows = await self._connections.read(_fetch_all, _TIMELINE, (*_key_of(occurrence_id), newest))
        return [event_of(row) for row in reversed(rows)]

    async def quarantine(self, *, limit: int, cursor: str | None) -> QuarantinePage:
        """See `ports.History.quarantine`."""
        return await quarantine_page(self._database, limit=limit, cursor=cursor)

    async def export(self, wanted: HistoryFilter, *, batch_size: int = 1000) -> AsyncIterator[list[StoredAlert]]:
        """See `ports.History.export`. Reads page after page by id, so that no long snapshot keeps the log growing."""
        reads.check_filter(wanted)
        after = -1
        while True:
            statement = _select(wanted).where(_alert_id > after).order_by(_alert_id).limit(batch_size)
            rows = await self._connections.read(_fetch, statement)
            if not rows:
                return
            after = rows[-1]["id"]
            yield [alert_of(row) for row in rows]


def _key_of(occurrence_id: str) -> tuple[int, str]:
    parts = split_occurrence_id(occurrence_id)
    if parts is None or abs(parts[1]) >= 2**63:
        raise NotFound(f"{occurrence_id!r} is no id of an occurrence")
    return parts[1], parts[0]


def _find(connection: sqlite3.Connection, key: tuple[int, str]) -> Any:
    """The occurrence with that key, or the occurrence that it is part of, as later words showed."""
    row = connection.execute(_FIND, key).fetchone()
    if row is None or row["joined_into"] is None:
        return row
    return connection.execute(_FIND, (row["joined_into"], key[1])).fetchone() or row


def _fetch_all(connection: sqlite3.Connection, sql_text: str, arguments: Sequence[Any]) -> list[sqlite3.Row]:
    return connection.execute(sql_text, arguments).fetchall()


def _fetch(connection: sqlite3.Connection, statement: Select[Any]) -> list[sqlite3.Row]:
    return connection.execute(*reads.compiled(statement, _DIALECT)).fetchall()


def _page(connection: sqlite3.Connection, wanted: HistoryFilter, *, page: PageRequest) -> HistoryPage:
    sort = reads.parse_sort(page.sort)
    # The full-text index gives its rows in the order of its own rowid, and stops when the page is full.
    own_id = _TERMS.c.rowid if _terms(wanted) else _alert_id
    order = [own_id] if sort.name == "timestamp" else [sort.column, own_id]
    statement = _select(wanted).order_by(*(c.desc() if sort.is_descending else c for c in order))
    if page.cursor is not None:
        types = [type_of_stored(c) for c in order]
        values = reads.decode_cursor(page.cursor, sort=sort, types=types)
        row = tuple_(*order)
        bound = tuple_(*(literal(v, BigInteger if isinstance(v, int) else Text) for v in values))
        statement = statement.where(row < bound if sort.is_descending else row > bound)
    rows = _fetch(connection, statement.limit(page.limit + 1).offset(page.offset))
    seen = page.offset + len(rows) if rows else 0
    total, is_exact = _total(connection, wanted, exact=page.wants_exact_total, seen=seen)
    cursor = None
    if len(rows) > page.limit:
        last = rows[page.limit - 1]
        names = ["id"] if sort.name == "timestamp" else [sort.name, "id"]
        cursor = reads.encode_cursor(sort, [last[name] for name in names])
    return HistoryPage([alert_of(row) for row in rows[: page.limit]], total, is_exact, cursor)


def type_of_stored(expression: ColumnElement[Any]) -> Any:
    """The type of the values of a column in the file, and so in a cursor: an integer or `str`."""
    return str if isinstance(expression.type, Text) else reads.INT64


def _select(wanted: HistoryFilter) -> Select[Any]:
    return _matching(select(_alert_id, *alerts.c), wanted)


def _matching(statement: Select[Any], wanted: HistoryFilter) -> Select[Any]:
    """The statement with all conditions, and with the index of terms where it helps."""
    conditions = [
        *reads.column_conditions(wanted, alerts),
        *_id_range(wanted, _TERMS.c.rowid if _terms(wanted) else _alert_id),
        *_query_conditions(wanted.query),
    ]
    terms = _terms(wanted)
    if not terms:
        return statement.select_from(alerts).where(and_(true(), *conditions))
    matches = literal_column("alert_terms.alert_terms").op("MATCH", is_comparison=True)(terms)
    joined = _TERMS.join(alerts, _TERMS.c.rowid == _alert_id)
    return statement.select_from(joined).where(matches, *conditions)


def _terms(wanted: HistoryFilter) -> str:
    """The terms that all matching alerts have, for FTS5; empty for a filter without such terms."""
    terms = [
        label_term(matcher.name, matcher.value)
        for matcher in wanted.query.matchers
        if matcher.op == "=" and matcher.value
    ]
    terms += [label_term(name, value) for name in ("alertname", "namespace") if (value := getattr(wanted, name))]
    if wanted.fingerprint is not None:
        terms.append(fingerprint_term(wanted.fingerprint))
    return " AND ".join(terms)


def _id_range(wanted: HistoryFilter, own_id: ColumnElement[int]) -> list[ColumnElement[bool]]:
    """The time range as conditions on the key."""
    conditions: list[ColumnElement[bool]] = []
    if wanted.since is not None:
        conditions.append(own_id >= _id_at(wanted.since))
    if wanted.until is not None:
        conditions.append(own_id < _id_at(wanted.until, slack=_SLACK_MICROSECONDS))
    return conditions


def _id_at(time: datetime, *, slack: int = 0) -> int:
    lowest, highest = 0, 2**63 - 1
    return min(max((to_us(time) + slack) * sql.IDS_A_MICROSECOND, lowest), highest)


def _query_conditions(query: Query) -> list[ColumnElement[bool]]:
    """The query as the domain decides it, and conditions on the columns of promoted labels."""
    if not query.matchers and not query.words:
        return []
    text = msgspec.json.encode(query).decode()
    matches = func.matches_query(alerts.c.labels, alerts.c.annotations, text)
    equal = [
        promoted == matcher.value
        for matcher in query.matchers
        if matcher.op == "=" and (promoted := reads.promoted(matcher.name, alerts)) is not None
    ]
    return [*equal, matches]


def _total(connection: sqlite3.Connection, wanted: HistoryFilter, *, exact: bool, seen: int) -> tuple[int, bool]:
    """The count, and whether it is exact: see `reads.COUNT_BOUND`. At least `seen` rows are known to match."""
    matching = _matching(select(literal(1).label("one")), wanted)
    if not exact:
        counted, is_exact = _total_in_time(connection, matching, seen=seen)
        if is_exact or not _is_small(connection):
            return counted, is_exact
    return _fetch(connection, _count(matching))[0][0], True


def _is_small(connection: sqlite3.Connection) -> bool:
    """Whether counting all rows costs little."""
    some = select(literal(1).label("one")).select_from(alerts).limit(reads.SMALL_STORE_ROWS + 1)
    return bool(_fetch(connection, _count(some))[0][0] <= reads.SMALL_STORE_ROWS)


def _total_in_time(connection: sqlite3.Connection, matching: Select[Any], *, seen: int) -> tuple[int, bool]:
    """The count, as far as the budgets allow, and whether it is exact."""
    some = _count_within(connection, matching.limit(reads.COUNT_BOUND + 1), milliseconds=reads.COUNT_SOME_MS)
    if some is None:
        return seen, False
    if some <= reads.COUNT_BOUND:
        return some, True
    every = _count_within(connection, matching, milliseconds=reads.COUNT_BUDGET_MS)
    return (reads.COUNT_BOUND, False) if every is None else (every, True)


def _count(rows: Select[Any]) -> Select[Any]:
    return select(func.count()).select_from(rows.subquery())


def _count_within(connection: sqlite3.Connection, rows: Select[Any], *, milliseconds: float) -> int | None:
    """How many rows a statement has; None if counting takes longer than that."""
    try:
        with time_limit(connection, milliseconds / 1000):
            return int(_fetch(connection, _count(rows))[0][0])
    except sqlite3.OperationalError as error:
        if not is_interrupted(error):
            raise
        return None
