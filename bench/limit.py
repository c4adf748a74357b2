"""The limit: how fast a bare asyncpg COPY puts the very rows the service wrote into tables like its own."""

import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import asyncpg

from alert_history.storage.postgres import statements as sql
from bench.databases import migrate, with_connection

MAX_ALERTS = 200_000
"""So many of the rows are enough, and fit into memory."""

_ALERTS = 'SELECT {columns} FROM alerts ORDER BY "timestamp" LIMIT $1'
_EVENTS = """SELECT {columns} FROM events WHERE (fingerprint, starts_at) IN
    (SELECT fingerprint, starts_at FROM alerts ORDER BY "timestamp" LIMIT $1) ORDER BY receipt_id"""
_RECEIPTS = "SELECT {columns} FROM receipts ORDER BY id LIMIT $1"
_BODIES = """SELECT {columns} FROM (SELECT b.*, r.id FROM receipt_bodies b JOIN receipts r ON r.body_sha256 = b.sha256
    ORDER BY r.id LIMIT $1) AS b"""

Rows = Sequence[tuple[Any, ...]]


class Table(NamedTuple):
    """A table's rows in the order they were written."""

    name: str
    columns: Sequence[str]
    rows: Rows


def rows_written(url: str, *, alerts: int, alerts_a_request: int) -> list[Table]:
    """What the service keeps of its first so many alerts, at most `MAX_ALERTS`: alerts, events, receipts, bodies."""
    requests = min(alerts, MAX_ALERTS) // alerts_a_request
    number = requests * alerts_a_request

    async def read(connection: "asyncpg.Connection[Any]") -> list[Table]:
        return [
            await _read(connection, "alerts", _ALERTS, columns=sql.ALERT_COLUMNS, limit=number),
            await _read(connection, "events", _EVENTS, columns=sql.EVENT_COLUMNS, limit=number),
            await _read(connection, "receipts", _RECEIPTS, columns=sql.RECEIPT_COLUMNS, limit=requests),
            await _read(connection, "receipt_bodies", _BODIES, columns=sql.BODY_COLUMNS, limit=requests),
        ]

    tables: list[Table] = with_connection(url, read)
    return tables


async def _read(
    connection: "asyncpg.Connection[Any]", name: str, query: str, *, columns: Iterable[str], limit: int
) -> Table:
    names = tuple(columns)
    rows = await connection.fetch(query.format(columns=", ".join(f'"{column}"' for column in names)), limit)
    return Table(name, names, [tuple(row) for row in rows])


def copy_seconds(url: str, tables: Sequence[Table], *, transactions: int) -> float:
    """Make the tables, then COPY all rows on one connection in so many transactions; the seconds COPY took."""
    migrate(url)
    batches = [[_part(table, turn, transactions) for table in tables] for turn in range(transactions)]

    async def copy(connection: "asyncpg.Connection[Any]") -> float:
        begin = time.perf_counter()
        for batch in batches:
            async with connection.transaction():
                for name, columns, rows in batch:
                    await connection.copy_records_to_table(name, records=rows, columns=columns)
        return time.perf_counter() - begin

    seconds: float = with_connection(url, copy)
    return seconds


def _part(table: Table, turn: int, turns: int) -> Table:
    begin, end = (len(table.rows) * place // turns for place in (turn, turn + 1))
    return table._replace(rows=table.rows[begin:end])
