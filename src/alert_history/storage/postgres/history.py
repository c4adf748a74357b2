"""PostgreSQL: the read side. `search` finds the rows of a page."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Concatenate, ParamSpec, TypeVar

import msgspec
from sqlalchemy import and_, select, true

from alert_history.domain.microseconds import from_us
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
from alert_history.storage.postgres.connection import Connections
from alert_history.storage.postgres.database import PostgresDatabase
from alert_history.storage.postgres.dialer import Connection
from alert_history.storage.postgres.driver_errors import storage_errors
from alert_history.storage.postgres.scanning import cursor_at, find_text
from alert_history.storage.postgres.search import (
    DIALECT,
    FEW_MATCHES,
    bound_of,
    conditions_of,
    count_all,
    count_some,
    end_of,
    find_by_label,
    find_newest,
    find_rows,
    is_label_search,
    is_small_store,
    try_to_count_all,
)
from alert_history.storage.shared import reads
from alert_history.storage.shared.quarantine import quarantine_page, quarantined_alert
from alert_history.storage.shared.rows import alert_of, event_of
from alert_history.storage.shared.searching import is_text_search
from alert_history.storage.shared.tables import alerts

P = ParamSpec("P")
T = TypeVar("T")

_FIND = "SELECT * FROM alerts WHERE fingerprint = $1 AND starts_at = $2"
_TIMELINE = """
SELECT e.kind, e.at, e.receipt_id, r.source, r.receiver, e.detail, e.key, r.publish
FROM events e LEFT JOIN receipts r ON r.id = e.receipt_id
WHERE e.fingerprint = $1 AND e.starts_at = $2 ORDER BY e.at DESC, e.key DESC LIMIT $3
"""


class PostgresHistory:
    """See `ports.History`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._database = PostgresDatabase(connections)

    async def page(self, wanted: HistoryFilter, page: PageRequest) -> HistoryPage:
        """See `ports.History.page`. Two connections look for the rows and for their number, side by side."""
        reads.check_page(page)
        reads.check_filter(wanted)
        sort = reads.parse_sort(page.sort)
        if is_text_search(wanted, sort):
            return await self._text_page(wanted, page, sort=sort)
        with storage_errors():
            if sort.text == "-timestamp" and is_label_search(wanted):
                rows, (total, is_exact) = await self._by_label(wanted, page, sort=sort)
            else:
                rows, (total, is_exact) = await asyncio.gather(
                    self._read(find_rows, wanted, page, sort=sort),
                    self._total(wanted, exact=page.wants_exact_total),
                )
        return _page_of(rows, page, sort=sort, total=(total, is_exact))

    async def _text_page(self, wanted: HistoryFilter, page: PageRequest, *, sort: reads.Sort) -> HistoryPage:
        """A page of a search for words or regexes."""
        with storage_errors():
            result, total = await self._read(find_text, wanted, page, sort=sort)
        answer = _page_of(result.rows, page, sort=sort, total=total)
        if result.stopped_at is None:
            return answer
        return msgspec.structs.replace(
            answer, next_cursor=cursor_at(result.stopped_at, sort), searched_until=result.stopped_at
        )

    async def _by_label(
        self, wanted: HistoryFilter, page: PageRequest, *, sort: reads.Sort
    ) -> tuple[list[Any], tuple[int, bool]]:
        """Rows from the first `end_of(page)` on, and the total: the count says which way finds the rows."""
        newest, counted = await asyncio.gather(
            self._read(find_newest, wanted, page, sort=sort), self._read(count_some, wanted)
        )
        total = self._total(wanted, exact=page.wants_exact_total, counted=counted)
        if len(newest) >= end_of(page) or counted == 0:
            return newest, await total
        is_few = counted is not None and counted <= FEW_MATCHES
        rows, counted_all = await asyncio.gather(
            self._read(find_by_label, wanted, page, sort=sort, is_few=is_few), total
        )
        return rows, counted_all

    async def _total(self, wanted: HistoryFilter, *, exact: bool, counted: int | None = None) -> tuple[int, bool]:
        """How many match, and whether that is exact: see `reads.COUNT_BOUND`."""
        if exact:
            return await self._read(count_all, wanted), True
        counted = counted if counted is not None else await self._read(count_some, wanted)
        if counted is not None and counted <= bound_of(wanted):
            return counted, True
        total, is_exact = (0, False) if counted is None else await self._read(try_to_count_all, wanted)
        if is_exact or not await self._read(is_small_store):
            return total, is_exact
        return await self._read(count_all, wanted), True

    async def _read(
        self, work: Callable[Concatenate[Connection, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        async with self._connections.reader() as connection:
            return await work(connection, *args, **kwargs)

    async def find(self, occurrence_id: str) -> StoredAlert:
        """See `ports.History.find`."""
        fingerprint, starts_at = _key_of(occurrence_id)
        with storage_errors():
            async with self._connections.reader() as connection:
                row = await connection.fetchrow(_FIND, fingerprint, starts_at)
                if row is not None and row["joined_into"] is not None:  # it turned out to be part of another
                    row = await connection.fetchrow(_FIND, fingerprint, row["joined_into"]) or row
        if row is None:
            raise NotFound(f"no occurrence {occurrence_id!r}")
        return alert_of(row)

    async def timeline(self, occurrence_id: str, *, newest: int = 10_000) -> list[StoredEvent]:
        """See `ports.History.timeline`."""
        with storage_errors():
            async with self._connections.reader() as connection:
                rows = await connection.fetch(_TIMELINE, *_key_of(occurrence_id), newest)
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
        """See `ports.History.export`. Reads a server-side cursor in one snapshot."""
        reads.check_filter(wanted)
        conditions = conditions_of(wanted, alerts)
        statement = (
            select(alerts)
            .where(and_(true(), *conditions))
            .order_by(alerts.c.timestamp, alerts.c.fingerprint, alerts.c.starts_at)
        )
        sql, arguments = reads.compiled(statement, DIALECT)
        with storage_errors():
            async with (
                self._connections.single(is_reading=True) as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                rows = await connection.cursor(sql, *arguments)
                while batch := await rows.fetch(batch_size):
                    yield [alert_of(row) for row in batch]


def _page_of(rows: Sequence[Any], page: PageRequest, *, sort: reads.Sort, total: tuple[int, bool]) -> HistoryPage:
    """The page among the rows from the start of the order on."""
    own = rows[page.offset :]
    cursor = _cursor(own[page.limit - 1], sort) if len(own) > page.limit else None
    previous = _cursor(own[0], sort.opposite) if own else None
    alerts_of_page = [alert_of(row) for row in own[: page.limit]]
    return HistoryPage(alerts_of_page, max(total[0], len(rows)), total[1], cursor, previous_cursor=previous)


def _cursor(row: Any, sort: reads.Sort) -> str:
    return reads.encode_cursor(sort, [row[sort.name], row["fingerprint"], row["starts_at"]])


def _key_of(occurrence_id: str) -> tuple[str, datetime]:
    parts = split_occurrence_id(occurrence_id)
    try:
        if parts is not None:
            return parts[0], from_us(parts[1])
    except OverflowError:
        pass
    raise NotFound(f"{occurrence_id!r} is no id of an occurrence")
