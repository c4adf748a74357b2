"""SQLite: opening, checking, closing."""

import asyncio
import sqlite3
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path

import structlog

from alert_history.errors import AlertHistoryError, StorageUnavailable
from alert_history.storage.shared.tables import SCHEMA_HEAD
from alert_history.storage.sqlite.connection import Connections, storage_errors

_CHECK_TIMEOUT_SECONDS = 2

_log = structlog.get_logger()


class SqliteLifecycle:
    """See `ports.Lifecycle`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def open(self) -> None:
        """Create or migrate the file. A schema from a newer release is left alone and served."""
        version = await asyncio.to_thread(self._version)
        if version is None or version < SCHEMA_HEAD:
            await asyncio.to_thread(self._upgrade)
            _log.info("schema_migrated", was=version, now=SCHEMA_HEAD)

    async def check(self) -> dict[str, str]:
        """See `ports.Lifecycle.check`."""
        try:
            async with asyncio.timeout(_CHECK_TIMEOUT_SECONDS):
                version = await self._connections.read(_read_version)
        except TimeoutError:
            return {"database": "no answer", "schema": "unknown"}
        except AlertHistoryError as error:
            return {"database": str(error), "schema": "unknown"}
        if version is None:
            return {"database": "ok", "schema": "missing: run alert-history migrate"}
        if version < SCHEMA_HEAD:
            return {"database": "ok", "schema": f"{version} is behind {SCHEMA_HEAD}"}
        return {"database": "ok", "schema": "ok"}

    def quiet(self) -> AbstractAsyncContextManager[None]:
        """See `ports.Lifecycle.quiet`: there is no server, and what a thread has begun it ends."""
        return nullcontext()

    async def close(self) -> None:
        """See `ports.Lifecycle.close`."""
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
