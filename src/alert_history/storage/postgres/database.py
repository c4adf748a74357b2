"""PostgreSQL: runs portable works on the connections of reads and deliveries."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Executable

from alert_history.storage.postgres.connection import Connections
from alert_history.storage.postgres.dialer import Connection
from alert_history.storage.postgres.driver_errors import storage_errors
from alert_history.storage.postgres.search import DIALECT
from alert_history.storage.shared.compiling import compiled, compiled_once
from alert_history.storage.shared.session import P, Row, Snapshot, T, Work


class PostgresSession:
    """See `shared.session.Session`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def fetch(self, statement: Executable, **parameters: Any) -> list[Row]:
        """See `Session.fetch`."""
        made = compiled_once(statement, DIALECT)
        return made.rows(await self._connection.fetch(made.text, *made.arguments(parameters)))

    async def fetch_anew(self, statement: Executable) -> list[Row]:
        """See `Session.fetch_anew`."""
        made = compiled(statement, DIALECT)
        return made.rows(await self._connection.fetch(made.text, *made.arguments({})))

    async def execute(self, statement: Executable, **parameters: Any) -> int:
        """See `Session.execute`."""
        made = compiled_once(statement, DIALECT)
        return changed_rows(await self._connection.execute(made.text, *made.arguments(parameters)))

    async def execute_many(self, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
        """See `Session.execute_many`."""
        made = compiled_once(statement, DIALECT)
        await self._connection.executemany(made.text, [made.arguments(row) for row in rows])


class PostgresDatabase:
    """See `shared.session.Database`.

    A read is no transaction, except `read_few`: each statement sees everything committed before it, and two round trips
    are saved. Writes and reads of the latest use the connection of deliveries, so they never crowd out ingest.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def read(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `Database.read`."""
        with storage_errors():
            async with self._connections.reader() as connection:
                return await work(PostgresSession(connection), *args, **kwargs)

    async def read_few(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `Database.read_few`."""
        with storage_errors():
            async with self._connections.reader() as connection, connection.transaction(readonly=True):
                await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
                return await work(PostgresSession(connection), *args, **kwargs)

    async def read_latest(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `Database.read_latest`."""
        with storage_errors():
            async with self._connections.deliverer() as connection:
                return await work(PostgresSession(connection), *args, **kwargs)

    async def write(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `Database.write`."""
        with storage_errors():
            async with self._connections.deliverer() as connection, connection.transaction():
                return await work(PostgresSession(connection), *args, **kwargs)

    async def write_slowly(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `Database.write_slowly`. Uses a new connection."""
        with storage_errors():
            async with self._connections.single() as connection, connection.transaction():
                return await work(PostgresSession(connection), *args, **kwargs)

    async def write_aside(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `Database.write_aside`. Uses a connection of the upkeep."""
        with storage_errors():
            async with self._connections.upkeep() as connection, connection.transaction():
                return await work(PostgresSession(connection), *args, **kwargs)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """See `Database.snapshot`. Uses a new connection, to the primary."""
        with storage_errors():
            async with (
                self._connections.single() as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                await connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
                yield _PostgresSnapshot(connection)


class _PostgresSnapshot:
    """See `shared.session.Snapshot`."""

    def __init__(self, connection: Connection) -> None:
        self._session = PostgresSession(connection)

    async def read(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `Snapshot.read`."""
        return await work(self._session, *args, **kwargs)


def changed_rows(status: str) -> int:
    """How many rows a statement changed, from the server's answer: `UPDATE 3`; 0 for an answer without a number."""
    count = status.rsplit(" ", 1)[-1]
    return int(count) if count.isdecimal() else 0
