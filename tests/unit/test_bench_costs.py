"""What an alert costs is measured where it arises: processor time by stage, bytes on disk by table."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from bench.bare import bare_server
from bench.cpu import cpu_seconds, sqlite_clock
from bench.load import full_load
from bench.stages import Costs, lines_of

pytestmark = pytest.mark.long


def test_http_alone_takes_the_requests_of_the_full_load() -> None:
    with bare_server() as server:
        load = full_load(server.url, seconds=1)
    assert (load.refused, load.broken) == (0, 0)
    assert load.alerts > 0


def test_processor_time_counts_processes_that_have_ended() -> None:
    before = cpu_seconds(os.getpid())
    subprocess.run([sys.executable, "-c", "while __import__('time').process_time() < 0.5: pass"], check=True)
    assert cpu_seconds(os.getpid()) - before >= 0.4  # counted in ticks


def test_the_clock_of_sqlite_runs_inside_its_calls_only(tmp_path: Path) -> None:
    with sqlite_clock() as clock:
        connection = sqlite3.connect(tmp_path / "clock.db")
        connection.execute("CREATE TABLE numbers (number)")
        before = clock.seconds
        sum(range(1_000_000))
        assert clock.seconds == before
        connection.executemany("INSERT INTO numbers VALUES (?)", ((n,) for n in range(50_000)))
        assert clock.seconds > before
        assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (50_000,)
        connection.close()
    assert type(sqlite3.connect(":memory:")) is sqlite3.Connection


def test_stages_add_up_and_what_full_load_costs_more_is_said() -> None:
    costs = Costs(1, 2, 3, 4, 5, 6, 7, 8, 20, 90, 50, 30, 40, 35)
    postgres = {line.what: line.value for line in lines_of("PostgreSQL", [costs], is_sqlite=False)}
    sqlite = {line.what: line.value for line in lines_of("SQLite", [costs], is_sqlite=True)}
    assert (postgres["all stages of the service"], postgres["loaded distinct − all stages"]) == (36, 14)
    assert (sqlite["all stages of the service"], sqlite["loaded distinct − all stages"]) == (56, -6)
    assert postgres["loaded distinct database"] == 30
    assert "loaded distinct database" not in sqlite
