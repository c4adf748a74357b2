"""`alert-history archive` and `restore` as a user runs them, with the queries that the how-to shows.

Holds: `cli.archive`, `engine.restore`.
"""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import httpx
import pytest

from alert_history.domain.alert import Alert, AlertGroup, fingerprint
from alert_history.domain.archive_tables import ALERTS
from alert_history.domain.receipt import Receipt
from alert_history.engine.day_files import CHUNK_ROWS
from alert_history.ids import new_id
from alert_history.storage import open_store
from tests import servers
from tests.commands import command, environment, lines, run
from tests.processes import free_port, wait_until

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "archive.md"
MARCH = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MANY = 6_000
PER_RECEIPT = 500
GROWTH_LIMIT_MIB = 48  # SQLite's own cache of 32 MiB fills meanwhile; four files more would be over 100
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

pytestmark = pytest.mark.migrated

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""Where tests/conformance/test_archive.py says the same of both databases, and only the words of a command are new."""


def blocks(language: str, *, section: str = "") -> list[str]:
    """The blocks of the how-to in a language, or those below one of its headings alone."""
    text = HOW_TO.read_text()
    if section:
        text = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def alert(number: int, *, starts_at: datetime = MARCH) -> Alert:
    labels = {"alertname": f"Disk{number % 3}", "namespace": "shop", "severity": "critical", "pod": f"web-{number}"}
    return Alert(fingerprint(labels), "firing", labels, {"summary": "full"}, starts_at)


def record(url: str, *groups: Sequence[Alert], at: datetime = MARCH) -> None:
    async def work() -> None:
        store = open_store(url)
        await store.lifecycle.open()
        await store.upkeep.prepare(at)
        for number, alerts in enumerate(groups):
            time = at + number * MINUTE
            group = AlertGroup("alertmanager", "team", "{}", "http://am", list(alerts))
            await store.recorder.commit([Receipt(new_id(time), time, "/webhook", False, group, b"{}", bytes(32))])
        await store.lifecycle.close()

    asyncio.run(work())


def resolved(number: int) -> Alert:
    firing = alert(number)
    return Alert(firing.fingerprint, "resolved", firing.labels, firing.annotations, MARCH, MARCH + MINUTE)


@pytest.fixture
def recorded(database_url: str) -> str:
    """The URL of a database with nine occurrences of March 2026, which lasted a minute."""
    record(database_url, [alert(number) for number in range(9)], [resolved(number) for number in range(9)])
    return database_url


def archive(url: str, to: str | Path, *, folder: Path | None = None, env: Mapping[str, str] | None = None) -> list[str]:
    done = run("archive", "--before", "-1d", "--to", to, env={"DATABASE_URL": url, **(env or {})}, folder=folder)
    assert done.returncode == 0, done.stderr.decode()
    return lines(done.stdout)


def occurrences(url: str) -> list[dict[str, Any]]:
    done = run("export", env={"DATABASE_URL": url})
    return [json.loads(line) for line in done.stdout.splitlines()]


# --- what the how-to shows ---


def test_the_how_tos_commands_move_history_out_and_back(recorded: str, tmp_path: Path) -> None:
    before = occurrences(recorded)
    commands = [block.strip().splitlines()[-1] for block in blocks("bash")]
    to_folder, *_, back = [
        line for line in commands if line.startswith(("alert-history archive", "alert-history restore"))
    ]
    for line in to_folder, back:
        words = line.split()[1:]
        env = {"DATABASE_URL": recorded, "RETENTION_DAYS": "30"}
        done = run(*words, env=env, folder=tmp_path)
        assert done.returncode == 0, done.stderr.decode()
        assert len(occurrences(recorded)) == (0 if words[0] == "archive" else 9)
    assert occurrences(recorded) == before


@ON_SQLITE
def test_the_how_tos_queries_answer(recorded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive(recorded, "archive", folder=tmp_path)
    deliveries = tmp_path / "archive" / "deliveries" / "year=2026" / "month=03" / "day=04"
    deliveries.mkdir(parents=True)
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT 'ops' AS target, 'dead' AS state, 3 AS attempts) TO '{deliveries}/part-1.parquet'"
        )
        monkeypatch.chdir(tmp_path)
        noisy, pod, lasted, unreached, view = [
            connection.execute(sql).fetchall() for sql in blocks("sql", section="In DuckDB")
        ]
        assert noisy == [("Disk0", "shop", 3, 0), ("Disk1", "shop", 3, 0), ("Disk2", "shop", 3, 0)]
        assert [(row[0], row[2]) for row in pod] == [("Disk1", "fired"), ("Disk1", "resolved")]
        assert lasted == [("critical", 9, MINUTE)]
        assert (unreached, view) == ([("ops", "dead", 1, 3)], [])
        assert connection.execute("SELECT count(*) FROM alerts").fetchone() == (9,)


def test_the_how_tos_table_for_trino_has_every_column() -> None:
    """Nobody runs it here."""
    types = {
        "text": "varchar",
        "time": "timestamp(6)",
        "integer": "bigint",
        "texts": "map(varchar, varchar)",
        "json": "varchar",
    }
    (statements,) = blocks("trino")
    table = statements.partition("alerts (\n")[2].partition("\n) WITH")[0]
    columns = re.findall(r'"?(\w+)"? (map\(varchar, varchar\)|\w+(?:\(\d\))?)', table)
    expected = [(column.name, types[column.kind]) for column in ALERTS.columns]
    assert columns == [*expected, ("year", "varchar"), ("month", "varchar"), ("day", "varchar")]


def test_an_export_takes_along_what_was_archived(recorded: str, tmp_path: Path) -> None:
    before = occurrences(recorded)
    archive(recorded, tmp_path / "archive")
    record(recorded, [alert(20)], at=MARCH + timedelta(days=1))
    done = run("export", "--archive", "--query", '{pod=~"web-[0-4]|web-20"}', env={"DATABASE_URL": recorded})
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["is_archived"] for row in rows] == [True] * 5 + [False]
    wanted = [row | {"is_archived": True} for row in before if row["labels"]["pod"] <= "web-4"]
    assert sorted(rows[:5], key=_id) == sorted(wanted, key=_id)
    done = run("why", before[0]["id"], env={"DATABASE_URL": recorded})
    assert lines(done.stdout)[0] == "Nobody was notified, because it was sent to be recorded only."


@ON_SQLITE
def test_an_export_without_the_packages_says_what_to_install(recorded: str, tmp_path: Path) -> None:
    archive(recorded, tmp_path / "archive")
    (tmp_path / "duckdb.py").write_text("raise ImportError")
    path = os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])
    done = run("export", "--archive", env={"DATABASE_URL": recorded, "PYTHONPATH": path})
    assert (done.returncode, lines(done.stderr)) == (
        1,
        ["error: reading an archive needs the packages of the extra archive: pip install 'duckdb>=1.4' 'pyarrow>=22'"],
    )


def _id(row: dict[str, Any]) -> str:
    return str(row["id"])


@ON_SQLITE
def test_a_run_says_what_it_moved(recorded: str, tmp_path: Path) -> None:
    output = archive(recorded, tmp_path / "archive")
    assert output[:2] == ["alerts: 9 moved", "receipts: 2 moved"]
    assert output[2].startswith(f"11 rows moved to {tmp_path}/archive in run ")


def test_a_manifest_says_by_whom_and_what(recorded: str, tmp_path: Path) -> None:
    archive(recorded, tmp_path)
    (path,) = (tmp_path / "_manifests").iterdir()
    manifest = json.loads(path.read_text())
    assert manifest["database"] in recorded
    assert {"schema_version", "service_version", "before", "run", "finished_at"} <= manifest.keys()
    assert [(each["table"], each["rows"]) for each in manifest["files"]] == [
        ("events", 18),
        ("alerts", 9),
        ("receipts", 2),
    ]


# --- S3 ---


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with servers.s3_server() as server:
        yield server.url


@pytest.fixture
def bucket(s3: str) -> str:
    name = f"my-bucket-{uuid4().hex[:8]}"
    httpx.put(f"{s3}/{name}", trust_env=False).raise_for_status()
    return name


@ON_SQLITE
@pytest.mark.parametrize("is_in_url", [False, True])
def test_history_goes_to_s3_and_comes_back(recorded: str, s3: str, bucket: str, *, is_in_url: bool) -> None:
    before = occurrences(recorded)
    host = s3.removeprefix("http://")
    place = f"s3://{bucket}/alert-history" + (f"?endpoint_override={host}&scheme=http" if is_in_url else "")
    env = KEYS if is_in_url else {**KEYS, "AWS_ENDPOINT_URL": s3}
    output = archive(recorded, place, env=env)
    assert f"s3://{bucket}/alert-history in run" in output[-1]
    assert occurrences(recorded) == []
    assert run("restore", place, env={"DATABASE_URL": recorded, **env}).returncode == 0
    assert occurrences(recorded) == before


@ON_SQLITE
def test_the_how_tos_python_reads_s3(recorded: str, s3: str, bucket: str, capsys: pytest.CaptureFixture[str]) -> None:
    archive(recorded, f"s3://{bucket}/alert-history", env={**KEYS, "AWS_ENDPOINT_URL": s3})
    (program,) = blocks("python", section="On S3")
    program = program.replace("minio:9000", s3.removeprefix("http://")).replace("my-bucket", bucket)
    done = subprocess.run(
        [*command()[:1], "-c", program],
        env=environment(KEYS),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == ("[('critical', 9)]", "")
    assert capsys.readouterr().err == ""


@ON_SQLITE
def test_a_missing_bucket_is_told_in_a_line(recorded: str, s3: str) -> None:
    args = ["archive", "--before", "-1d", "--to", "s3://no-such-bucket/x"]
    done = run(*args, env={"DATABASE_URL": recorded, **KEYS, "AWS_ENDPOINT_URL": s3})
    assert (done.returncode, len(lines(done.stderr))) == (1, 1)
    assert b"no such bucket" in done.stderr
    assert len(occurrences(recorded)) == 9


@ON_SQLITE
def test_an_s3_server_that_is_away_is_told_in_a_line(recorded: str) -> None:
    env = {"DATABASE_URL": recorded, **KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}
    done = run("archive", "--before", "-1d", "--to", "s3://bucket/x", env=env)
    assert (done.returncode, len(lines(done.stderr))) == (1, 1)
    assert b"can't be reached" in done.stderr


# --- faults ---


@pytest.mark.parametrize(
    "args",
    [
        ["--before", "-1h", "--to", "archive"],
        ["--before", "tomorrow", "--to", "archive"],
        ["--before", "-1d", "--to", "ftp://host/x"],
        ["--before", "-1d", "--to", "s3://bucket/x?secret=s3cret"],
        ["--before", "-1d", "--to", "s3://key:s3cret@bucket/x"],
        ["--before", "-1d", "--to", "s3://[s3cret/x"],
        ["--before", "-1d"],
    ],
)
def test_wrong_usage_is_told_in_a_line_and_moves_nothing(sqlite_url: str, tmp_path: Path, args: list[str]) -> None:
    record(sqlite_url, [alert(1)])
    done = run("archive", *args, env={"DATABASE_URL": sqlite_url}, folder=tmp_path)
    assert (done.returncode, len(lines(done.stderr))) == (2, 1)
    assert b"s3cret" not in done.stderr
    assert len(occurrences(sqlite_url)) == 1


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system that has room for 8 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"file systems can't be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_loses_nothing(recorded: str, full_disk: Path) -> None:
    done = run("archive", "--before", "-1d", "--to", full_disk / "archive", env={"DATABASE_URL": recorded})
    assert (done.returncode, len(lines(done.stderr))) == (1, 1)
    assert b"No space left on device" in done.stderr
    assert len(occurrences(recorded)) == 9


@ON_SQLITE
def test_what_retention_would_drop_is_refused_by_name(recorded: str, tmp_path: Path) -> None:
    archive(recorded, tmp_path)
    done = run("restore", tmp_path, env={"DATABASE_URL": recorded, "RETENTION_DAYS": "30"})
    assert done.returncode == 2
    assert b"RETENTION_DAYS=30" in done.stderr
    assert b"--keep-days" in done.stderr
    assert occurrences(recorded) == []


def test_an_archive_that_is_none_is_told_in_a_line(sqlite_url: str, tmp_path: Path) -> None:
    record(sqlite_url)
    done = run("restore", tmp_path / "nowhere", env={"DATABASE_URL": sqlite_url})
    assert (done.returncode, len(lines(done.stderr))) == (2, 1)
    assert f"{tmp_path}/nowhere".encode() in done.stderr


def test_without_pyarrow_it_says_how_to_install_it(sqlite_url: str, tmp_path: Path) -> None:
    record(sqlite_url)
    (tmp_path / "pyarrow.py").write_text("raise ImportError")
    path = os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])
    env = {"DATABASE_URL": sqlite_url, "PYTHONPATH": path}
    done = run("archive", "--before", "-1d", "--to", tmp_path / "archive", env=env)
    assert (done.returncode, lines(done.stderr)) == (
        2,
        ["error: an archive needs the package pyarrow: pip install 'pyarrow>=22'"],
    )


# --- memory ---


def peak_mib(url: str, to: Path) -> int:
    """The most memory that archiving had at once. A small process starts it: Linux counts to a child its parent's."""
    measure = (
        "import os, sys\n"
        "pid = os.posix_spawn(sys.executable, sys.argv[1:], os.environ)\n"
        "_, status, usage = os.wait4(pid, 0)\n"
        "print(usage.ru_maxrss // 1024)\n"
        "sys.exit(os.waitstatus_to_exitcode(status))\n"
    )
    words = [sys.executable, "-S", "-c", measure, *command("archive", "--before", "-1d", "--to", to)]
    done = subprocess.run(
        words, env=environment({"DATABASE_URL": url}), capture_output=True, text=True, timeout=100, check=True
    )
    return int(done.stdout.split()[-1])


