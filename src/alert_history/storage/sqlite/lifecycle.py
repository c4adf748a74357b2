"""SQLite: opening, checking, closing."""

import asyncio
import sqlite3
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path

from alert_history.errors import StorageUnavailable
from alert_history.storage.shared import lifecycle
from alert_history.storage.sqlite.connection import Connections
from alert_history.storage.sqlite.driver_errors import storage_errors
from alert_history.storage.sqlite.writer_process import WriterProcess


class SqliteLifecycle:
    """See `ports.Lifecycle`."""

    def __init__(self, connections: Connections, process: WriterProcess) -> None:
        self._connections = connections
        self._process = process

    async def open(self) -> None:
        """See `ports.Lifecycle.open`. Creates a missing file."""
        await lifecycle.bring_to_head(
            lambda: asyncio.to_thread(self._version), upgrade=lambda: asyncio.to_thread(self._upgrade)
        )

    async def check(self) -> dict[str, str]:
        """See `ports.Lifecycle.check`."""
        return await lifecycle.check(lambda: self._connections.read(_read_version))

    def quiet(self) -> AbstractAsyncContextManager[None]:
        """See `ports.Lifecycle.quiet`. Does nothing: there is no server, and a thread ends what it began."""
        return nullcontext()

    async def close(self) -> None:
        """See `ports.Lifecycle.close`."""
        await self._process.close()
        await asyncio.to_thread(self._connections.close)

    def _version(self) -> str | None:
        if not Path(self._connections.path).exists():
            return None
        with storage_errors():
            connection = sqlite3.connect(self._connections.path)
            try:
                return _read_version(connection)
            finally:
                connection.close()

    def _upgrade(self) -> None:
        from sqlalchemy.exc import DBAPIError

        from alert_history.storage.migrations.run import upgrade_sqlite

        try:
            with storage_errors():
                upgrade_sqlite(self._connections.path)
        except DBAPIError as error:
            raise StorageUnavailable(f"migration: {error.orig}") from error


def _read_version(connection: sqlite3.Connection) -> str | None:
    table = "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'"
    if connection.execute(table).fetchone() is None:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])
