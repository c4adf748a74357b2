"""`alert-history export`: every format holds all that matches, and memory does not grow with it.

Holds: `cli.export`, `cli.export_formats`.
"""

import asyncio
import csv
import io
import json
import os
import stat
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from alert_history.domain.alert import Alert, AlertGroup, fingerprint
from alert_history.domain.receipt import Receipt
from alert_history.domain.speaker import grafana_scope
from alert_history.ids import new_id
from alert_history.storage import open_store
from tests.commands import TIMEOUT_SECONDS, command, environment, lines, run

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
MANY = 50_000
PER_RECEIPT = 1000
GROWTH_LIMIT_KIB = 8 * 1024
SCOPE = grafana_scope("", "http://grafana", "")
FORMATS = ["jsonl", "csv", "parquet"]

pytestmark = pytest.mark.migrated


def alert(number: int = 0, **labels: str) -> Alert:
    all_labels = {
        "alertname": "DiskFull",
        "namespace": "shop",
        "severity": "critical",
        "pod": f"web-{number}",
        **labels,
    }
    annotations = {"summary": f"no space left on {number}", "description": "x" * 200}
    return Alert(fingerprint(all_labels), "firing", all_labels, annotations, NOW, details={"values": {"A": number}})


def receipt(alerts: Sequence[Alert], *, at: datetime = NOW) -> Receipt:
    group = AlertGroup("grafana", "team", "{}", "http://grafana", list(alerts))
    return Receipt(new_id(at), at, "/webhook", False, group, b"", bytes(32))


def record(url: str, *receipts: Receipt) -> None:
    asyncio.run(_record(url, receipts))


async def _record(url: str, receipts: Sequence[Receipt]) -> None:
    store = open_store(url)
    await store.lifecycle.open()
    await store.upkeep.prepare(NOW)
    for each in receipts:
        await store.recorder.commit([each])
    await store.lifecycle.close()


def export(url: str, *args: str | Path) -> bytes:
    done = run("export", *args, env={"DATABASE_URL": url})
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def exported(url: str, *args: str | Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in export(url, *args).splitlines()]


def pods(url: str, *args: str | Path) -> list[str]:
    return [occurrence["labels"]["pod"] for occurrence in exported(url, *args)]


@pytest.fixture
def hourly(database_url: str) -> str:
    """The URL of a database with three alerts, received an hour apart."""
    record(database_url, *(receipt([alert(n)], at=NOW + n * HOUR) for n in range(3)))
    return database_url


def test_jsonl_holds_what_the_api_shows(hourly: str) -> None:
    first = exported(hourly)[0]
    assert first["labels"] == alert().labels
    assert first["annotations"] == alert().annotations
    assert first["timestamp"] == first["confirmed_at"] == "2026-03-04T12:00:00Z"
    assert (first["state"], first["ended_by"], first["scope"]) == ("firing", None, SCOPE)
    assert first["details"] == {"values": {"A": 0}}


def test_the_oldest_comes_first(hourly: str) -> None:
    assert pods(hourly) == ["web-0", "web-1", "web-2"]


def test_a_query_chooses(hourly: str) -> None:
    assert pods(hourly, "--query", '{pod=~"web-[12]"}') == ["web-1", "web-2"]


def test_a_word_that_starts_with_a_hyphen_is_a_query(hourly: str) -> None:
    assert pods(hourly, "--query", "-1") == ["web-1"]


def test_start_counts_in_and_end_does_not(hourly: str) -> None:
    assert pods(hourly, "--start", "2026-03-04T13:00:00Z", "--end", "2026-03-04T15:00:00+01:00") == ["web-1"]


def test_a_start_may_be_relative(sqlite_url: str) -> None:
    now = datetime.now(UTC)
    record(sqlite_url, receipt([alert(1)], at=now - 3 * HOUR), receipt([alert(2)], at=now - HOUR))
    assert pods(sqlite_url, "--start", "-2h", "--end", "now") == ["web-2"]


def test_csv_has_a_header_and_a_row_each(hourly: str) -> None:
    rows = list(csv.DictReader(io.StringIO(export(hourly, "--format", "csv").decode(), newline="")))
    assert [json.loads(row["labels"])["pod"] for row in rows] == ["web-0", "web-1", "web-2"]
    assert (rows[0]["timestamp"], rows[0]["ends_at"], rows[0]["repeat_count"]) == ("2026-03-04T12:00:00Z", "", "0")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t"])
def test_csv_runs_no_formula(sqlite_url: str, start: str) -> None:
    record(sqlite_url, receipt([alert(alertname=f'{start}HYPERLINK("http://example.com")')]))
    (row,) = csv.DictReader(io.StringIO(export(sqlite_url, "--format", "csv").decode(), newline=""))
    assert row["alertname"] == f'\'{start}HYPERLINK("http://example.com")'


def test_csv_keeps_commas_quotes_and_newlines(sqlite_url: str) -> None:
    name = 'a,"b"\nc\r\nd'
    record(sqlite_url, receipt([alert(alertname=name)]))
    (row,) = csv.DictReader(io.StringIO(export(sqlite_url, "--format", "csv").decode(), newline=""))
    assert row["alertname"] == name


