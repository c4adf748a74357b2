"""The schema: brought to head by whoever comes first, told of truthfully, and what `tables.py` says it is.

Holds: `storage.migrations.run`, `storage.migrations.env`.
"""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
import msgspec
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect
from sqlalchemy.ext.asyncio import create_async_engine

from alert_history.domain.delivery import Routing
from alert_history.errors import StorageUnavailable
from alert_history.ports import Store
from alert_history.storage import is_sqlite, migrations, open_store
from alert_history.storage.shared.tables import SCHEMA_HEAD, metadata
from tests.conformance.samples import NOW, alert, everything, posted, receipt, silence

_REPLICAS = 4
_OPEN = """
import asyncio, sys
from alert_history.storage import open_store
store = open_store(sys.argv[1])
sys.stdin.read(1)
asyncio.run(store.lifecycle.open())
"""


def alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    return config


async def migrate(url: str, work: Callable[[Connection], None]) -> None:
    """Runs it on a connection in one transaction."""
    if is_sqlite(url):
        engine = create_engine(url)
        with engine.begin() as connection:
            work(connection)
        engine.dispose()
        return
    async_engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"))
    async with async_engine.begin() as async_connection:
        await async_connection.run_sync(work)
    await async_engine.dispose()


def downgraded(connection: Connection, to: str = "base") -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.downgrade(config, to)


async def execute(url: str, sql: str) -> None:
    await migrate(url, lambda connection: connection.exec_driver_sql(sql).close())


async def opened(url: str) -> Store:
    store = open_store(url)
    await store.lifecycle.open()
    return store


async def checked(url: str) -> dict[str, str]:
    """What a replica that has just started says of the database."""
    store = open_store(url)
    try:
        return await store.lifecycle.check()
    finally:
        await store.lifecycle.close()


async def is_usable(url: str) -> bool:
    store = await opened(url)
    await store.recorder.commit([receipt(alert())])
    occurrences = await everything(store)
    await store.lifecycle.close()
    return len(occurrences) == 1


async def test_empty_database_is_brought_to_head(database_url: str) -> None:
    await (await opened(database_url)).lifecycle.close()
    assert await checked(database_url) == {"database": "ok", "schema": "ok"}


async def test_opening_again_changes_nothing(database_url: str) -> None:
    assert await is_usable(database_url)
    store = await opened(database_url)
    await store.lifecycle.open()
    assert len(await everything(store)) == 1
    await store.lifecycle.close()


async def test_what_was_stored_before_the_upgrade_is_not_published_anew(database_url: str) -> None:
    async def deliveries(*, publish: bool) -> int:
        store = open_store(database_url, router=lambda _, __: Routing(("pager",), {}))
        await store.lifecycle.open()
        sent = msgspec.structs.replace(receipt(alert()), publish=publish)
        (outcome,) = await store.recorder.commit([sent])
        await store.lifecycle.close()
        return outcome.deliveries

    assert await deliveries(publish=False) == 0
    await migrate(database_url, lambda connection: downgraded(connection, "0006"))
    assert await deliveries(publish=True) == 0


async def test_an_upgrade_takes_up_what_was_known_of_past_moments(database_url: str) -> None:
    late, told = NOW + timedelta(hours=30), alert("Told")
    store = await opened(database_url)
    await store.recorder.commit([posted(alert("Posted"), client="p", at=NOW), receipt(told, silences=[silence("s-1")])])
    over = alert("Posted", "resolved", ends_at=NOW + timedelta(minutes=1))
    ended = alert("Told", "resolved", ends_at=late)
    await store.recorder.commit([posted(over, client="p", at=late), receipt(ended, at=late)])
    before = [await _at_moment(store, NOW + timedelta(hours=hours)) for hours in (0, 1, 29, 31)]
    await store.lifecycle.close()
    await migrate(database_url, lambda connection: downgraded(connection, "0018"))
    store = await opened(database_url)
    assert [await _at_moment(store, NOW + timedelta(hours=hours)) for hours in (0, 1, 29, 31)] == before
    await store.lifecycle.close()
    assert [fired for fired, _ in before] == [["Posted", "Told"]] * 3 + [[]]
    assert [silences for _, silences in before] == [["s-1"], ["s-1"], [], []]


async def _at_moment(store: Store, at: datetime) -> tuple[list[str], list[str]]:
    """The names of the alerts that fired then, and the ids of the silences in force."""
    alerts = await store.moments.alerts(at, limit=9)
    silences = await store.silence_versions.at(at, ended_since=at, limit=9)
    return sorted(each.labels["alertname"] for each in alerts), [each.silence.id for each in silences]


