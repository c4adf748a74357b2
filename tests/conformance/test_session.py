"""A portable work does the same on both databases: one transaction, rows of domain values, and the rows it changed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from sqlalchemy import bindparam, delete, insert, select, update

from alert_history.ports import Store
from alert_history.storage import is_sqlite
from alert_history.storage.postgres.connection import Connections as PostgresConnections
from alert_history.storage.postgres.database import PostgresDatabase
from alert_history.storage.postgres.dialer import Dialer
from alert_history.storage.shared.elements import given, is_among
from alert_history.storage.shared.session import Database, Row, Session, run_to_end
from alert_history.storage.shared.tables import audit
from alert_history.storage.sqlite.connection import Connections as SqliteConnections
from alert_history.storage.sqlite.database import SqliteDatabase
from alert_history.urls.postgres import read_postgres_url
from tests.conformance.samples import NOW

_INSERT = insert(audit)
_ALL = select(audit).order_by(audit.c.id)
_RENAME = update(audit).where(is_among(audit.c.id, "ids")).values(actor=bindparam("new_actor"))
_DELETE = delete(audit).where(audit.c.id == bindparam("gone"))
_TEXTS = given("texts")
_GIVEN = select(_TEXTS.c.value).order_by(_TEXTS.c.value)


@pytest.fixture
async def database(store: Store, database_url: str) -> AsyncIterator[Database]:
    """A database with a schema, which `store` made."""
    del store
    if is_sqlite(database_url):
        file = SqliteConnections(database_url.removeprefix("sqlite:///"))
        yield SqliteDatabase(file)
        file.close()
    else:
        server = PostgresConnections(Dialer(read_postgres_url(database_url)))
        yield PostgresDatabase(server)
        await server.close()


def line(name: str) -> dict[str, Any]:
    unset = dict.fromkeys(("from_address", "outcome", "day", "replica", "position", "digest"))
    return {"id": name, "at": NOW, "actor": "ada", "action": "tested", "detail": {"of": [name, None]}, **unset}


async def add(session: Session, *names: str) -> None:
    await session.execute_many(_INSERT, [line(name) for name in names])


async def lines(session: Session) -> list[Row]:
    return await session.fetch(_ALL)


async def test_what_is_written_is_read_as_it_was(database: Database) -> None:
    await database.write(add, "a", "b")
    for read in (database.read, database.read_few, database.read_latest):
        assert [row._asdict() for row in await read(lines)] == [line("a"), line("b")]


async def test_a_work_that_raises_changes_nothing(database: Database) -> None:
    async def fail(session: Session) -> None:
        await add(session, "a")
        raise LookupError("of the work")

    for write in (database.write, database.write_slowly):
        with pytest.raises(LookupError):
            await write(fail)
    assert await database.read(lines) == []


async def test_a_statement_says_how_many_rows_it_changed(database: Database) -> None:
    async def change(session: Session) -> list[int]:
        await add(session, "a", "b", "c")
        return [
            await session.execute(_RENAME, ids=["a", "c", "none"], new_actor="bob"),
            await session.execute(_DELETE, gone="b"),
            await session.execute(_DELETE, gone="b"),
        ]

    assert await database.write(change) == [2, 1, 0]
    assert [(row.id, row.actor) for row in await database.read(lines)] == [("a", "bob"), ("c", "bob")]


@pytest.mark.parametrize("texts", [[], ["b", "a"], ["it's", '"quoted"', "ünï", "{x}"]])
async def test_a_list_is_given_as_rows(database: Database, texts: list[str]) -> None:
    async def look(session: Session) -> list[str]:
        return [row.value for row in await session.fetch(_GIVEN, texts=texts)]

    assert sorted(await database.read(look)) == sorted(texts)


@pytest.mark.parametrize("wait", [lambda: asyncio.sleep(0), lambda: asyncio.sleep(1)], ids=["a turn", "a second"])
async def test_a_work_that_waits_for_something_else_is_refused(wait: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with pytest.raises(RuntimeError, match="waits for something else"):
        run_to_end(wait())
