"""The two databases a measurement runs on: fresh ones, counts, and what a machine would have tidied up by itself."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import asyncpg
from tests.servers import PostgresServer, postgres_server

from alert_history.storage import open_store
from bench.cpu import cpu_seconds


class Database(Protocol):
    """One kind of database."""

    name: str

    def fresh(self) -> str:
        """The URL of a new one, without tables."""
        ...

    def drop(self, url: str) -> None:
        """Remove it."""
        ...

    def count_alerts(self, url: str) -> int:
        """How many occurrences it holds."""
        ...

    def rest(self, url: str) -> None:
        """Let it finish what it put off, so that the next measurement doesn't pay for the last."""
        ...

    def cpu_seconds(self) -> float:
        """Processor time of its server's processes so far; 0 where it has no server."""
        ...


class Postgres:
    """PostgreSQL as it comes, `fsync=on`."""

    name = "PostgreSQL"

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    def fresh(self) -> str:
        return self._server.create_database()

    def drop(self, url: str) -> None:
        self._server.drop_database(url)

    def count_alerts(self, url: str) -> int:
        return int(fetch_value(url, "SELECT count(*) FROM alerts"))

    def rest(self, url: str) -> None:
        del url
        self._server.execute("CHECKPOINT")

    def cpu_seconds(self) -> float:
        return cpu_seconds(self._server.pid)


class Sqlite:
    """SQLite as the service opens it (`synchronous=FULL`), in files of a folder on disk."""

    name = "SQLite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count()

    def fresh(self) -> str:
        return f"sqlite:///{self._folder / f'history-{next(self._numbers)}.db'}"

    def drop(self, url: str) -> None:
        path = sqlite_path(url)
        for file in path.parent.glob(f"{path.name}*"):
            file.unlink()

    def count_alerts(self, url: str) -> int:
        connection = sqlite3.connect(sqlite_path(url))
        try:
            return int(connection.execute("SELECT count(*) FROM alerts").fetchone()[0])
        finally:
            connection.close()

    def rest(self, url: str) -> None:
        connection = sqlite3.connect(sqlite_path(url))
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()

    def cpu_seconds(self) -> float:
        return 0.0


@contextmanager
def postgres() -> Iterator[Database]:
    """A PostgreSQL server of its own."""
    with postgres_server() as server:
        yield Postgres(server)


def sqlite_path(url: str) -> Path:
    """The file a `sqlite:///` URL names."""
    return Path(url.removeprefix("sqlite:///"))


def fetch_value(url: str, statement: str, *arguments: Any) -> Any:
    """One value from PostgreSQL."""

    async def fetch(connection: "asyncpg.Connection[Any]") -> Any:
        return await connection.fetchval(statement, *arguments)

    return with_connection(url, fetch)


def with_connection(url: str, work: Callable[["asyncpg.Connection[Any]"], Any]) -> Any:
    """What `work` returns on a connection of its own."""

    async def run() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(run())


def migrate(url: str) -> None:
    """Tables, indexes and partitions, as the service makes them when it starts."""

    async def run() -> None:
        store = open_store(url)
        await store.lifecycle.open()
        await store.upkeep.prepare(datetime.now(UTC))
        await store.lifecycle.close()

    asyncio.run(run())
