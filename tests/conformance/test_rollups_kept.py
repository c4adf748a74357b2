"""What becomes of the numbers when their occurrences go, and come back.

Holds: `storage.shared.dropped`, `storage.shared.restored`, `storage.shared.counting_anew`.
"""

from collections.abc import AsyncIterator, Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from alert_history.ports import Store
from alert_history.storage import open_store
from alert_history.storage.shared.shelf import FolderShelf
from tests.conformance import raw
from tests.conformance.archives import LATER, LIMIT, archive, over, publish, record_old, restore
from tests.conformance.samples import MINUTE, NOW, alert, everything, receipt
from tests.numbers import check_sums, fold_all, numbers_of
from tests.servers import PostgresServer

EPOCH = date(1970, 1, 1)
TODAY, LATER_DAY = (NOW.date() - EPOCH).days, (LATER.date() - EPOCH).days
LASTING = alert("Lasting")


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, prepared_postgres: str) -> Iterator[str]:
    """A copy of one's own, because partitions are made and dropped here."""
    url = postgres_server.create_database(template=prepared_postgres.rpartition("/")[2])
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
async def aged(store: Store) -> Store:
    """A store that has been running from NOW until LATER. `Old` is to be forgotten then, `Lasting` is not."""
    old = alert("Old")
    await store.recorder.commit([receipt(old, LASTING)])
    await store.recorder.commit([receipt(over(old), at=NOW + MINUTE)])
    await fold_all(store)
    await store.upkeep.prepare(LATER)
    await store.recorder.commit([receipt(LASTING, alert("Young", starts_at=LATER - MINUTE), at=LATER)])
    return store


@pytest.fixture
async def recorded(database_url: str) -> AsyncIterator[Store]:
    """Two days of old history, delivered, and a young alert; see `archives`."""
    store = open_store(database_url, router=publish)
    await store.lifecycle.open()
    await record_old(store)
    await fold_all(store)
    yield store
    await store.lifecycle.close()


async def drop_old(store: Store) -> None:
    while await store.upkeep.drop_history(LIMIT):
        pass


async def count_anew(store: Store) -> int:
    return await store.rollups.count_anew(progress=lambda _: None)


async def begun(store: Store) -> dict[tuple[int, str], int]:
    return {place: tally.begun for place, tally in (await numbers_of(store))["alertname"].items() if tally.begun}


async def test_numbers_stay_when_history_is_dropped(aged: Store) -> None:
    before = await numbers_of(aged)
    await drop_old(aged)
    assert {each.alertname for each in await everything(aged)} == {"Lasting", "Young"}
    assert await numbers_of(aged) == before
    await check_sums(aged)


async def test_new_count_keeps_the_days_before_and_counts_the_later(aged: Store, database_url: str) -> None:
    await fold_all(aged)
    await drop_old(aged)
    await raw.fetch(database_url, f"DELETE FROM rollups WHERE day = {LATER_DAY}")
    assert await count_anew(aged) == 2
    assert await begun(aged) == {(TODAY, "Old"): 1, (TODAY, "Lasting"): 1, (LATER_DAY, "Young"): 1}
    assert (await aged.rollup_checks.size()).whole_from == LIMIT.date() + timedelta(days=3)


async def test_new_count_loses_no_change_of_the_days_that_it_keeps(aged: Store) -> None:
    await drop_old(aged)
    await aged.recorder.commit([receipt(over(LASTING), at=LATER + MINUTE)])
    before = await numbers_of(aged)
    await count_anew(aged)
    assert await numbers_of(aged) == before
    assert before["alertname"][TODAY, "Lasting"].ended == 1


async def test_first_count_takes_all_that_is_there(aged: Store, database_url: str) -> None:
    """Also where retention came first: nothing was counted that could stay."""
    await drop_old(aged)
    await raw.fetch(database_url, "DELETE FROM rollups")
    await raw.fetch(database_url, "DELETE FROM rollup_log")
    await raw.fetch(database_url, "DELETE FROM settings WHERE name = 'rollups'")
    await count_anew(aged)
    assert await begun(aged) == {(TODAY, "Lasting"): 1, (LATER_DAY, "Young"): 1}


async def test_numbers_are_forgotten_by_days(aged: Store) -> None:
    await fold_all(aged)
    await aged.rollups.forget(LATER.date())
    assert {day for day, _ in await begun(aged)} == {LATER_DAY}
    assert (await aged.rollup_checks.size()).first_day == LATER.date()
    await aged.rollups.count_anew(progress=lambda _: None)
    assert {day for day, _ in await begun(aged)} == {TODAY, LATER_DAY}, "their occurrences are still there"


async def test_numbers_stay_when_history_is_archived_and_when_it_comes_back(recorded: Store, tmp_path: Path) -> None:
    store = recorded
    before = await numbers_of(store)
    await archive(store, FolderShelf(tmp_path / "archive"))
    assert await numbers_of(store) == before
    await check_sums(store)
    for _ in range(2):
        await restore(store, FolderShelf(tmp_path / "archive"))
        assert await numbers_of(store) == before
    await check_sums(store)


async def test_what_comes_back_into_another_database_is_counted_there(
    recorded: Store, tmp_path: Path, database_url: str, sqlite_url: str, postgres_url: str
) -> None:
    before = await numbers_of(recorded)
    await archive(recorded, FolderShelf(tmp_path / "archive"))
    other = open_store(postgres_url if database_url == sqlite_url else sqlite_url)
    await other.lifecycle.open()
    for _ in range(2):
        await restore(other, FolderShelf(tmp_path / "archive"))
    numbers = await numbers_of(other)
    await check_sums(other)
    await other.lifecycle.close()
    del before["alertname"][LATER_DAY, "Young"]
    assert numbers["alertname"] == before["alertname"]
    assert numbers["delivered"] == before["delivered"]


async def test_drop_of_a_step_and_its_note_are_one(aged: Store) -> None:
    """A process that dies between two steps has noted what it dropped."""
    await aged.upkeep.drop_history(LIMIT)
    assert (await aged.rollup_checks.size()).whole_from is not None
