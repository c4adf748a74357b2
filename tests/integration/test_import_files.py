"""Files that are imported by the command: an export comes back as it was, and an example to what its page says.

Holds: `cli.imports`, `origins.imports.jsonl`, `origins.imports.csv`, `origins.imports.parquet`.
"""

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from alert_history.domain.alert import Alert, AlertGroup, fingerprint
from alert_history.domain.receipt import Receipt
from alert_history.ids import new_id
from alert_history.ports import HistoryFilter, PageRequest
from alert_history.storage import open_store
from tests.commands import TIMEOUT_SECONDS, environment, run
from tests.commands import command as our_command

NOW = datetime.now(UTC).replace(microsecond=0)
MINUTE = timedelta(minutes=1)
HOSTILE = [
    "=1+1",
    "'=1",
    '"',
    "a,b;c\td",
    "a\r\nb",
    "\r",
    "\u2028",
    "\U0001f4a5",
    "{}",
    "null",
    "' OR 1=1 --",
    "x" * 900,
]
OF_THE_DATABASE = {"id", "timestamp", "imported_at", "import_id"}
OF_THE_SENDERS = {"last_received_at", "confirmed_at"}
"""What an import knows of open occurrences alone."""
PAGE = (Path(__file__).parents[2] / "docs/how-to/import-files.md").read_text()

pytestmark = [pytest.mark.migrated, pytest.mark.long]


def alert(text: str, *, began: int, ended: int | None = None) -> Alert:
    labels = {"alertname": text, "namespace": text, text[:20]: text}
    starts_at, ends_at = NOW - began * MINUTE, None if ended is None else NOW - ended * MINUTE
    details = {"values": {"A": text}}
    return Alert(
        fingerprint(labels),
        "firing" if ends_at is None else "resolved",
        labels,
        {"summary": text, text: ""},
        starts_at,
        ends_at,
        generator_url=text,
        details=details,
    )


def receipt(alerts: Sequence[Alert], *, ago: int, receiver: str) -> Receipt:
    at = NOW - ago * MINUTE
    group = AlertGroup("grafana", receiver, "{}", "http://grafana", list(alerts))
    return Receipt(new_id(at), at, "/webhook", False, group, b"", bytes(32))


async def record(url: str) -> None:
    """Alerts of each text that fire and end, are repeated, end unheard, or fire still."""
    store = open_store(url)
    await store.lifecycle.open()
    await store.upkeep.prepare(NOW)
    over, still, unheard = HOSTILE[:5], HOSTILE[5:9], HOSTILE[9:]
    fire = [alert(text, began=50) for text in [*over, *still]]
    end = [alert(text, began=50, ended=20) for text in over] + [alert(text, began=40, ended=20) for text in unheard]
    for alerts, ago in ((fire, 49), (fire, 39), (end, 19)):
        await store.recorder.commit([receipt(alerts, ago=ago, receiver="=team\r")])
    await store.lifecycle.close()


def command(url: str, *args: str | Path) -> bytes:
    done = run(*args, env={"DATABASE_URL": url, "RETENTION_DAYS": "365"})
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def exported(url: str) -> list[dict[str, Any]]:
    """The history, but for what a database gives to it, in one order."""
    rows = [json.loads(line) for line in command(url, "export").splitlines()]
    return sorted(map(_comparable, rows), key=lambda row: (row["fingerprint"], row["starts_at"]))


def _comparable(row: dict[str, Any]) -> dict[str, Any]:
    left_out = OF_THE_DATABASE if row["status"] == "firing" else OF_THE_DATABASE | OF_THE_SENDERS
    return {name: value for name, value in row.items() if name not in left_out}


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a database with a past."""
    url = f"sqlite:///{tmp_path_factory.mktemp('history')}/history.db"
    command(url, "migrate")
    asyncio.run(record(url))
    return url


@pytest.fixture(scope="module")
def before(history: str) -> list[dict[str, Any]]:
    """That past."""
    rows = exported(history)
    assert len(rows) == len(HOSTILE)
    return rows


@pytest.mark.parametrize("format_", ["jsonl", "csv", "parquet"])
def test_an_export_makes_the_same_history_elsewhere_and_once(
    format_: str, history: str, before: list[dict[str, Any]], database_url: str, tmp_path: Path
) -> None:
    path = tmp_path / f"history.{format_}"
    command(history, "export", "-o", path)
    command(database_url, "import", format_, path)
    summary = command(database_url, "import", format_, path).decode()
    assert "\n- 0 taken as new occurrences\n" in summary
    assert f"\n- {len(HOSTILE)} joined with what is there\n" in summary
    assert exported(database_url) == before


MANY = 4_000


def many_rows() -> Iterator[str]:
    """Two thousand label sets, each of which fires twice."""
    for number in range(MANY):
        starts_at = NOW - timedelta(days=30) + number * MINUTE
        row = {"alertname": f"Rule{number % 7}", "label.pod": f"web-{number % (MANY // 2)}"}
        yield json.dumps({**row, "starts_at": starts_at.isoformat(), "ends_at": (starts_at + 5 * MINUTE).isoformat()})


async def wait_for_rows(url: str) -> None:
    store = open_store(url)
    await store.lifecycle.open()
    try:
        while not (await store.history.page(HistoryFilter(), PageRequest(limit=1))).alerts:
            await asyncio.sleep(0.01)
    finally:
        await store.lifecycle.close()


def test_an_import_that_is_killed_leaves_nothing_that_the_next_one_does_not_mend(
    database_url: str, tmp_path: Path
) -> None:
    path, again = tmp_path / "rows.jsonl", tmp_path / "again.jsonl"
    path.write_text("\n".join(many_rows()))
    again.write_bytes(path.read_bytes())  # by its own name it is busy for a minute
    env = environment({"DATABASE_URL": database_url})
    with subprocess.Popen(our_command("import", "jsonl", path), env=env, stdout=subprocess.DEVNULL) as process:
        asyncio.run(asyncio.wait_for(wait_for_rows(database_url), TIMEOUT_SECONDS))
        process.kill()
    left = len(exported(database_url))
    assert 0 < left < MANY
    summary = command(database_url, "import", "jsonl", again).decode()
    assert f"\n- {MANY - left:,} taken as new occurrences\n- {left:,} joined with what is there\n" in summary
    spans = sorted((row["labels"]["pod"], row["starts_at"], row["ends_at"]) for row in exported(database_url))
    rows = map(json.loads, path.read_text().splitlines())
    assert spans == sorted(
        (row["label.pod"], _as_exported(row["starts_at"]), _as_exported(row["ends_at"])) for row in rows
    )


def _as_exported(time: str) -> str:
    return time.replace("+00:00", "Z")


def test_the_example_of_the_page_is_taken_by_its_own_command(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (table,) = re.findall(r"^```csv\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (words,) = re.findall(r"^`alert-history (import .*?)` takes", PAGE, re.MULTILINE)
    (tmp_path / "incidents.csv").write_text(table)
    monkeypatch.chdir(tmp_path)
    summary = command(sqlite_url, *words.split(), "--keep-days", "1000").decode()
    assert "\n- 3 taken as new occurrences\n" in summary
    assert "\n- 1 refused, and kept in the quarantine" in summary
    assert {row["source"] for row in exported(sqlite_url)} == {"csv"}
