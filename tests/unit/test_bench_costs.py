"""What an alert costs is measured where it arises: processor time by stage, bytes on disk by table."""

import os
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bench.bare import bare_server
from bench.cpu import cpu_seconds, sqlite_clock
from bench.databases import Postgres, Sqlite
from bench.disk import LIVES, bytes_an_occurrence, lines_of, words
from bench.load import full_load
from bench.notifications import Notifications
from bench.sizes import Size, growth
from bench.stages import Costs
from bench.stages import lines_of as stage_lines

from alert_history.sources import decode_webhook

NOW = datetime(2026, 7, 1, tzinfo=UTC)

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
    costs = Costs(1, 2, 3, 4, 5, 6, 7, 8, 20, 90, 70, 50, 30, 40, 35)
    postgres = {line.what: line.value for line in stage_lines("PostgreSQL", [costs], is_sqlite=False)}
    sqlite = {line.what: line.value for line in stage_lines("SQLite", [costs], is_sqlite=True)}
    assert (postgres["all stages of the service"], postgres["loaded distinct − all stages"]) == (36, 14)
    assert (sqlite["all stages of the service"], sqlite["loaded distinct − all stages"]) == (56, -6)
    assert postgres["loaded distinct database"] == 30
    assert "loaded distinct database" not in sqlite


# --- disk -------------------------------------------------------------------------------------------------------------


def test_growth_is_what_came_to_each_table_for_each_occurrence() -> None:
    before = {"alerts": Size(1_000, 500), "settings": Size(100, 0)}
    after = {"settings": Size(100, 0), "events": Size(40, 10), "alerts": Size(3_000, 700)}
    assert growth(before, after, number=10) == {"alerts": (200, 20), "events": (4, 1)}


def test_a_life_is_told_as_a_sender_tells_it() -> None:
    [firing, repeat, end] = words(
        [Notifications("/webhook", alerts=2, seed=1).body(NOW.timestamp())], LIVES[2]._replace(repeats=1), began=NOW
    )
    assert firing[1] == repeat[1]
    assert repeat[0] - firing[0] >= timedelta(minutes=5)
    group = decode_webhook(end[1][0].encode(), received_at=end[0], max_alerts=2)
    assert [(alert.status, alert.ends_at) for alert in group.alerts] == [("resolved", end[0])] * 2


@pytest.mark.parametrize("kind", ["postgres", "sqlite"])
def test_each_table_that_an_alert_touches_is_weighed(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    database = Sqlite(tmp_path) if kind == "sqlite" else Postgres(request.getfixturevalue("postgres_server"))
    tables = bytes_an_occurrence(database, LIVES[0], number=1_000)
    assert {"alerts", "events", "receipts", "receipt_bodies"} <= set(tables)
    assert all(rows + indexes < 20_000 for rows, indexes in tables.values())
    lines = lines_of(database.name, LIVES[0], tables)
    assert all(line.value > 0 for line in lines)
    assert sum(line.value for line in lines) == pytest.approx(sum(map(sum, tables.values())))