def test_parquet_has_times_and_maps(hourly: str, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    export(hourly, "-o", tmp_path / "history.parquet")
    table = parquet.read_table(tmp_path / "history.parquet")
    assert str(table.schema.field("timestamp").type) == "timestamp[us, tz=UTC]"
    assert str(table.schema.field("labels").type).startswith("map<string, string")
    first = table.to_pylist()[0]
    assert dict(first["labels"]) == alert().labels
    assert (first["starts_at"], first["ends_at"]) == (NOW, None)
    assert (first["state"], first["ended_by"], first["confirmed_at"], first["scope"]) == ("firing", None, NOW, SCOPE)
    assert json.loads(first["details"]) == {"values": {"A": 0}}


@pytest.mark.parametrize("format_", FORMATS)
def test_an_empty_history_is_a_valid_file(sqlite_url: str, tmp_path: Path, *, format_: str) -> None:
    record(sqlite_url)
    export(sqlite_url, "--format", format_, "-o", tmp_path / "empty")
    if format_ == "parquet":
        assert pytest.importorskip("pyarrow.parquet").read_table(tmp_path / "empty").num_rows == 0
    else:
        assert len((tmp_path / "empty").read_text().splitlines()) == int(format_ == "csv")


@pytest.mark.parametrize(
    "ending,start", [("csv", b"id,"), ("jsonl", b'{"id"'), ("parquet", b"PAR1"), ("txt", b'{"id"')]
)
def test_the_ending_of_the_path_chooses_the_format(
    sqlite_url: str, tmp_path: Path, *, ending: str, start: bytes
) -> None:
    record(sqlite_url, receipt([alert()]))
    export(sqlite_url, "-o", tmp_path / f"history.{ending}")
    assert (tmp_path / f"history.{ending}").read_bytes().startswith(start)


def test_a_file_replaces_an_older_one_and_leaves_nothing_beside_it(sqlite_url: str, tmp_path: Path) -> None:
    record(sqlite_url, receipt([alert()]))
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "history.jsonl").write_text("old")
    export(sqlite_url, "-o", folder / "history.jsonl")
    assert [path.name for path in folder.iterdir()] == ["history.jsonl"]
    assert json.loads((folder / "history.jsonl").read_text())["labels"] == alert().labels


@pytest.mark.migrated(False)
def test_a_failed_export_leaves_the_older_file(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_text("old")
    done = run("export", "-o", tmp_path / "history.jsonl", env={"DATABASE_URL": sqlite_url})
    assert done.returncode == 1
    assert len(lines(done.stderr)) == 1
    assert (tmp_path / "history.jsonl").read_text() == "old"
    assert list(tmp_path.glob("*.partial")) == []


def test_a_device_is_written_to_and_not_replaced(sqlite_url: str, tmp_path: Path) -> None:
    record(sqlite_url, receipt([alert()]))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    export(sqlite_url, "-o", pipe)
    data = os.read(reader, 65536)
    os.close(reader)
    assert json.loads(data)["labels"] == alert().labels
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.migrated(False)
def test_an_export_makes_no_database(sqlite_url: str) -> None:
    assert run("export", env={"DATABASE_URL": sqlite_url}).returncode == 1
    assert not Path(sqlite_url.removeprefix("sqlite:///")).exists()


@pytest.mark.migrated(False)
def test_a_database_without_our_schema_is_one_line(database_url: str) -> None:
    done = run("export", env={"DATABASE_URL": database_url})
    assert done.returncode == 1
    assert len(lines(done.stderr)) == 1


@pytest.mark.parametrize("args", [["--start", "tomorrow"], ["--query", '{a="'], ["--query", '{a=~"("}']])
def test_a_time_or_query_that_cant_be_read_is_wrong_usage(sqlite_url: str, args: list[str]) -> None:
    done = run("export", *args, env={"DATABASE_URL": sqlite_url})
    assert done.returncode == 2
    assert len(lines(done.stderr)) == 1


def test_without_pyarrow_it_says_how_to_install_it(sqlite_url: str, tmp_path: Path) -> None:
    record(sqlite_url)
    (tmp_path / "pyarrow.py").write_text("raise ImportError")
    path = os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])
    done = run("export", "--format", "parquet", env={"DATABASE_URL": sqlite_url, "PYTHONPATH": path})
    assert done.returncode == 2
    assert lines(done.stderr) == [
        "error: Parquet needs the package pyarrow: pip install 'pyarrow>=22'",
    ]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a database with `MANY` alerts, `PER_RECEIPT` a minute."""
    url = f"sqlite:///{tmp_path_factory.mktemp('many') / 'alert_history.db'}"
    starts = range(0, MANY, PER_RECEIPT)
    groups = ([alert(n) for n in range(start, start + PER_RECEIPT)] for start in starts)
    record(url, *(receipt(group, at=NOW + timedelta(minutes=i)) for i, group in enumerate(groups)))
    return url


def peak_kib(url: str, *args: str | Path) -> int:
    """The most memory that an export had at once, in KiB.

    A small process starts it and asks: Linux counts to a child what its parent held when it was started.
    """
    measure = (
        "import os, sys\n"
        "pid = os.posix_spawn(sys.executable, sys.argv[1:], os.environ)\n"
        "_, status, usage = os.wait4(pid, 0)\n"
        "print(usage.ru_maxrss)\n"
        "sys.exit(os.waitstatus_to_exitcode(status))\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", measure, *command("export", *args)],
        env=environment({"DATABASE_URL": url}),
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
        check=True,
    )
    return int(done.stdout)


@pytest.mark.parametrize("format_", FORMATS)
def test_memory_does_not_grow_with_the_result(many: str, tmp_path: Path, *, format_: str) -> None:
    half = NOW + timedelta(minutes=MANY // PER_RECEIPT // 2)
    path = tmp_path / f"history.{format_}"
    of_half = peak_kib(many, "--end", half.isoformat(), "-o", path)
    size_of_half = path.stat().st_size
    of_all = peak_kib(many, "-o", path)
    assert path.stat().st_size > 1.9 * size_of_half
    assert of_all - of_half < GROWTH_LIMIT_KIB, (of_half, of_all)


def test_a_reader_that_has_seen_enough_ends_it_quietly(many: str) -> None:
    with subprocess.Popen(
        command("export"),
        env=environment({"DATABASE_URL": many}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (141, b"")