async def test_processes_that_start_at_once_all_find_the_schema(database_url: str) -> None:
    command_line = [sys.executable, "-c", _OPEN, database_url]
    processes = [
        await asyncio.create_subprocess_exec(*command_line, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(_REPLICAS)
    ]
    async with asyncio.timeout(60):
        outputs = await asyncio.gather(*(process.communicate(b"x") for process in processes))
    assert [(process.returncode, faults) for process, (_, faults) in zip(processes, outputs, strict=True)] == [
        (0, b"")
    ] * _REPLICAS
    assert await is_usable(database_url)


async def test_threads_that_start_at_once_all_find_the_schema(database_url: str) -> None:
    def open_and_close() -> None:
        async def run() -> None:
            await (await opened(database_url)).lifecycle.close()

        asyncio.run(run())

    await asyncio.gather(*(asyncio.to_thread(open_and_close) for _ in range(_REPLICAS)))
    assert await is_usable(database_url)


async def test_stores_of_one_process_that_open_at_once_all_find_the_schema(database_url: str) -> None:
    stores = [open_store(database_url) for _ in range(_REPLICAS)]
    await asyncio.gather(*(store.lifecycle.open() for store in stores))
    for store in stores:
        await store.lifecycle.close()
    assert await is_usable(database_url)


def test_head_is_what_alembic_finds() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == SCHEMA_HEAD


async def test_downgrade_and_upgrade_give_a_usable_schema(database_url: str) -> None:
    await (await opened(database_url)).lifecycle.close()
    await migrate(database_url, downgraded)
    assert await is_usable(database_url)


async def test_downgrade_removes_every_table(database_url: str) -> None:
    await (await opened(database_url)).lifecycle.close()
    await migrate(database_url, downgraded)
    left: list[str] = []
    await migrate(database_url, lambda connection: left.extend(inspect(connection).get_table_names()))
    assert left == ["alembic_version"]


async def test_tables_are_what_the_reads_take_them_for(database_url: str) -> None:
    await (await opened(database_url)).lifecycle.close()
    there: dict[str, dict[str, bool]] = {}

    def look(connection: Connection) -> None:
        for table in metadata.tables:
            columns = inspect(connection).get_columns(table)
            own_key = {("alerts", "id"), ("events", "alert_id")}  # of SQLite alone
            own_key |= {("events", "fingerprint"), ("events", "starts_at")}  # of PostgreSQL alone
            there[table] = {c["name"]: c["nullable"] for c in columns if (table, c["name"]) not in own_key}

    await migrate(database_url, look)
    assert there == {
        name: {column.name: bool(column.nullable) for column in table.columns}
        for name, table in metadata.tables.items()
    }


async def test_check_says_that_the_schema_is_missing(database_url: str) -> None:
    if is_sqlite(database_url):
        sqlite3.connect(database_url.removeprefix("sqlite:///")).close()
    checks = await checked(database_url)
    assert (checks["database"], checks["schema"].partition(":")[0]) == ("ok", "missing")


async def test_check_says_that_the_schema_is_behind(database_url: str) -> None:
    await (await opened(database_url)).lifecycle.close()
    await execute(database_url, "UPDATE alembic_version SET version_num = '0000'")
    assert (await checked(database_url))["schema"] == f"0000 is behind {SCHEMA_HEAD}"


async def test_check_says_that_an_emptied_version_table_is_no_schema(database_url: str) -> None:
    await (await opened(database_url)).lifecycle.close()
    await execute(database_url, "DELETE FROM alembic_version")
    assert (await checked(database_url))["schema"].partition(":")[0] == "missing"


async def test_newer_schema_is_served_as_it_is(database_url: str) -> None:
    await (await opened(database_url)).lifecycle.close()
    await execute(database_url, "UPDATE alembic_version SET version_num = '9999'")
    assert (await is_usable(database_url), (await checked(database_url))["schema"]) == (True, "ok")


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "postgresql://nobody@127.0.0.1:1/nothing"])
async def test_check_says_that_there_is_no_database(url: str) -> None:
    checks = await checked(url)
    assert (checks["database"] != "ok", checks["schema"]) == (True, "unknown")


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "postgresql://nobody@127.0.0.1:1/nothing"])
async def test_opening_without_a_database_says_it_may_work_later(url: str) -> None:
    store = open_store(url)
    with pytest.raises(StorageUnavailable):
        await store.lifecycle.open()
    await store.lifecycle.close()


async def test_unknown_postgres_database_says_it_may_work_later(postgres_url: str) -> None:
    with pytest.raises(StorageUnavailable):
        await opened(f"{postgres_url}_nowhere")


async def test_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    path = tmp_path / "alert_history.db"
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(StorageUnavailable):
        await opened(f"sqlite:///{path}")
    assert (await checked(f"sqlite:///{path}"))["database"] != "ok"


@pytest.mark.parametrize("name", ["with space.db", "100%.db", "a#b.db", "ünï.db", "quo'te\".db"])
async def test_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    assert await is_usable(f"sqlite:///{tmp_path / name}")
    assert (tmp_path / name).exists()


async def test_migration_that_fails_leaves_nothing_behind(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("CREATE TABLE settings (mine int)")
    with pytest.raises(StorageUnavailable):
        await opened(postgres_url)
    tables = await connection.fetch("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")
    await connection.close()
    assert [row[0] for row in tables] == ["settings"]


async def test_migration_of_a_file_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "alert_history.db"
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE settings (mine int)")
    with pytest.raises(StorageUnavailable):
        await opened(f"sqlite:///{path}")
    tables = file.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    file.close()
    assert tables == [("settings",)]
