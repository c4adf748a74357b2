"""The earlier service's tables, in real databases of both kinds and in each form that it gave them.

Holds: `origins.imports.legacy`, `origins.imports.legacy_rows`, `origins.imports.postgres`, `origins.imports.sqlite`.
"""

import asyncio
import json
import signal
import sqlite3
import tracemalloc
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import asyncpg
import msgspec
import pytest

from alert_history.domain.microseconds import duration_us
from alert_history.errors import ConfigurationError, ImportFault, OriginUnavailable
from alert_history.origins.imports.registry import find_origin
from alert_history.ports.past_origins import ImportRequest
from alert_history.storage import is_sqlite
from tests.commands import command, environment, run
from tests.conformance import raw
from tests.processes import HOST, free_port
from tests.reading_past import NOW, at, read_past

LEGACY = find_origin("legacy")
DATA = Path(__file__).parents[1] / "data"
SENT = [
    f"alertmanager-0.25/{name}.json"
    for name in (
        "firing-group-of-three",
        "firing-two-instances",
        "firing-unicode-and-markup",
        "partly-resolved",
        "repeat-after-partial-resolve",
        "resolved",
    )
]
DISK = {"alertname": "DiskFull", "instance": "db-1:9100", "namespace": "prod", "severity": "critical"}
HALF_US = duration_us(timedelta(minutes=30))
PODS = {"alertname": "PodsDown", "namespace": "満"}
ZERO = "0001-01-01T00:00:00Z"

CHANGES = """id {serial}, alertname TEXT, fingerprint TEXT, status TEXT, labels TEXT, "startsAt" TEXT, "endsAt" TEXT,
    "updatedAt" TEXT, raw_json TEXT, namespace TEXT"""
FIRINGS = """id {serial}, fingerprint TEXT, alertname TEXT, status TEXT, labels TEXT, annotations TEXT, starts_at TEXT,
    ends_at TEXT, generator_url TEXT, received_at TEXT"""
ALERTS_OF_POSTGRES = """id {serial}, fingerprint VARCHAR(64), alert_name VARCHAR(255), namespace VARCHAR(255),
    status VARCHAR(20), labels JSONB, annotations JSONB, starts_at TIMESTAMPTZ, ends_at TIMESTAMPTZ, generator_url TEXT,
    timestamp TIMESTAMPTZ, created_at TIMESTAMPTZ, updated_at TIMESTAMPTZ"""
ALERTS_IN_MILLISECONDS = """fingerprint TEXT PRIMARY KEY, status TEXT, severity TEXT, namespace TEXT, alert_name TEXT,
    labels TEXT, annotations TEXT, starts_at INTEGER, ends_at INTEGER, generator_url TEXT, created_at INTEGER,
    updated_at INTEGER"""


