"""The backup drill against a real PostgreSQL: a good backup passes, a bad one does not, and nothing is left behind."""

import asyncio
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import asyncpg
import pytest

from alert_history.storage import open_store
from tests.conformance.samples import NOW, alert, everything, receipt
from tests.processes import find_program
from tests.servers import PostgresServer

SCRIPT = Path(__file__).parents[2] / "deploy" / "drill.sh"
HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "back-up.md"
TABLES = {
    "alembic_version",
    "alerts",
    "deliveries",
    "delivery_queue",
    "events",
    "quarantine",
    "receipt_bodies",
    "receipts",
    "settings",
    "silences",
}


@pytest.fixture
def recorded(postgres_url: str) -> str:
    """The URL of a database with some history."""

    async def record() -> None:
        store = open_store(postgres_url)
        await store.lifecycle.open()
        await store.upkeep.prepare(NOW)
        await store.recorder.commit([receipt(*(alert(f"A{n}", labels={"ü": 'x"\n'}) for n in range(50)))])
        await store.lifecycle.close()

    asyncio.run(record())
    return postgres_url


def drill(
    server: PostgresServer, url: str, *args: str | Path, path: str = "", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    programs = Path(server.psql).parent
    environment = {"PATH": f"{path}:{programs}:{os.environ['PATH']}", "DATABASE_URL": url, "LANG": "C.UTF-8"}
    return subprocess.run(
        ["bash", SCRIPT, *args],
        env={**environment, **(env or {})},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def databases(server: PostgresServer) -> set[str]:
    return set(server.execute("SELECT datname FROM pg_database").splitlines())


def alertnames(url: str) -> set[str]:
    async def read() -> set[str]:
        store = open_store(url)
        try:
            return {occurrence.alertname for occurrence in await everything(store)}
        finally:
            await store.lifecycle.close()

    return asyncio.run(read())


def test_a_good_backup_passes_and_leaves_nothing(postgres_server: PostgresServer, recorded: str) -> None:
    before = databases(postgres_server)
    done = drill(postgres_server, recorded)
    assert done.returncode == 0, done.stderr
    counts = {line.split()[0]: int(line.split()[1]) for line in done.stdout.splitlines()}
    assert counts.keys() >= TABLES
    assert (counts["alerts"], counts["events"], counts["receipts"]) == (50, 50, 1)
    assert databases(postgres_server) == before


def test_the_database_itself_is_dropped_and_restored_when_asked(
    postgres_server: PostgresServer, recorded: str, tmp_path: Path
) -> None:
    before = alertnames(recorded)
    done = drill(postgres_server, recorded, "--replace", "--dump", tmp_path / "backup.sql")
    assert done.returncode == 0, done.stderr
    assert "CREATE TABLE public.alerts" in (tmp_path / "backup.sql").read_text()
    assert alertnames(recorded) == before


def test_what_is_recorded_meanwhile_makes_no_difference(
    postgres_server: PostgresServer, recorded: str, tmp_path: Path
) -> None:
    """Something is written after the snapshot was taken and before the tables are summed up.

    The one setting is that of the migration: a new history is counted already.
    """
    real = find_program("pg_dump", package="postgresql-client", places=[str(Path(postgres_server.psql).parent)])
    wrapper = tmp_path / "pg_dump"
    wrapper.write_text(
        f'#!/bin/sh\n{postgres_server.psql} -qAtX "$DATABASE_URL" -c '
        f"\"INSERT INTO settings VALUES ('x' || random(), '1')\" || exit 1\nexec {real} \"$@\"\n"
    )
    wrapper.chmod(0o755)
    done = drill(postgres_server, recorded, path=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert next(line for line in done.stdout.splitlines() if line.startswith("settings")).split()[1] == "1"


def test_a_dump_that_lacks_a_row_fails(postgres_server: PostgresServer, recorded: str, tmp_path: Path) -> None:
    real = find_program("pg_dump", package="postgresql-client", places=[str(Path(postgres_server.psql).parent)])
    wrapper = tmp_path / "pg_dump"
    wrapper.write_text(f"#!/bin/bash\nset -o pipefail\n{real} \"$@\" | sed '/\\tA7\\t/d'\n")
    wrapper.chmod(0o755)
    before = databases(postgres_server)
    done = drill(postgres_server, recorded, path=str(tmp_path))
    assert done.returncode == 1
    assert "NOT what was dumped" in done.stderr
    assert databases(postgres_server) == before


def test_a_database_that_is_not_there_fails(postgres_server: PostgresServer, recorded: str) -> None:
    done = drill(postgres_server, f"{recorded}_nowhere")
    assert done.returncode == 1
    assert "does not exist" in done.stderr


def test_wrong_usage_says_how(postgres_server: PostgresServer, recorded: str) -> None:
    done = drill(postgres_server, recorded, "--drop-everything")
    assert done.returncode == 2
    assert "deploy/drill.sh" in done.stderr


def test_a_restored_database_goes_on_recording(postgres_server: PostgresServer, recorded: str, tmp_path: Path) -> None:
    assert drill(postgres_server, recorded, "--replace", "--dump", tmp_path / "backup.sql").returncode == 0

    async def record() -> tuple[str, int]:
        store = open_store(recorded)
        await store.lifecycle.open()
        await store.recorder.commit([receipt(alert("A0", labels={"ü": 'x"\n'}))])
        checked = (await store.lifecycle.check())["schema"]
        await store.lifecycle.close()
        connection = await asyncpg.connect(recorded)
        repeats = await connection.fetchval("SELECT repeat_count FROM alerts WHERE alertname = 'A0'")
        await connection.close()
        return checked, int(repeats)

    assert asyncio.run(record()) == ("ok", 1)


def test_the_how_tos_command_backs_a_running_sqlite_up(tmp_path: Path) -> None:
    find_program("sqlite3", package="sqlite3")
    (command,) = re.findall(r"^sqlite3 .*", HOW_TO.read_text(), re.MULTILINE)

    async def record() -> None:
        store = open_store(f"sqlite:///{tmp_path / 'alert_history.db'}")
        await store.lifecycle.open()
        await store.recorder.commit([receipt(alert("Kept"))])
        subprocess.run(["bash", "-euc", command], cwd=tmp_path, check=True, timeout=60)  # noqa: ASYNC221  # beside it
        await store.lifecycle.close()

    asyncio.run(record())
    assert alertnames(f"sqlite:///{tmp_path / 'backup.db'}") == {"Kept"}