def test_memory_does_not_grow_with_the_history(tmp_path: Path) -> None:
    """Five full files against ten: what is in use at once is there by then."""
    peaks = []
    for number, many in enumerate((CHUNK_ROWS * 5, CHUNK_ROWS * 10)):
        url = f"sqlite:///{tmp_path}/{number}.db"
        record(url, *([resolved(n) for n in range(at, at + PER_RECEIPT)] for at in range(0, many, PER_RECEIPT)))
        peaks.append(peak_mib(url, tmp_path / str(number)))
        assert archived(tmp_path / str(number)) == (many, many)
    assert peaks[1] < peaks[0] + GROWTH_LIMIT_MIB, peaks


# --- killed, and beside a running service ---


def archived(folder: Path) -> tuple[int, int]:
    """Rows, and different occurrences, in the archive."""
    if not list(folder.glob("alerts/**/*.parquet")):
        return 0, 0
    with duckdb.connect() as connection:
        sql = f"SELECT count(*), count(DISTINCT (fingerprint, starts_at)) FROM '{folder}/alerts/**/*.parquet'"
        row = connection.execute(sql).fetchone()
    assert row is not None
    return row[0], row[1]


def test_killed_in_the_middle_and_run_again_all_is_there_once(database_url: str, tmp_path: Path) -> None:
    record(database_url, *([resolved(n) for n in range(at, at + PER_RECEIPT)] for at in range(0, MANY, PER_RECEIPT)))
    env = environment({"DATABASE_URL": database_url})
    words = command("archive", "--before", "-1d", "--to", tmp_path)
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_until(lambda: list(tmp_path.glob("alerts/**/*.parquet")), "a file is in place")
        process.send_signal(signal.SIGKILL)
        process.wait()
    left = len(occurrences(database_url))
    assert left > 0
    archive(database_url, tmp_path)
    assert (archived(tmp_path), occurrences(database_url)) == ((MANY, MANY), [])
    assert not list(tmp_path.rglob("*.partial"))
    assert len(list((tmp_path / "_manifests").glob("*.json"))) == 2


def test_a_running_service_goes_on_recording(database_url: str, tmp_path: Path) -> None:
    record(database_url, *([resolved(n) for n in range(at, at + PER_RECEIPT)] for at in range(0, MANY, PER_RECEIPT)))
    payload = (Path(__file__).parents[1] / "data" / "alertmanager-0.25" / "firing-group-of-three.json").read_bytes()
    env = environment({"DATABASE_URL": database_url})
    words = command("archive", "--before", "-1d", "--to", tmp_path)
    with (
        servers.service({"DATABASE_URL": database_url, "RETENTION_DAYS": "3650"}) as service,
        subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,
        httpx.Client(base_url=service.url, trust_env=False, timeout=30) as client,
    ):
        slowest, posts = timedelta(), 0
        while process.poll() is None:
            answer = client.post("/webhook", content=payload, headers={"Content-Type": "application/json"})
            assert answer.status_code == httpx.codes.OK
            slowest, posts = max(slowest, answer.elapsed), posts + 1
        assert process.returncode == 0, process.stderr and process.stderr.read()
    assert posts > 10
    assert slowest < timedelta(seconds=5)  # after which it would be answered 503
    assert archived(tmp_path) == (MANY, MANY)
    assert len(occurrences(database_url)) == 3
