"""The stores under test: every test runs on SQLite and on PostgreSQL, each time on an empty, prepared database."""

import asyncio
import shutil
from binascii import crc32
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import asyncpg
import pytest

from alert_history.ports import Store
from alert_history.storage import open_store
from tests.conformance.samples import NOW
from tests.numbers import check_recount
from tests.pager import route_all
from tests.servers import PostgresServer

_TABLES = """SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
    AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'alembic_version'"""

_COUNTED = """INSERT INTO settings (name, value, updated_at) VALUES ('rollups', '{"is_counted": true}', now())"""
"""What the migration says of an empty history."""


class OpenReplica(Protocol):
    """Opens one more store object on the test's database, as another replica would; it is closed with the test."""

    async def __call__(self) -> Store: ...


@pytest.fixture(scope="session")
def prepared_postgres(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a migrated and prepared database, without rows when a test starts."""
    with prepared_database(postgres_server) as url:
        yield url


@contextmanager
def prepared_database(server: PostgresServer) -> Iterator[str]:
    """A database of that server for as long as the block runs, as the fixture says."""
    url = server.create_database()
    asyncio.run(prepare(url))
    yield url
    server.drop_database(url)


@pytest.fixture(scope="session")
def prepared_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file; tests take copies."""
    path = tmp_path_factory.mktemp("prepared") / "alert_history.db"
    asyncio.run(prepare(f"sqlite:///{path}"))
    return path


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, prepared_postgres: str) -> Iterator[str]:
    """The prepared database. Emptying it takes milliseconds, a fresh one a third of a second."""
    yield prepared_postgres
    postgres_server.recover()
    asyncio.run(_empty(prepared_postgres))


@pytest.fixture
def sqlite_url(prepared_sqlite: Path, tmp_path: Path) -> str:
    """The URL of a prepared SQLite database without rows."""
    return f"sqlite:///{shutil.copy(prepared_sqlite, tmp_path)}"


@pytest.fixture
async def open_replica(database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[OpenReplica]:
    """See `OpenReplica`. Whatever a test did, the numbers must agree with what is in the database.

    Counting a history anew takes as long as a short test, so one test in four is looked at, always the same ones.
    """
    opened: list[Store] = []

    async def replica() -> Store:
        store = open_store(database_url)
        opened.append(store)
        await store.lifecycle.open()
        return store

    yield replica
    try:
        for store in opened[-1:] if crc32(request.node.nodeid.encode()) % 4 == 0 else []:
            await check_recount(store, database_url)
    finally:
        for store in opened:
            await store.lifecycle.close()


@pytest.fixture
async def store(open_replica: OpenReplica) -> Store:
    """A store, opened and prepared at NOW."""
    return await open_replica()


async def prepare(url: str) -> None:
    """Migrates an empty database and makes its partitions for NOW."""
    store = open_store(url)
    await store.lifecycle.open()
    await store.upkeep.prepare(NOW)
    await store.lifecycle.close()


async def _empty(url: str) -> None:
    connection = await asyncpg.connect(url)
    tables = await connection.fetch(_TABLES)
    await connection.execute("; ".join(f"DELETE FROM {table}" for (table,) in tables))
    await connection.execute(_COUNTED)
    await connection.close()


@pytest.fixture
async def replicas(database_url: str) -> AsyncIterator[list[Store]]:
    """Two replicas on one database, whose pager is told of everything."""
    stores = [open_store(database_url, router=route_all) for _ in range(2)]
    for store in stores:
        await store.lifecycle.open()
    yield stores
    try:
        await check_recount(stores[0], database_url)
    finally:
        for store in stores:
            await store.lifecycle.close()
