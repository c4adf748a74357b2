"""SQLite: the read side. `search` says what a filter means, `scanning` finds words and regexes."""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Select, Text, literal, select, tuple_

from alert_history.domain.occurrence import split_occurrence_id
from alert_history.errors import NotFound
from alert_history.ports import (
    ALL_REFUSED,
    HistoryFilter,
    HistoryPage,
    PageRequest,
    QuarantinedAlert,
    QuarantineFilter,
    QuarantinePage,
    StoredAlert,
    StoredEvent,
)
from alert_history.storage.shared import reads
from alert_history.storage.shared.quarantine import quarantine_page, quarantined_alert
from alert_history.storage.shared.rows import alert_of, event_of
from alert_history.storage.shared.searching import is_text_search
from alert_history.storage.shared.session import run_to_end
from alert_history.storage.sqlite.connection import Connections, time_limit
from alert_history.storage.sqlite.database import SqliteDatabase
from alert_history.storage.sqlite.driver_errors import is_interrupted
from alert_history.storage.sqlite.scanning import cursor_at, find_text
from alert_history.storage.sqlite.search import (
    after_id,
    counting,
    fetch,
    is_small,
    matching,
    own_id,
    selected,
    type_of_stored,
)

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

    async def quarantine(
        self, *, limit: int, cursor: str | None, wanted: QuarantineFilter = ALL_REFUSED
    ) -> QuarantinePage:
        """See `ports.History.quarantine`."""
        return await quarantine_page(self._database, limit=limit, cursor=cursor, wanted=wanted)

    async def quarantined(self, id_: str) -> QuarantinedAlert:
        """See `ports.History.quarantined`."""
        return await quarantined_alert(self._database, id_)

    async def export(self, wanted: HistoryFilter, *, batch_size: int = 1000) -> AsyncIterator[list[StoredAlert]]:
        """See `ports.History.export`. Reads page after page by id, so that no long snapshot keeps the log growing."""
        reads.check_filter(wanted)
        after = -1
        while True:
            statement = after_id(wanted, after).limit(batch_size)
            rows = await self._connections.read(fetch, statement)
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


def _page(connection: sqlite3.Connection, wanted: HistoryFilter, *, page: PageRequest) -> HistoryPage:
    sort = reads.parse_sort(page.sort)
    if is_text_search(wanted, sort):
        return _text_page(connection, wanted, page, sort=sort)
    order = [own_id(wanted)] if sort.name == "timestamp" else [sort.column, own_id(wanted)]
    statement = selected(wanted).order_by(*(c.desc() if sort.is_descending else c for c in order))
    if page.cursor is not None:
        types = [type_of_stored(c) for c in order]
        values = reads.decode_cursor(page.cursor, sort=sort, types=types)
        row = tuple_(*order)
        bound = tuple_(*(literal(v, BigInteger if isinstance(v, int) else Text) for v in values))
        statement = statement.where(row < bound if sort.is_descending else row > bound)
    rows = fetch(connection, statement.limit(page.limit + 1).offset(page.offset))
    seen = page.offset + len(rows) if rows else 0
    return _page_of(rows, page, sort=sort, total=_total(connection, wanted, exact=page.wants_exact_total, seen=seen))


def _text_page(
    connection: sqlite3.Connection, wanted: HistoryFilter, page: PageRequest, *, sort: reads.Sort
) -> HistoryPage:
    """A page of a search for words or regexes."""
    result, total = run_to_end(find_text(connection, wanted, page, sort=sort))
    answer = _page_of(result.rows[page.offset :], page, sort=sort, total=total)
    if result.stopped_at is None:
        return answer
    return msgspec.structs.replace(
        answer, next_cursor=cursor_at(result.stopped_at, sort), searched_until=result.stopped_at
    )


def _page_of(
    rows: Sequence[sqlite3.Row], page: PageRequest, *, sort: reads.Sort, total: tuple[int, bool]
) -> HistoryPage:
    """The page of its own rows and the row after them, if there is one."""
    cursor = _cursor(rows[page.limit - 1], sort) if len(rows) > page.limit else None
    previous = _cursor(rows[0], sort.opposite) if rows else None
    alerts_of_page = [alert_of(row) for row in rows[: page.limit]]
    return HistoryPage(alerts_of_page, *total, cursor, previous_cursor=previous)


def _cursor(row: sqlite3.Row, sort: reads.Sort) -> str:
    names = ["id"] if sort.name == "timestamp" else [sort.name, "id"]
    return reads.encode_cursor(sort, [row[name] for name in names])


def _total(connection: sqlite3.Connection, wanted: HistoryFilter, *, exact: bool, seen: int) -> tuple[int, bool]:
    """The count, and whether it is exact: see `reads.COUNT_BOUND`. At least `seen` rows are known to match."""
    rows = matching(select(literal(1).label("one")), wanted)
    if not exact:
        counted, is_exact = _total_in_time(connection, rows, seen=seen)
        if is_exact or not is_small(connection):
            return counted, is_exact
    return fetch(connection, counting(rows))[0][0], True


def _total_in_time(connection: sqlite3.Connection, rows: Select[Any], *, seen: int) -> tuple[int, bool]:
    """The count, as far as the budgets allow, and whether it is exact."""
    some = _count_within(connection, rows.limit(reads.COUNT_BOUND + 1), milliseconds=reads.COUNT_SOME_MS)
    if some is None:
        return seen, False
    if some <= reads.COUNT_BOUND:
        return some, True
    every = _count_within(connection, rows, milliseconds=reads.COUNT_BUDGET_MS)
    return (reads.COUNT_BOUND, False) if every is None else (every, True)


def _count_within(connection: sqlite3.Connection, rows: Select[Any], *, milliseconds: float) -> int | None:
    """How many rows a statement has; None if counting takes longer than that."""
    try:
        with time_limit(connection, milliseconds / 1000):
            return int(fetch(connection, counting(rows))[0][0])
    except sqlite3.OperationalError as error:
        if not is_interrupted(error):
            raise
        return None
