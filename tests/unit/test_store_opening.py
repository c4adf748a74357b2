"""A store's first steps: nothing is written before the schema is there, and a database that is away is tried again."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest

from alert_history.domain.receipt import Outcome, Receipt
from alert_history.engine import store_opening as engine
from alert_history.engine.store_opening import Opening
from alert_history.errors import StorageUnavailable
from alert_history.ports import Store

pytestmark = pytest.mark.timeout(20)

_NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Database:
    """What an opening asks of a store: it opens once `gate` is open, unless it is away, and counts what is done."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.is_away = False
        self.has_room = True
        self.opened = 0
        self.commits = 0

    async def open(self) -> None:
        await self.gate.wait()
        if self.is_away:
            raise StorageUnavailable("database: nobody answers")
        self.opened += 1

    async def prepare(self, _: datetime) -> None:
        if not self.has_room:
            raise StorageUnavailable("database: permission denied")

    async def commit(self, _: Sequence[Receipt]) -> list[Outcome]:
        self.commits += 1
        return []


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
async def opening(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Opening]:
    """One that tries, over and over."""
    monkeypatch.setattr(engine, "_RETRY_SECONDS", 0.01)
    store = cast(Store, SimpleNamespace(lifecycle=database, upkeep=database, recorder=database))
    made = Opening(store, database="postgresql://db", clock=lambda: _NOW)
    running = asyncio.create_task(made.run())
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_commit_waits_for_the_schema(database: Database, opening: Opening) -> None:
    committing = asyncio.create_task(opening.commit([]))
    done, _ = await asyncio.wait([committing], timeout=0.05)
    assert (done, database.commits) == (set(), 0)
    database.gate.set()
    await committing
    assert (database.opened, database.commits) == (1, 1)


async def test_commit_says_at_once_why_the_database_could_not_be_opened(database: Database, opening: Opening) -> None:
    database.is_away = True
    database.gate.set()
    with pytest.raises(StorageUnavailable, match="nobody answers"):
        await opening.commit([])
    assert database.commits == 0


async def test_a_database_that_was_away_is_opened_when_it_is_back(database: Database, opening: Opening) -> None:
    database.is_away = True
    database.gate.set()
    with pytest.raises(StorageUnavailable):
        await opening.commit([])
    database.is_away = False
    await opening.is_open.wait()
    await opening.commit([])
    assert (database.opened, database.commits) == (1, 1)


async def test_alerts_are_kept_where_the_schema_is_there_but_no_room_can_be_made(
    database: Database, opening: Opening
) -> None:
    database.has_room = False
    database.gate.set()
    await opening.commit([])
    assert (database.commits, opening.is_open.is_set()) == (1, False)
