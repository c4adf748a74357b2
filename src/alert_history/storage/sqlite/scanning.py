"""SQLite: searches for words and regexes, piece by piece in the order of ids.

The id of an occurrence is its `timestamp` × 256 and a number, so an id is a time here: `ORDER` compares ids as times.
"""

import sqlite3
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Dialect,
    Integer,
    Select,
    Text,
    bindparam,
    column,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy.types import TypeDecorator

from alert_history.domain.microseconds import from_us, to_us
from alert_history.ports import HistoryFilter, PageRequest
from alert_history.storage.shared import reads
from alert_history.storage.shared.compiling import Compiled, compiled
from alert_history.storage.shared.searching import Piece, Pieces, Search, search, total_of
from alert_history.storage.shared.segments import Order
from alert_history.storage.sqlite.database import SqliteSession
from alert_history.storage.sqlite.rows import IDS_A_MICROSECOND
from alert_history.storage.sqlite.search import DIALECT, counting, id_at, is_small, matching, own_id, selected

_HIGHEST = 2**63 - 1


class _IdTime(TypeDecorator[datetime]):
    """An id as the microsecond that it is of."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002  # its shape
        """The first id of a microsecond."""
        return None if value is None else id_at(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # its shape
        """The microsecond of an id."""
        return None if value is None else from_us(value // IDS_A_MICROSECOND)


AT = literal_column("alerts.id", _IdTime())
"""The id of an occurrence as its time."""

ORDER = Order(AT)


async def find_text(
    connection: sqlite3.Connection, wanted: HistoryFilter, page: PageRequest, *, sort: reads.Sort
) -> tuple[Search, tuple[int, bool]]:
    """The rows of a search up to the row after the page, and the total. Never waits."""
    pieces = Pieces(SqliteSession(connection), wanted)
    behind = None
    if page.cursor is not None:
        behind = int(reads.decode_cursor(page.cursor, sort=sort, types=[reads.INT64])[0])
    scan = _SqliteScan(connection, wanted, behind)
    time = None if behind is None else from_us(min(max(behind - 1, 0) // IDS_A_MICROSECOND, _LAST_MICROSECOND))
    result = await search(scan, pieces, page, behind=time)

    async def is_small_store() -> bool:
        return is_small(connection)

    return result, await total_of(scan, pieces, result, page=page, is_small=is_small_store)


_LAST_MICROSECOND = to_us(datetime.max.replace(tzinfo=from_us(0).tzinfo))


def cursor_at(time: datetime, sort: reads.Sort) -> str:
    """The cursor behind all rows of that time and later."""
    return reads.encode_cursor(sort, [id_at(time)])


class _SqliteScan:
    """See `shared.searching.Scan`. Its methods never wait. `behind` is the id in the cursor of the page."""

    def __init__(self, connection: sqlite3.Connection, wanted: HistoryFilter, behind: int | None) -> None:
        self._connection = connection
        self._wanted = wanted
        self._id = own_id(wanted)
        self._behind = _HIGHEST if behind is None else behind
        self._made: dict[tuple[str, bool], Compiled] = {}

    async def rows(self, piece: Piece, *, limit: int) -> list[Any]:
        """See `Scan.rows`."""
        return self._fetch("rows", piece, limit)

    async def count(self, piece: Piece, *, limit: int | None) -> int:
        """See `Scan.count`."""
        return int(self._fetch("count", piece, -1 if limit is None else limit)[0][0])

    async def cut(self, piece: Piece, *, rows: int) -> datetime | None:
        """See `Scan.cut`."""
        span = {"first": piece.first or from_us(0), "until": piece.until or from_us(_LAST_MICROSECOND)}
        times = await SqliteSession(self._connection).fetch(ORDER.from_newest, **span, rows=rows)
        return times[0].at if times else None

    def _fetch(self, what: str, piece: Piece, limit: int) -> list[Any]:
        kind = (what, bool(piece.strays))
        if kind not in self._made:
            statement = self._rows(piece) if what == "rows" else self._count(piece)
            self._made[kind] = compiled(statement, DIALECT)
        made = self._made[kind]
        return self._connection.execute(made.text, made.arguments(self._parameters(piece, limit))).fetchall()

    def _rows(self, piece: Piece) -> Select[Any]:
        behind = self._id < bindparam("behind", type_=BigInteger())
        return selected(self._wanted).where(*self._inside(piece), behind).order_by(self._id.desc()).limit(_LIMIT)

    def _count(self, piece: Piece) -> Select[Any]:
        some = matching(select(literal(1).label("one")), self._wanted)
        return counting(some.where(*self._inside(piece)).limit(_LIMIT))

    def _inside(self, piece: Piece) -> list[ColumnElement[bool]]:
        conditions = [self._id >= _FIRST, self._id < _UNTIL]
        if piece.strays:
            times = func.json_each(bindparam("strays", type_=Text())).table_valued(column("value"), name="strays")
            conditions.append(self._id.op("/")(IDS_A_MICROSECOND).in_(select(times.c.value)))
        return conditions

    def _parameters(self, piece: Piece, limit: int) -> dict[str, Any]:
        return {
            "first": 0 if piece.first is None else id_at(piece.first),
            "until": _HIGHEST if piece.until is None else id_at(piece.until),
            "strays": msgspec.json.encode([to_us(time) for time in piece.strays]).decode(),
            "behind": self._behind,
            "rows": limit,
        }


_LIMIT = bindparam("rows", type_=Integer())
_FIRST, _UNTIL = bindparam("first", type_=BigInteger()), bindparam("until", type_=BigInteger())
