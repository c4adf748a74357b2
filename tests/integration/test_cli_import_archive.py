"""`alert-history import … --archive` as a user runs it: killed at random moments, told of retention, and taken back.

Holds: `cli.imports`.
"""

import asyncio
import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import duckdb
import httpx
import pytest

from alert_history.storage import open_store
from tests import servers
from tests.commands import command, environment, lines, run
from tests.conformance.import_archives import Left, left, minute_passes
from tests.processes import wait_until

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "archive.md"
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
OLD, YOUNG = 1_200, 60
DAYS = 40
RETENTION_DAYS = 30
KILLS = 3

pytestmark = [pytest.mark.migrated, pytest.mark.long]

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def past(tmp_path: Path) -> Path:
    """A file of firings: many from long ago, on many days, and some of this week."""
    now = datetime.now(UTC).replace(microsecond=0)
    path = tmp_path / "past.jsonl"
    rows = []
    for number in range(OLD + YOUNG):
        is_old = number < OLD
        age = (
            timedelta(days=35 + number % DAYS, minutes=number) if is_old else timedelta(minutes=50 * number - 50 * OLD)
        )
        began = now - age - timedelta(hours=2)
        labels = {"alertname": f"Disk{number % 7}", "severity": "critical", "pod": f"web-{number % 50}"}
        ended = began + timedelta(minutes=20)
        rows.append({"labels": labels, "starts_at": began.isoformat(), "ends_at": ended.isoformat()})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def env(url: str, **more: str) -> dict[str, str]:
    return {"DATABASE_URL": url, "RETENTION_DAYS": str(RETENTION_DAYS), **more}


def ran(url: str, *words: str | Path, **more: str) -> list[str]:
    done = run(*map(str, words), env=env(url, **more))
    assert done.returncode == 0, done.stderr.decode()
    return [line.strip().removeprefix("- ") for line in lines(done.stdout)]


def state(url: str, folder: Path) -> Left:
    async def work() -> Left:
        store = open_store(url)
        await store.lifecycle.open()
        try:
            return await left(store, url, folder)
        finally:
            await store.lifecycle.close()

    return asyncio.run(work())


def import_id(output: list[str]) -> str:
    return output[-1].split()[1].rstrip(";")


def count(folder: str | Path) -> Any:
    """Rows, and different occurrences, in the archive."""
    with duckdb.connect() as connection:
        sql = f"SELECT count(*), count(DISTINCT (fingerprint, starts_at)) FROM '{folder}/alerts/**/*.parquet'"
        return connection.execute(sql).fetchone()


def test_killed_at_random_moments_and_run_again_it_is_as_without(database_url: str, past: Path, tmp_path: Path) -> None:
    folder, random = tmp_path / "archive", Random(database_url)
    output = ran(database_url, "import", "jsonl", past, "--archive", folder)
    assert f"{OLD:,} are in the archive" in output
    assert f"{YOUNG} taken as new occurrences" in output
    expected = state(database_url, folder)
    assert count(folder) == (OLD, OLD)
    undone = ran(database_url, "import", "undo", import_id(output))
    assert f"{OLD:,} occurrences removed from the archive" in undone
    assert state(database_url, folder).rows == []
    for number in range(KILLS):
        _kill(database_url, past, folder, files=random.randint(1, 8), seconds=random.random() / 20)
        asyncio.run(minute_passes(database_url))
        assert number or len(list(folder.glob("alerts/**/*.parquet"))) < DAYS + 1
    ran(database_url, "import", "jsonl", past, "--archive", folder)
    assert state(database_url, folder) == expected
    assert count(folder) == (OLD, OLD)
    assert not list(folder.rglob("*.partial"))


def _kill(url: str, past: Path, folder: Path, *, files: int, seconds: float) -> None:
    """Kill an import a moment after it has put so many more files in place, or leave it when it is done."""
    before = len(list(folder.glob("alerts/**/*.parquet")))
    words = command("import", "jsonl", past, "--archive", folder)
    with subprocess.Popen(words, env=environment(env(url)), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_until(
            lambda: process.poll() is not None or len(list(folder.glob("alerts/**/*.parquet"))) >= before + files,
            "some files are in place",
        )
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.kill()
        assert process.wait() in {0, -signal.SIGKILL}, process.stderr and process.stderr.read()


@ON_SQLITE
def test_retention_is_told_and_the_archive_named(database_url: str, past: Path, tmp_path: Path) -> None:
    done = run("import", "jsonl", str(past), env=env(database_url))
    assert done.returncode == 2
    assert b"with --archive" in done.stderr
    both = run("import", "jsonl", str(past), "--archive", "a", "--keep-days", "3", env=env(database_url))
    assert b"either --archive or --keep-days" in both.stderr
    dry = ran(database_url, "import", "jsonl", past, "--archive", tmp_path / "archive", "--dry-run")
    assert f"{OLD:,} would go to the archive" in dry
    assert not (tmp_path / "archive").exists()


@ON_SQLITE
def test_the_how_tos_command_imports_straight_into_an_archive(database_url: str, past: Path) -> None:
    blocks = re.findall(r"^```bash\n(.*?)^```", HOW_TO.read_text(), re.MULTILINE | re.DOTALL)
    (line,) = [block.strip() for block in blocks if " import " in block]
    done = run(*line.split()[1:], env=env(database_url), folder=past.parent)
    assert done.returncode == 0, done.stderr.decode()
    assert count(past.parent / "archive") == (OLD, OLD)


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with servers.s3_server() as server:
        yield server.url


@ON_SQLITE
def test_an_archive_on_s3_comes_back_and_is_taken_back(database_url: str, past: Path, s3: str) -> None:
    bucket, few = f"my-bucket-{uuid4().hex[:8]}", 12
    httpx.put(f"{s3}/{bucket}", trust_env=False).raise_for_status()
    rows = past.read_text().splitlines(keepends=True)
    past.write_text("".join([*rows[:few], rows[-1]]))
    keys = {**KEYS, "AWS_ENDPOINT_URL": s3}
    place = f"s3://{bucket}/past"
    output = ran(database_url, "import", "jsonl", past, "--archive", place, **keys)
    again = ran(database_url, "import", "jsonl", past, "--archive", place, **keys)
    assert f"{few} are in the archive" in output
    assert f"{few + 1} joined with what is there" in again
    restored = ran(database_url, "restore", place, "--keep-days", "1", **keys)
    assert f"alerts: {few} restored, 0 there already" in restored
    ran(database_url, "import", "undo", import_id(output), **keys)
    assert ran(database_url, "export") == []
