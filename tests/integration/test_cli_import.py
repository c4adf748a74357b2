"""`alert-history import` as a user runs it: its answers, a kill at any moment, and the way back.

Holds: `cli.imports`, `engine.importing`, `storage.spool`, `storage.shared.importing`, `origins.imports.registry`.
"""

import asyncio
import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from tests.commands import command, environment, lines, run
from tests.conformance import raw

pytestmark = pytest.mark.migrated

NOW = datetime.now(UTC).replace(microsecond=0)
_STATE = """SELECT fingerprint, starts_at, began_at, ends_at, ended_by, status, repeat_count, last_received_at
    FROM alerts ORDER BY fingerprint, starts_at"""


def fetch(url: str, sql: str) -> list[tuple[object, ...]]:
    return asyncio.run(raw.fetch(url, sql))


def past_file(path: Path, *, firings: int) -> Path:
    """Firings of fifty label sets in the last ninety days, in no order."""
    random = Random(7)
    rows = []
    for _ in range(firings):
        begins = NOW - timedelta(seconds=random.randrange(3600, 90 * 86_400))
        labels = {
            "alertname": f"Rule{random.randrange(10)}",
            "instance": f"host-{random.randrange(5)}",
            "severity": "page",
        }
        ends = begins + timedelta(seconds=random.choice([0, 60, 600, 3000]))
        rows.append({"labels": labels, "starts_at": begins.isoformat(), "ends_at": ends.isoformat()})
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def test_an_import_says_what_it_did_and_is_taken_back(database_url: str, tmp_path: Path) -> None:
    env = {"DATABASE_URL": database_url}
    file = past_file(tmp_path / "past.jsonl", firings=30)
    file.write_text(f"{file.read_text()}no row\n")
    done = run("import", "jsonl", file, env=env)
    assert done.returncode == 0, done.stderr
    first, taken, *_, last = lines(done.stdout)
    assert first == f"read 31 from jsonl {file}"
    number = int(taken.split()[1])
    assert 25 <= number <= 30
    import_id = last.split()[1].strip(";")
    assert fetch(database_url, "SELECT DISTINCT import_id FROM alerts") == [(import_id,)]
    assert "no row" in str(fetch(database_url, "SELECT raw FROM quarantine"))
    listed = run("import", "list", env=env)
    assert import_id in listed.stdout.decode()
    undone = run("import", "undo", import_id, env=env)
    assert lines(undone.stdout)[0] == (
        f"import {import_id} is taken back: {number} occurrences removed, 0 corrections undone"
    )
    assert fetch(database_url, "SELECT count(*) FROM alerts") == [(0,)]


@pytest.mark.parametrize(
    "arguments, reason",
    [
        (["jsonl", "missing.jsonl"], "missing.jsonl"),
        (["alertmanager"], "--url"),
        (["alertmanager", "--url", "ftp://am"], "no http or https URL"),
        (["alertmanager", "--url", "http://127.0.0.1:9", "--header", "x"], "not NAME=VALUE"),
        (["undo", "nothing"], "no import nothing"),
        (["jsonl", "x.jsonl", "--start", "soon"], "soon"),
        (["jsonl", "x.jsonl", "--scope", "a b"], "a scope has"),
        (["elsewhere"], "elsewhere"),
    ],
)
def test_a_wrong_command_says_what_is_wrong(sqlite_url: str, arguments: list[str], reason: str, tmp_path: Path) -> None:
    done = run("import", *arguments, env={"DATABASE_URL": sqlite_url}, folder=tmp_path)
    assert done.returncode == 2, done.stdout
    assert reason in done.stderr.decode()


def test_killed_at_any_moment_and_run_again_it_is_as_if_nothing_had_been(database_url: str, tmp_path: Path) -> None:
    """Killed some times, each a moment later, and then run to its end: the rows are those of one whole run."""
    env = {"DATABASE_URL": database_url}
    file = past_file(tmp_path / "past.jsonl", firings=6_000)
    for delay in (0.6, 0.9, 1.2, 1.6):
        process = subprocess.Popen(command("import", "jsonl", file), env=environment(env), stdout=subprocess.DEVNULL)
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        fetch(database_url, "UPDATE imports SET beat_at = NULL")  # as if a minute had passed
    done = run("import", "jsonl", file, env=env)
    assert done.returncode == 0, done.stderr
    assert fetch(database_url, "SELECT DISTINCT state FROM imports") == [("done",)]
    killed = fetch(database_url, _STATE)
    for (import_id,) in fetch(database_url, "SELECT id FROM imports"):
        run("import", "undo", str(import_id), env=env)
    assert fetch(database_url, "SELECT count(*) FROM alerts") == [(0,)]
    run("import", "jsonl", file, env=env)
    assert fetch(database_url, _STATE) == killed
