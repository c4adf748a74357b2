"""What a database says about itself: one question, for people who look for a fault. Changes nothing."""

import asyncio
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from alert_history.storage import is_sqlite
from alert_history.storage.sqlite.connection import open_connection
from alert_history.storage.sqlite.driver_errors import storage_errors
from alert_history.urls.postgres import PostgresUrl, read_postgres_url

_CACHE_KIB = 1024
_POSTGRES_FACTS = """
SELECT current_setting('server_version') AS version,
       to_regclass('alembic_version') IS NOT NULL AS has_schema,
       pg_is_in_recovery() AS is_replica,
       current_setting('transaction_read_only') = 'on' AS is_read_only,
       CASE WHEN to_regclass('alerts') IS NULL
            THEN coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)
            ELSE has_table_privilege('alerts', 'INSERT') AND has_table_privilege('alerts', 'UPDATE')
             AND has_table_privilege('alerts', 'DELETE') END AS may_write,
       clock_timestamp() AS now
"""


class Probe(msgspec.Struct, frozen=True):
    """What a database says. `now` is by its own clock; None: by ours. `write_fault` is empty if we can write."""

    version: str
    has_schema: bool
    is_replica: bool
    write_fault: str
    now: datetime | None


def sqlite_path(database_url: str) -> Path:
    """The file a `sqlite:///path` URL names."""
    return Path(database_url.removeprefix("sqlite:///"))


async def probe(database_url: str) -> Probe:
    """Ask the database. Makes no SQLite file where there is none. Raises StorageUnavailable."""
    if is_sqlite(database_url):
        with storage_errors():
            return await asyncio.to_thread(_probe_sqlite, sqlite_path(database_url))
    return await _probe_postgres(read_postgres_url(database_url))


def _probe_sqlite(path: Path) -> Probe:
    version = f"SQLite {sqlite3.sqlite_version}"
    if not path.exists():
        can_create = os.access(path.parent, os.W_OK | os.X_OK)
        fault = "" if can_create else f"{path.parent} is no folder that this user may write to"
        return Probe(version, has_schema=False, is_replica=False, write_fault=fault, now=None)
    with closing(open_connection(str(path), cache_kib=_CACHE_KIB, is_writer=True)) as connection:
        known = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        fault = _sqlite_write_fault(connection)
    return Probe(version, has_schema=bool(known[0]), is_replica=False, write_fault=fault, now=None)


def _sqlite_write_fault(connection: sqlite3.Connection) -> str:
    """Takes the write lock, writes what is there already, and gives both back.

    The lock alone says nothing: SQLite gives it for a file that may only be read, too.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        return str(error)
    return ""


async def _probe_postgres(url: PostgresUrl) -> Probe:
    from alert_history.storage.postgres.connection import Connections
    from alert_history.storage.postgres.dialer import Dialer
    from alert_history.storage.postgres.driver_errors import storage_errors as postgres_errors

    connections = Connections(Dialer(url))
    with postgres_errors():
        async with connections.single() as connection:
            facts = await connection.fetchrow(_POSTGRES_FACTS)
    assert facts is not None  # noqa: S101  # a SELECT without FROM has a row
    fault = "" if facts["may_write"] else "this user may not write to its tables"
    return Probe(
        version=f"PostgreSQL {facts['version']}",
        has_schema=facts["has_schema"],
        is_replica=facts["is_replica"],
        write_fault="it is read-only" if facts["is_read_only"] else fault,
        now=facts["now"].astimezone(UTC),
    )
