"""PostgreSQL: searches for words and regexes, piece by piece through the index of `timestamp`.

Where a segment knows from when to when its occurrences start, PostgreSQL looks at the partitions of these weeks alone.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Integer, Select, and_, any_, bindparam, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY

from alert_history.ports import HistoryFilter, PageRequest
from alert_history.storage.postgres.database import PostgresSession
from alert_history.storage.postgres.dialer import Connection
from alert_history.storage.postgres.search import DIALECT, conditions_of, is_small_store, rows_after
from alert_history.storage.shared import reads
from alert_history.storage.shared.compiling import Compiled, compiled
from alert_history.storage.shared.searching import Piece, Pieces, Search, search, total_of
from alert_history.storage.shared.segments import Order
from alert_history.storage.shared.tables import UtcTime, alerts

ORDER = Order(alerts.c.timestamp)

_MIN, _MAX = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_SETTINGS = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off"
_KEY = [alerts.c.fingerprint, alerts.c.starts_at]


async def find_text(
    connection: Connection, wanted: HistoryFilter, page: PageRequest, *, sort: reads.Sort
) -> tuple[Search, tuple[int, bool]]:
    """The rows of a search up to the row after the page, and the total; all of one snapshot."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute(_SETTINGS)
        pieces = Pieces(PostgresSession(connection), wanted)
        scan = _PostgresScan(connection, wanted, page, sort)
        result = await search(scan, pieces, page, behind=_time_in(page, sort))
        return result, await total_of(scan, pieces, result, page=page, is_small=lambda: is_small_store(connection))


def cursor_at(time: datetime, sort: reads.Sort) -> str:
    """The cursor behind all rows of that time and later."""
    return reads.encode_cursor(sort, [time, "", time])


def _time_in(page: PageRequest, sort: reads.Sort) -> datetime | None:
    """The highest time of a row behind the cursor of a page."""
    if page.cursor is None:
        return None
    values = reads.decode_cursor(page.cursor, sort=sort, types=[reads.AWARE_TIME, str, reads.AWARE_TIME])
    time: datetime = values[0]
    return time if values[1] else max(time, _MIN + _TICK) - _TICK


class _PostgresScan:
    """See `shared.searching.Scan`."""

    def __init__(self, connection: Connection, wanted: HistoryFilter, page: PageRequest, sort: reads.Sort) -> None:
        self._connection = connection
        self._conditions = conditions_of(wanted, alerts)
        self._behind = rows_after(page, alerts, sort=sort)
        self._order = reads.order_by(sort, _KEY, alerts)
        self._made: dict[tuple[str, bool, bool], Compiled] = {}

    async def rows(self, piece: Piece, *, limit: int) -> list[Any]:
        """See `Scan.rows`."""
        made = self._compiled("rows", piece)
        return await self._connection.fetch(made.text, *made.arguments(_parameters(piece, limit)))

    async def count(self, piece: Piece, *, limit: int | None) -> int:
        """See `Scan.count`."""
        made = self._compiled("count", piece)
        arguments = made.arguments(_parameters(piece, 2**31 - 1 if limit is None else limit))
        return int(await self._connection.fetchval(made.text, *arguments))

    async def cut(self, piece: Piece, *, rows: int) -> datetime | None:
        """See `Scan.cut`."""
        session = PostgresSession(self._connection)
        span = {"first": piece.first or _MIN, "until": piece.until or _MAX}
        times = await session.fetch(ORDER.from_newest, **span, rows=rows)
        return times[0].at if times else None

    def _compiled(self, what: str, piece: Piece) -> Compiled:
        kind = (what, piece.starts is not None, bool(piece.strays))
        if kind not in self._made:
            statement = self._rows(piece) if what == "rows" else self._count(piece)
            self._made[kind] = compiled(statement, DIALECT)
        return self._made[kind]

    def _rows(self, piece: Piece) -> Select[Any]:
        inside = and_(*_inside(piece), *self._conditions, *self._behind)
        return select(*alerts.c).where(inside).order_by(*self._order).limit(_LIMIT)

    def _count(self, piece: Piece) -> Select[Any]:
        some = select(literal(1)).select_from(alerts).where(and_(*_inside(piece), *self._conditions)).limit(_LIMIT)
        return select(func.count()).select_from(some.subquery())


_LIMIT = bindparam("rows", type_=Integer())
_FIRST, _UNTIL = bindparam("first", type_=UtcTime()), bindparam("until", type_=UtcTime())
_STARTS_FROM, _STARTS_TO = bindparam("starts_from", type_=UtcTime()), bindparam("starts_to", type_=UtcTime())
_STRAYS = bindparam("strays", type_=ARRAY(DateTime(timezone=True)))


def _inside(piece: Piece) -> list[ColumnElement[bool]]:
    conditions = [alerts.c.timestamp >= _FIRST, alerts.c.timestamp < _UNTIL]
    if piece.starts is not None:
        conditions += [alerts.c.starts_at >= _STARTS_FROM, alerts.c.starts_at <= _STARTS_TO]
    if piece.strays:
        conditions.append(alerts.c.timestamp == any_(_STRAYS))
    return conditions


def _parameters(piece: Piece, limit: int) -> dict[str, Any]:
    starts = piece.starts or (None, None)
    return {
        "first": piece.first or _MIN,
        "until": piece.until or _MAX,
        "starts_from": starts[0],
        "starts_to": starts[1],
        "strays": list(piece.strays),
        "rows": limit,
    }
