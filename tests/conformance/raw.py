"""What lies in the tables, past the ports: for what no port shows."""

import sqlite3
from typing import Any

import asyncpg

from alert_history.storage import is_sqlite

_NOTE_KEYS = 1 << 62
_POSTGRES_KEYS = "SELECT fingerprint, key FROM events WHERE key < $1 ORDER BY starts_at, key"
_SQLITE_KEYS = """SELECT a.fingerprint, e.key FROM events e JOIN alerts a ON a.id = e.alert_id
    WHERE e.key < ? ORDER BY a.starts_at, e.key"""


async def fetch(url: str, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
    """The rows one statement gives; it is committed."""
    if is_sqlite(url):
        with sqlite3.connect(sqlite_path(url)) as file:
            rows = [tuple(row) for row in file.execute(sql, arguments).fetchall()]
        file.close()
        return rows
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(sql, *arguments)]
    finally:
        await connection.close()


async def count(url: str, table: str) -> int:
    """How many rows a table holds."""
    return int((await fetch(url, f"SELECT count(*) FROM {table}"))[0][0])


async def state_keys(url: str) -> dict[str, list[int]]:
    """The keys of all state changes, by fingerprint, in order."""
    rows = await fetch(url, _SQLITE_KEYS if is_sqlite(url) else _POSTGRES_KEYS, _NOTE_KEYS)
    keys: dict[str, list[int]] = {}
    for fingerprint, key in rows:
        keys.setdefault(fingerprint, []).append(key)
    return keys


def sqlite_path(url: str) -> str:
    """The file an absolute `sqlite:////…` URL names."""
    return url.removeprefix("sqlite:///")
