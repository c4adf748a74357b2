"""SQLite: drives each portable work to its end, in the thread of its connection."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Executable
from sqlalchemy.dialects import sqlite as dialects

from alert_history.storage.shared.compiling import compiled, compiled_once
from alert_history.storage.shared.session import P, Row, Snapshot, T, Work, run_to_end
from alert_history.storage.sqlite.connection import Connections, open_connection
from alert_history.storage.sqlite.driver_errors import storage_errors

_DIALECT = dialects.dialect(paramstyle="qmark")
_SNAPSHOT_CACHE_KIB = 8 * 1024


class SqliteSession:
    """See `shared.session.Session`. Its methods never wait."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def fetch(self, statement: Executable, **parameters: Any) -> list[Row]:
        """See `Session.fetch`."""
        made = compiled_once(statement, _DIALECT)
        return made.rows(self._connection.execute(made.text, made.arguments(parameters)).fetchall())

    async def fetch_anew(self, statement: Executable) -> list[Row]:
        """See `Session.fetch_anew`."""
        made = compiled(statement, _DIALECT)
        return made.rows(self._connection.execute(made.text, made.arguments({})).fetchall())

    async def execute(self, statement: Executable, **parameters: Any) -> int:
        """See `Session.execute`."""
        made = compiled_once(statement, _DIALECT)
        return self._connection.execute(made.text, made.arguments(parameters)).rowcount

    async def execute_many(self, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
        """See `Session.execute_many`."""
        made = compiled_once(statement, _DIALECT)
        self._connection.executemany(made.text, map(made.arguments, rows))


class SqliteDatabase:
    """See `shared.session.Database`. There is one file, so every read is a read of the latest."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def read(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `Database.read`. Uses one snapshot, in a thread that reads."""
        return await self._connections.read(lambda connection: run_work(connection, work, *args, **kwargs))

    read_few = read_latest = read

    async def write(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `Database.write`. Uses the thread that writes."""
        return await self._connections.write(lambda connection: run_work(connection, work, *args, **kwargs))

    write_slowly = write_aside = write

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """See `Database.snapshot`. The log of the file grows meanwhile, because nothing can be copied out of it."""
        with storage_errors():
            connection = await asyncio.to_thread(
                open_connection, self._connections.path, cache_kib=_SNAPSHOT_CACHE_KIB, is_writer=False
            )
            try:
                connection.execute("BEGIN")
                yield _SqliteSnapshot(connection)
            finally:
                connection.close()


class _SqliteSnapshot:
    """See `shared.session.Snapshot`. It begins with the first read."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def read(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `Snapshot.read`."""
        return await asyncio.to_thread(lambda: run_work(self._connection, work, *args, **kwargs))


def run_work(connection: sqlite3.Connection, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a work inside the open transaction of a connection."""
    return run_to_end(work(SqliteSession(connection), *args, **kwargs))
