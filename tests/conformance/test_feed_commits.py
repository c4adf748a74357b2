"""The feed follows the order of commits: whatever commits late, is rolled back, or is killed meanwhile.

Holds: `storage.shared.feed`.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from random import Random

import asyncpg
import pytest

from alert_history.domain.news import News, written_news
from alert_history.ports import Store
from alert_history.storage import open_store
from tests.conformance.samples import MINUTE, NOW, alert, receipt
from tests.conformance.test_feed import whole_feed

_ADD = "INSERT INTO news_log (number, news) VALUES ($1, $2)"


@pytest.fixture
async def postgres_stores(postgres_url: str) -> AsyncIterator[list[Store]]:
    """Two replicas on PostgreSQL, which alone has transactions side by side."""
    stores = [open_store(postgres_url) for _ in range(2)]
    for store in stores:
        await store.lifecycle.open()
    yield stores
    for store in stores:
        await store.lifecycle.close()


class Writer:
    """A transaction on PostgreSQL that is open for as long as a test likes."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._transaction = connection.transaction()

    async def begin(self, *names: str) -> None:
        await self._transaction.start()
        news = [News(name, 0, "fired", 0) for name in names]
        await self._connection.execute(_ADD, len(news), written_news(news))

    async def commit(self) -> None:
        await self._transaction.commit()

    async def roll_back(self) -> None:
        await self._transaction.rollback()


class Reader:
    """One who reads the feed as it grows."""

    def __init__(self, *stores: Store) -> None:
        self._stores = stores
        self.names: list[str] = []
        self.after = 0

    async def read(self, *, replica: int = 0, most: int = 1000) -> list[str]:
        news = await self._stores[replica].feed.after(self.after, most=most)
        assert [each.number for each in news] == list(range(self.after + 1, self.after + len(news) + 1))
        self.after += len(news)
        self.names += [each.news.fingerprint for each in news]
        return [each.news.fingerprint for each in news]


async def test_late_commit_is_neither_skipped_nor_doubled(postgres_url: str, postgres_stores: list[Store]) -> None:
    first, second = [await asyncpg.connect(postgres_url) for _ in range(2)]
    reader = Reader(*postgres_stores)
    late, early = Writer(first), Writer(second)
    await late.begin("late")
    await early.begin("early 1", "early 2")
    await early.commit()
    await postgres_stores[0].feed.number()
    assert await reader.read() == ["early 1", "early 2"]
    await late.commit()
    await postgres_stores[0].feed.number()
    assert await reader.read() == ["late"]
    assert await reader.read() == []
    await first.close()
    await second.close()


async def test_long_transaction_elsewhere_holds_nothing_up(postgres_url: str, postgres_stores: list[Store]) -> None:
    connection = await asyncpg.connect(postgres_url)
    async with connection.transaction():
        await connection.execute("INSERT INTO settings (name, value, updated_at) VALUES ('long', '1', now())")
        await postgres_stores[0].recorder.commit([receipt(alert("A"))])
        await postgres_stores[0].feed.number()
        assert len(await postgres_stores[0].feed.after(0, most=10)) == 1
    await connection.close()


@pytest.mark.parametrize("seed", range(12))
async def test_any_interleaving_tells_all_that_was_committed_once_and_in_order(
    seed: int, postgres_url: str, postgres_stores: list[Store]
) -> None:
    """Transactions begin, commit and are rolled back in any order, while two replicas number and two readers read."""
    random = Random(seed)
    connections = [await asyncpg.connect(postgres_url) for _ in range(4)]
    readers = [Reader(*postgres_stores), Reader(*postgres_stores)]
    idle, open_writers = list(connections), list[tuple[asyncpg.Connection, Writer, str]]()
    committed: dict[str, int] = {}
    moment = 0
    for step in range(150):
        choice = random.random()
        if choice < 0.35 and idle:
            connection, name = idle.pop(), f"t{step}"
            writer = Writer(connection)
            await writer.begin(*[name] * random.randrange(1, 4))
            open_writers.append((connection, writer, name))
        elif choice < 0.65 and open_writers:
            connection, writer, name = open_writers.pop(random.randrange(len(open_writers)))
            idle.append(connection)
            if random.random() < 0.2:
                await writer.roll_back()
            else:
                await writer.commit()
                committed[name] = moment
        elif choice < 0.8:
            await asyncio.gather(*(replica.feed.number() for replica in postgres_stores))
            moment += 1
        else:
            await random.choice(readers).read(replica=random.randrange(2), most=random.randrange(1, 9))
    for _, writer, name in open_writers:
        await writer.commit()
        committed[name] = moment
    feed = [each.news.fingerprint for each in await whole_feed(postgres_stores[0])]
    assert set(feed) == set(committed)
    order = list(dict.fromkeys(feed))
    assert [committed[name] for name in order] == sorted(committed.values())
    for reader in readers:
        while await reader.read(most=7):
            pass
        assert reader.names == feed
    for connection in connections:
        await connection.close()


async def test_killed_while_it_numbers_each_thing_gets_one_number(store: Store, database_url: str) -> None:
    random = Random(11)
    minute = 0
    reader = Reader(store)
    for _ in range(6):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.conformance.numbering", database_url, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        for _ in range(random.randrange(1, 25)):
            minute += 1
            at = NOW + minute * MINUTE
            await store.recorder.commit([receipt(alert(f"A{minute}", starts_at=at), at=at)])
            await reader.read()
            await asyncio.sleep(random.random() * 0.01)
        process.kill()
        await process.wait()
    while await store.feed.number():
        pass
    await reader.read()
    assert len(reader.names) == len(set(reader.names)) == minute
