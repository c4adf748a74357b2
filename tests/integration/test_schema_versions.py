"""Two releases on one database: what the newer one added is no trouble to this one, and `migrate --check` is right."""

import asyncio
import sqlite3
from pathlib import Path

import asyncpg
import httpx
import pytest

from alert_history.storage import is_sqlite, open_store
from alert_history.storage.shared.tables import SCHEMA_HEAD
from tests.commands import lines, run
from tests.conftest import StartService
from tests.processes import Server
from tests.servers import PostgresServer

NEWER = f"{int(SCHEMA_HEAD) + 1:04}"
PAYLOAD = (Path(__file__).parents[1] / "data" / "alertmanager-0.25" / "firing-group-of-three.json").read_bytes()

# What an expanding migration of a later release may do, by the rules of docs/explanation/upgrades.md.
EXPANDED = (
    "ALTER TABLE alerts ADD COLUMN runbook {text}",
    "ALTER TABLE alerts ADD COLUMN weight integer NOT NULL DEFAULT 7",
    "ALTER TABLE events ADD COLUMN actor {text}",
    "ALTER TABLE receipts ADD COLUMN tenant {text} NOT NULL DEFAULT ''",
    "ALTER TABLE quarantine ADD COLUMN tenant {text} NOT NULL DEFAULT ''",
    "ALTER TABLE delivery_queue ADD COLUMN priority integer NOT NULL DEFAULT 0",
    "ALTER TABLE deliveries ADD COLUMN priority integer NOT NULL DEFAULT 0",
    "ALTER TABLE silences ADD COLUMN origin {text}",
    "ALTER TABLE settings ADD COLUMN author {text}",
    "CREATE TABLE maintenance_windows (id {text} PRIMARY KEY, starts_at {time} NOT NULL)",
    "CREATE INDEX idx_alerts_newer ON alerts (severity, starts_at)",
    "UPDATE alembic_version SET version_num = '{version}'",
)


def execute(url: str, *statements: str) -> None:
    types = {"text": "TEXT", "time": "INTEGER" if is_sqlite(url) else "timestamptz", "version": NEWER}
    made = [statement.format(**types) for statement in statements]
    if is_sqlite(url):
        file = sqlite3.connect(url.removeprefix("sqlite:///"))
        for statement in made:
            file.execute(statement)
        file.commit()
        file.close()
        return

    async def work() -> None:
        connection = await asyncpg.connect(url)
        for statement in made:
            await connection.execute(statement)
        await connection.close()

    asyncio.run(work())


@pytest.fixture
def newer_url(database_url: str) -> str:
    """The URL of a database that a later release has expanded."""
    assert run("migrate", env={"DATABASE_URL": database_url}).returncode == 0
    execute(database_url, *EXPANDED)
    return database_url


def post(server: Server, payload: bytes = PAYLOAD) -> None:
    answer = httpx.post(f"{server.url}/webhook", content=payload, headers={"Content-Type": "application/json"})
    assert answer.status_code == httpx.codes.OK, answer.text


def total(server: Server) -> int:
    return int(httpx.get(f"{server.url}/history").json()["total"])


def test_a_service_that_was_rolled_back_is_ready_and_works(newer_url: str, service: StartService) -> None:
    server = service({"DATABASE_URL": newer_url})
    ready = httpx.get(f"{server.url}/readyz")
    assert (ready.status_code, ready.json()["checks"]["schema"]) == (200, "ok")
    post(server)
    post(server, PAYLOAD.replace(b'"status":"firing"', b'"status":"resolved"'))
    assert total(server) == 3
    occurrence = httpx.get(f"{server.url}/api/v1/alerts").json()["alerts"][0]
    timeline = httpx.get(f"{server.url}/api/v1/alerts/{occurrence['id']}/timeline")
    assert timeline.status_code == httpx.codes.OK


def test_a_service_goes_on_while_a_later_release_expands_the_schema(database_url: str, service: StartService) -> None:
    """The pods of both releases run side by side in a rolling upgrade: their statements are prepared already."""
    server = service({"DATABASE_URL": database_url})
    post(server)
    execute(database_url, *EXPANDED)
    post(server)
    assert total(server) == 3
    post(server, PAYLOAD.replace(b'"status":"firing"', b'"status":"resolved"'))
    assert httpx.get(f"{server.url}/readyz").json()["checks"]["schema"] == "ok"


def test_retention_and_the_archive_work_on_an_expanded_schema(newer_url: str, tmp_path: Path) -> None:
    env = {"DATABASE_URL": newer_url}
    assert run("archive", "--before", "-1d", "--to", tmp_path, env=env).returncode == 0
    assert run("export", env=env).returncode == 0


def test_check_is_right_in_both_directions(database_url: str) -> None:
    env = {"DATABASE_URL": database_url}
    assert run("migrate", "--check", env=env).returncode == 1  # nothing there
    assert run("migrate", env=env).returncode == 0
    assert run("migrate", "--check", env=env).returncode == 0  # at head
    execute(database_url, "UPDATE alembic_version SET version_num = '0001'")
    behind = run("migrate", "--check", env=env)
    assert behind.returncode == 1
    assert "behind" in lines(behind.stderr)[0]
    execute(database_url, "UPDATE alembic_version SET version_num = '{version}'")
    assert run("migrate", "--check", env=env).returncode == 0  # ahead: this release can serve it


def test_migrating_leaves_a_newer_schema_alone(newer_url: str) -> None:
    assert run("migrate", env={"DATABASE_URL": newer_url}).returncode == 0
    execute(newer_url, "INSERT INTO maintenance_windows VALUES ('a', " + ("1)" if is_sqlite(newer_url) else "now())"))

    async def version() -> str:
        store = open_store(newer_url)
        try:
            return (await store.lifecycle.check())["schema"]
        finally:
            await store.lifecycle.close()

    assert asyncio.run(version()) == "ok"


def test_a_release_that_comes_back_migrates_from_where_it_left(postgres_server: PostgresServer) -> None:
    """Upgrade, roll back, upgrade again: each finds the schema as the other left it."""
    url = postgres_server.create_database()
    env = {"DATABASE_URL": url}
    for _ in range(2):
        assert run("migrate", env=env).returncode == 0
        execute(url, "UPDATE alembic_version SET version_num = '{version}'")
        assert run("migrate", "--check", env=env).returncode == 0
        execute(url, f"UPDATE alembic_version SET version_num = '{SCHEMA_HEAD}'")
    postgres_server.drop_database(url)
