"""Bytes on disk by table: what each takes with its indexes, on either database."""

import sqlite3
from collections.abc import Mapping
from typing import Any, NamedTuple

import asyncpg

from bench.databases import Database, Sqlite, sqlite_path, with_connection

_POSTGRES = """SELECT coalesce(p.relname, c.relname)::text, sum(pg_table_size(c.oid))::bigint,
        sum(pg_indexes_size(c.oid))::bigint
    FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class p ON p.oid = i.inhparent
    WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND c.relname <> 'alembic_version' GROUP BY 1"""
_SQLITE = """SELECT coalesce(m.tbl_name, s.name), coalesce(m.type = 'index', 0), sum(s.pgsize)
    FROM dbstat s LEFT JOIN sqlite_schema m ON m.name = s.name GROUP BY 1, 2"""
_FULL_TEXT = "alert_terms"


class Size(NamedTuple):
    """Bytes of a table, its long values included, and of its indexes."""

    rows: int = 0
    indexes: int = 0

    @property
    def total(self) -> int:
        return self.rows + self.indexes


def sizes(database: Database, url: str) -> dict[str, Size]:
    """By table; partitions count as their table, and what SQLite keeps of a full-text index as that index."""
    if isinstance(database, Sqlite):
        return _sqlite_sizes(url)

    async def read(connection: "asyncpg.Connection[Any]") -> dict[str, Size]:
        return {name: Size(rows, indexes) for name, rows, indexes in await connection.fetch(_POSTGRES)}

    tables: dict[str, Size] = with_connection(url, read)
    return tables


def _sqlite_sizes(url: str) -> dict[str, Size]:
    connection = sqlite3.connect(sqlite_path(url))
    try:
        tables: dict[str, Size] = {}
        for name, is_index, total in connection.execute(_SQLITE).fetchall():
            table = _FULL_TEXT if name.startswith(_FULL_TEXT) else name
            rows, indexes = tables.get(table, Size())
            tables[table] = Size(rows, indexes + total) if is_index else Size(rows + total, indexes)
        return tables
    finally:
        connection.close()


def growth(before: Mapping[str, Size], after: Mapping[str, Size], *, number: int) -> dict[str, tuple[float, float]]:
    """Bytes of each table and of its indexes for each of so many occurrences, the largest first; without what is 0."""
    grown = {}
    for name, size in after.items():
        earlier = before.get(name, Size())
        grown[name] = ((size.rows - earlier.rows) / number, (size.indexes - earlier.indexes) / number)
    return dict(sorted(((n, s) for n, s in grown.items() if sum(s) > 0), key=lambda item: -sum(item[1])))