async def fill(url: str, table: str, columns: str, rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Make the table with these rows; what an import is given to read it."""
    serial = "INTEGER PRIMARY KEY AUTOINCREMENT" if is_sqlite(url) else "BIGSERIAL PRIMARY KEY"
    create = f"CREATE TABLE {table} ({columns.format(serial=serial)})"
    inserts = [(", ".join(f'"{name}"' for name in row), list(row.values())) for row in rows]
    if is_sqlite(url):
        path = url.removeprefix("sqlite:///")
        with sqlite3.connect(path) as file:
            file.execute(create)
            for names, values in inserts:
                file.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(values))})", values)
        file.close()
        return {"file": path}
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(create)
        for names, values in inserts:
            marks = ", ".join(f"${number + 1}" for number in range(len(values)))
            await connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", *values)
    finally:
        await connection.close()
    return {"database": url}


def change(labels: dict[str, str], status: str, *, starts: str, ends: str = ZERO, **more: Any) -> dict[str, Any]:
    """A row of `alert_history`, as one webhook told it."""
    alert = {"labels": labels, "annotations": {"summary": "full"}, "generatorURL": "http://prometheus/g"}
    return {
        "alertname": labels["alertname"],
        "status": status,
        "labels": json.dumps(labels),
        "startsAt": starts,
        "endsAt": ends,
        "updatedAt": "2026-02-14T10:00:30.5",
        "raw_json": json.dumps(alert),
        **more,
    }


async def test_changes_of_one_firing_become_one_firing(database_url: str) -> None:
    rows = [
        change(DISK, "firing", starts="2026-02-14T10:00:00.123456789Z"),
        change(DISK, "resolved", starts="2026-02-14T10:00:00.123456789Z", ends="2026-02-14T10:20:00+01:00"),
        change(DISK, "resolved", starts="2026-02-14T10:00:00.123456789Z", ends="2026-02-14T10:20:00Z"),
        change(DISK, "firing", starts="2026-02-15T10:00:00Z"),
    ]
    past = await read_past(LEGACY, await fill(database_url, "alert_history", CHANGES, rows))
    begun, ended, again = past.of("DiskFull")
    assert begun.labels == ended.labels == DISK
    assert begun.starts_at == ended.starts_at == at("14 10:00:00.123456")
    assert (begun.ends_at, ended.ends_at, again.ends_at) == (None, at("14 10:20:00"), None)
    assert begun.last_sign_us <= ended.last_sign_us  # so that its end is what the core takes
    assert begun.annotations == {"summary": "full"}
    assert begun.generator_url == "http://prometheus/g"
    assert [row.place for row in past.refused] == ["alert_history, id 2"]  # its end lies before its start
    assert past.done[-1] == 1


async def test_what_the_earlier_service_kept_is_what_alertmanager_had_sent(database_url: str) -> None:
    """Its table as it wrote it, at its commit c527e49, when it was sent what a real Alertmanager 0.25 had sent."""
    rows = msgspec.json.decode(read_bytes(DATA / "alert-history-2025-06" / "rows.json"))
    past = await read_past(LEGACY, await fill(database_url, "alert_history", CHANGES, rows), now=datetime.now(UTC))
    sent = [alert for name in SENT for alert in msgspec.json.decode(read_bytes(DATA / name))["alerts"]]
    alerts = {(alert["fingerprint"], alert["startsAt"], alert["endsAt"]): alert for alert in sent}
    assert len(past.firings) == len(alerts) > 5
    for alert in alerts.values():
        ends_at = None if alert["endsAt"] == ZERO else at(alert["endsAt"])
        (firing,) = [
            each
            for each in past.firings
            if (each.fingerprint, each.starts_at, each.ends_at)
            == (alert["fingerprint"], at(alert["startsAt"]), ends_at)
        ]
        assert (firing.labels, firing.annotations) == (alert["labels"], alert["annotations"])
        assert firing.generator_url == alert["generatorURL"]
    assert past.refused == []


def read_bytes(path: Path) -> bytes:
    return path.read_bytes()


async def test_one_row_a_firing_keeps_its_texts_and_when_it_was_last_heard_of(database_url: str) -> None:
    rows = [
        {
            "alertname": "PodsDown",
            "status": "firing",
            "labels": json.dumps(PODS),
            "annotations": json.dumps({"description": "<b>満</b>"}),
            "starts_at": "2026-02-14T10:00:00+00:00",
            "generator_url": "http://prometheus/pods",
            "received_at": "2026-02-14 11:00:00",
        },
        {
            "alertname": "Bare",
            "status": "resolved",
            "starts_at": "2026-02-14T09:00:00",
            "received_at": "2026-02-14 09:30:00",
        },
    ]
    past = await read_past(LEGACY, await fill(database_url, "alerts", FIRINGS, rows))
    (pods,), (bare,) = past.of("PodsDown"), past.of("Bare")
    assert (pods.labels, pods.annotations) == (PODS, {"description": "<b>満</b>"})
    assert (pods.ends_at, pods.last_seen_at) == (None, at("14 11:00:00"))
    assert (pods.generator_url, pods.place) == ("http://prometheus/pods", "alerts, id 1")
    assert bare.labels == {"alertname": "Bare"}
    assert (bare.starts_at, bare.ends_at) == (at("14 09:00:00"), at("14 09:30:00"))


async def test_a_bad_row_is_refused_by_its_id_and_its_neighbours_go_on(database_url: str) -> None:
    good = {"labels": json.dumps(PODS), "status": "firing", "starts_at": "2026-02-14T10:00:00Z"}
    bad: list[dict[str, str | None]] = [
        {"starts_at": "soon"},
        {"starts_at": None},
        {"status": "unknown"},
        {"labels": "{no json"},
        {"labels": '["a"]'},
        {"labels": '{"a": {"b": 1}}'},
        {"labels": "{}"},
        {"annotations": '{"a": 1}'},
        {"status": "resolved", "ends_at": "2026-02-14T09:00:00Z"},
    ]
    past = await read_past(
        LEGACY, await fill(database_url, "alerts", FIRINGS, [good, *({**good, **fault} for fault in bad), good])
    )
    assert [firing.place for firing in past.firings] == ["alerts, id 1", f"alerts, id {len(bad) + 2}"]
    assert [row.place for row in past.refused] == [f"alerts, id {number + 2}" for number in range(len(bad))]
    assert past.refused[0].reason == "'soon' is no time"
    assert json.loads(past.refused[0].raw)["starts_at"] == "soon"


async def test_rows_of_its_postgres_form_are_read_by_its_own_types(postgres_url: str) -> None:
    row = {
        "alert_name": "DiskFull",
        "status": "resolved",
        "labels": json.dumps(DISK),
        "annotations": json.dumps({"summary": "full"}),
        "starts_at": at("14 10:00:00.250"),
        "ends_at": at("14 10:30:00"),
    }
    endless = {**row, "status": "firing", "ends_at": None, "updated_at": at("14 12:00:00")}
    connection = await asyncpg.connect(postgres_url)
    given = await fill(postgres_url, "alerts", ALERTS_OF_POSTGRES, [row, endless])
    await connection.execute(
        "INSERT INTO alerts (status, labels, starts_at) VALUES ('firing', '{\"a\": \"b\"}', 'infinity')"
    )
    await connection.close()
    past = await read_past(LEGACY, given)
    assert [(f.starts_at, f.ends_at, f.last_seen_at) for f in past.firings] == [
        (at("14 10:00:00.250"), at("14 10:30:00"), None),
        (at("14 10:00:00.250"), None, at("14 12:00:00")),
    ]
    assert [(row.place, row.reason) for row in past.refused] == [("alerts, id 3", "'infinity' is no time")]


async def test_times_in_milliseconds_and_columns_of_its_last_form_are_read(sqlite_url: str) -> None:
    start = int(at("14 10:00:00.250").timestamp() * 1000)
    row = {
        "fingerprint": "f",
        "status": "firing",
        "severity": "critical",
        "namespace": "prod",
        "alert_name": "DiskFull",
    }
    rows = [{**row, "labels": "{}", "annotations": "{}", "starts_at": start, "updated_at": start + 60_000}]
    past = await read_past(LEGACY, await fill(sqlite_url, "alerts", ALERTS_IN_MILLISECONDS, rows))
    (firing,) = past.firings
    assert firing.labels == {"alertname": "DiskFull", "namespace": "prod", "severity": "critical"}
    assert (firing.starts_at, firing.last_seen_at) == (at("14 10:00:00.250"), at("14 10:01:00.250"))


async def test_both_tables_are_read_and_only_the_span_that_is_asked_for(database_url: str) -> None:
    old = change(PODS, "firing", starts="2026-02-13T10:00:00Z")
    new = {"labels": json.dumps(DISK), "status": "firing", "starts_at": "2026-02-14T10:00:00Z"}
    await fill(database_url, "alert_history", CHANGES, [old])
    given = await fill(database_url, "alerts", FIRINGS, [new])
    assert {firing.labels["alertname"] for firing in (await read_past(LEGACY, given)).firings} == {
        "DiskFull",
        "PodsDown",
    }
    late = await read_past(LEGACY, given, start=at("14 00:00:00"))
    early = await read_past(LEGACY, given, end=at("14 10:00:00"))
    assert [firing.labels for firing in late.firings] == [DISK]
    assert [firing.labels for firing in early.firings] == [PODS]


async def test_nothing_is_written_to_the_file_that_is_read(sqlite_url: str) -> None:
    given = await fill(sqlite_url, "alert_history", CHANGES, [change(DISK, "firing", starts="2026-02-14T10:00:00Z")])
    before = state_of(Path(given["file"]))
    await read_past(LEGACY, given)
    assert state_of(Path(given["file"])) == before


def state_of(path: Path) -> tuple[bytes, list[str]]:
    """What a file holds, and what lies beside it."""
    return path.read_bytes(), [each.name for each in path.parent.iterdir()]


async def test_text_that_is_none_is_refused_and_not_altered(sqlite_url: str) -> None:
    given = await fill(sqlite_url, "alerts", FIRINGS, [])
    with sqlite3.connect(given["file"]) as file:
        insert = "INSERT INTO alerts (status, starts_at, labels) VALUES ('firing', 1771063200, CAST(? AS TEXT))"
        file.execute(insert, (b'{"alertname": "A\xff"}',))
        file.execute(insert, (b'{"alertname": "B"}',))
    file.close()
    past = await read_past(LEGACY, given)
    assert [firing.labels for firing in past.firings] == [{"alertname": "B"}]
    assert [row.place for row in past.refused] == ["alerts, id 1"]
    assert b"\\xff" in past.refused[0].raw


@pytest.mark.migrated
async def test_our_own_database_is_not_taken_for_the_earlier_one(database_url: str) -> None:
    given = {"file": database_url.removeprefix("sqlite:///")} if is_sqlite(database_url) else {"database": database_url}
    with pytest.raises(ConfigurationError, match="of this service itself"):
        await read_past(LEGACY, given)


async def test_what_can_not_be_read_says_what_and_no_password(tmp_path: Path, postgres_url: str) -> None:
    no_database = tmp_path / "notes.txt"
    no_database.write_text("no database at all, but quite some text " * 100)
    empty = tmp_path / "empty.db"
    empty.touch()
    closed = f"postgresql://u:s3cr3t@{HOST}:{free_port()}/db"
    for given, error, words in (
        ({}, ConfigurationError, "either"),
        ({"file": "a", "database": "b"}, ConfigurationError, "either"),
        ({"file": str(tmp_path / "none.db")}, ConfigurationError, "no such file"),
        ({"file": str(no_database)}, ImportFault, "notes.txt: file is not a database"),
        ({"file": str(empty)}, ImportFault, "no table of the earlier service"),
        ({"database": postgres_url}, ImportFault, "no table of the earlier service"),
        ({"database": "mysql://u:s3cr3t@host/db"}, ConfigurationError, "--database"),
        ({"database": closed}, OriginUnavailable, "127.0.0.1"),
    ):
        with pytest.raises(error, match=words) as caught:
            await read_past(LEGACY, given)
        assert "s3cr3t" not in str(caught.value)


async def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    peaks = []
    for number in (2_000, 6_000):
        url = f"sqlite:///{tmp_path / f'{number}.db'}"
        rows = [change(DISK, "firing", starts="2026-02-14T10:00:00Z")] * number
        given = await fill(url, "alert_history", CHANGES, rows)
        tracemalloc.start()
        read = 0
        async for batch in LEGACY.read(ImportRequest({name: (value,) for name, value in given.items()}, NOW)):
            read += len(batch.firings)
            del batch
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert read == number
    assert peaks[1] < 1.5 * peaks[0], peaks


@pytest.mark.migrated
async def test_an_import_that_was_killed_and_run_again_leaves_the_same(sqlite_url: str, tmp_path: Path) -> None:
    starts = [f"2026-02-{day:02}T{hour:02}:00:00Z" for day in range(1, 29) for hour in range(24)]
    rows = [change({**DISK, "pod": f"p-{pod}"}, "firing", starts=each) for each in starts for pod in range(3)]
    ends = [{**row, "status": "resolved", "endsAt": row["startsAt"].replace(":00:00Z", ":30:00Z")} for row in rows]
    path = (await fill(f"sqlite:///{tmp_path / 'earlier.db'}", "alert_history", CHANGES, [*rows, *ends]))["file"]
    env = {"DATABASE_URL": sqlite_url, "RETENTION_DAYS": "36500"}
    words = ("import", "legacy", path)
    process = await asyncio.create_subprocess_exec(
        *command(*words), env=environment(env), stdout=DEVNULL, stderr=DEVNULL
    )
    while not (begun := await raw.count(sqlite_url, "alerts")):
        await asyncio.sleep(0.01)  # until it has begun to write
    process.kill()
    assert await process.wait() == -signal.SIGKILL
    assert begun < len(rows)
    await raw.fetch(sqlite_url, "UPDATE imports SET beat_at = NULL")  # as a minute later
    for _ in range(2):
        done = await asyncio.to_thread(run, *words, env=env)
        assert done.returncode == 0, done.stderr
        kept = await raw.fetch(
            sqlite_url, "SELECT starts_at, ends_at, status FROM alerts ORDER BY fingerprint, starts_at"
        )
        assert len(kept) == len(rows)
        assert {(ends - starts, status) for starts, ends, status in kept} == {(HALF_US, "resolved")}
