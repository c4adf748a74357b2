"""Brings a database to the schema this release needs; safe when several pods start at once.

PostgreSQL: under an advisory lock, so that one pod migrates and the others wait, then find nothing to do.
SQLite: inside an immediate transaction. On both the whole way to the head is one transaction.
Synchronous: call it in a thread. Alembic is imported only when there is something to migrate.
"""

import asyncio
import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from alert_history.storage.postgres.dialer import Dialer

_CONNECT_TIMEOUT_SECONDS = 10
_LOCK = 0x616C657274  # "alert"
_LOCK_TIMEOUT_SECONDS = 300
_LOCK_POLL_SECONDS = 0.01


def upgrade_sqlite(path: str) -> None:
    """Bring the file to head. Raises sqlite3.Error or sqlalchemy's DBAPIError."""

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None, timeout=_LOCK_TIMEOUT_SECONDS)
        _keep_log(connection)
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        _upgrade(connection)
        connection.exec_driver_sql("COMMIT")
    engine.dispose()


def _keep_log(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log. SQLite does not wait for a lock here as it does elsewhere."""
    end = time.monotonic() + _LOCK_TIMEOUT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(_LOCK_POLL_SECONDS)
        else:
            return


def upgrade_postgres(dialer: Dialer) -> None:
    """Bring the database to head. Raises StorageUnavailable, OSError, asyncpg's errors or sqlalchemy's DBAPIError."""
    asyncio.run(_upgrade_postgres(dialer))


async def _upgrade_postgres(dialer: Dialer) -> None:
    async def connect() -> Any:
        return await dialer.connect({}, work="migrate", timeout_seconds=_CONNECT_TIMEOUT_SECONDS)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT_SECONDS}s'")
            await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
