"""SQLite's upkeep: small steps, nothing left of what was forgotten, a log that does not grow."""

import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from alert_history.ports import Store
from alert_history.storage import open_store
from tests.conformance.samples import DAY, NOW, SECOND, alert, receipt

STEP = 200


@pytest.fixture
async def store(sqlite_url: str) -> AsyncIterator[Store]:
    store = open_store(sqlite_url)
    await store.lifecycle.open()
    yield store
    await store.lifecycle.close()


@pytest.fixture
def path(sqlite_url: str) -> Path:
    return Path(sqlite_url.removeprefix("sqlite:///"))


def number(path: Path, sql: str) -> int:
    """The number a statement gives."""
    with closing(sqlite3.connect(path)) as file:
        return int(file.execute(sql).fetchone()[0])


def log_bytes(path: Path) -> int:
    """How long the write-ahead log has ever been."""
    return Path(f"{path}-wal").stat().st_size


async def forget(store: Store) -> list[int]:
    """Forgets everything; how much each step took."""
    steps = []
    while removed := await store.upkeep.drop_history(NOW + DAY):
        steps.append(removed)
    return steps


async def test_step_is_small_whatever_there_is_to_forget(store: Store) -> None:
    await store.recorder.commit([receipt(*(alert(f"A{n}") for n in range(1000)), body=b"")])
    assert max(await forget(store)) <= STEP + 1


async def test_terms_are_forgotten_with_their_alert(store: Store, path: Path) -> None:
    await store.recorder.commit([receipt(alert("Old", labels={"pod": "web-0"}))])
    await store.recorder.commit([receipt(alert("Young", labels={"pod": "web-1"}), at=NOW + 2 * DAY)])
    await forget(store)
    assert number(path, "SELECT count(*) FROM alert_terms WHERE alert_terms MATCH 'f* OR l*'") == 1


async def test_what_survives_is_looked_at_once_a_pass(store: Store) -> None:
    many = [alert(f"A{n}") for n in range(1000)]
    await store.recorder.commit([receipt(*many, body=b"")])
    await store.recorder.commit([receipt(*many, body=b"", at=NOW + 2 * DAY)])
    assert len(await forget(store)) <= 1000 / STEP + 1


async def test_preparing_moves_the_log_into_the_file(store: Store, path: Path, tmp_path: Path) -> None:
    await store.recorder.commit([receipt(*(alert(f"A{n}") for n in range(100)), body=b"")])
    await store.upkeep.prepare(NOW)
    alone = shutil.copy(path, tmp_path / "alone.db")
    assert number(Path(alone), "SELECT count(*) FROM alerts") == 100


async def test_log_starts_anew_while_ingest_goes_on(store: Store, path: Path) -> None:
    sizes = []
    for n in range(30):
        await store.recorder.commit([receipt(*(alert(f"A{n}-{m}") for m in range(50)), at=NOW + n * SECOND, body=b"")])
        await store.upkeep.prepare(NOW)
        sizes.append(log_bytes(path))
    growths = sum(after > before for before, after in pairwise(sizes))
    assert growths < 15
