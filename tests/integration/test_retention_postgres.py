"""PostgreSQL's partitions: they are there before they are needed, hold what belongs to them, and go without a stall."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from time import perf_counter

import asyncpg
import pytest

from alert_history.ports import HistoryFilter, PageRequest, Store
from alert_history.storage import open_store
from tests.conformance.samples import DAY, NOW, SECOND, alert, id_of, kinds, receipt

WEEK = 7 * DAY
GIVEN_WAY_SECONDS = 30  # who does not give way waits for as long as the lock is held: without an end
TABLES = ("alerts", "events", "receipts", "receipt_bodies")

_PARTITIONS = """SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = $1::text::regclass AND c.relname NOT LIKE '%default' ORDER BY 1"""

pytestmark = pytest.mark.migrated


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[Store]:
    """A migrated store without partitions."""
    store = open_store(postgres_url)
    await store.lifecycle.open()
    yield store
    await store.lifecycle.close()


@pytest.fixture
async def replica(postgres_url: str) -> AsyncIterator[Store]:
    replica = open_store(postgres_url)
    yield replica
    await replica.lifecycle.close()


@pytest.fixture
async def connection(postgres_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection beside the store's own."""
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


async def partitions(connection: "asyncpg.Connection[asyncpg.Record]", table: str) -> list[str]:
    return [row[0] for row in await connection.fetch(_PARTITIONS, table)]


async def count(connection: "asyncpg.Connection[asyncpg.Record]", table: str) -> int:
    return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))


@asynccontextmanager
async def locked(postgres_url: str, lock: str) -> AsyncIterator[None]:
    """While somebody else holds a lock, as a long transaction would."""
    connection = await asyncpg.connect(postgres_url)
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {lock}")
            yield
    finally:
        await connection.close()


def starts_of(names: list[str]) -> set[datetime]:
    return {datetime.strptime(f"{name[-8:]}+0000", "%Y%m%d%z") for name in names}


async def test_partitions_are_there_ahead(store: Store, connection: asyncpg.Connection) -> None:
    await store.upkeep.prepare(NOW)
    for table in TABLES:
        length = DAY if table == "receipt_bodies" else WEEK
        starts = starts_of(await partitions(connection, table))
        assert all(any(start <= NOW + n * DAY < start + length for start in starts) for n in range(15)), table


async def test_rows_of_the_coming_days_stay_out_of_the_default_partitions(
    store: Store, connection: asyncpg.Connection
) -> None:
    await store.upkeep.prepare(NOW)
    for n in range(14):
        time = NOW + n * DAY
        await store.recorder.commit([receipt(alert(f"A{n}", starts_at=time), at=time)])
    assert [await count(connection, f"{table}_default") for table in TABLES] == [0, 0, 0, 0]


async def test_preparing_again_changes_nothing(store: Store, replica: Store, connection: asyncpg.Connection) -> None:
    await store.upkeep.prepare(NOW)
    before = [await partitions(connection, table) for table in TABLES]
    for each in (store, replica):
        await each.upkeep.prepare(NOW)
    assert [await partitions(connection, table) for table in TABLES] == before


async def test_replicas_that_prepare_at_once_make_every_partition_once(
    store: Store, replica: Store, connection: asyncpg.Connection
) -> None:
    await asyncio.gather(*(each.upkeep.prepare(NOW) for each in (store, replica, store, replica)))
    await store.upkeep.prepare(NOW)
    assert [len(await partitions(connection, table)) for table in TABLES] == [5, 5, 3, 16]


async def test_row_whose_week_gets_a_partition_later_is_moved_there(
    store: Store, connection: asyncpg.Connection
) -> None:
    await store.recorder.commit([receipt(alert())])
    await store.upkeep.prepare(NOW)
    assert [await count(connection, f"{table}_default") for table in TABLES] == [0, 0, 0, 0]


async def test_moved_row_is_still_found_and_counted(store: Store) -> None:
    await store.recorder.commit([receipt(alert())])
    await store.upkeep.prepare(NOW)
    await store.recorder.commit([receipt(alert()), receipt(alert(status="resolved"))])
    occurrence = await store.history.find(id_of(alert()))
    assert (occurrence.repeat_count, await kinds(store, alert())) == (1, ["fired", "resolved"])


async def test_nothing_is_lost_while_the_first_partitions_are_made(store: Store, replica: Store) -> None:
    async def ingest(writer: Store, name: str) -> None:
        for n in range(80):
            batch = [alert(f"{name}{n}-{m}", starts_at=NOW - m * DAY) for m in range(6)]
            await writer.recorder.commit([receipt(*batch, alert("Shared"), at=NOW + n * SECOND)])

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ingest(store, "a"))
        tasks.create_task(ingest(replica, "b"))
        tasks.create_task(store.upkeep.prepare(NOW))
        tasks.create_task(replica.upkeep.prepare(NOW))
    page = await store.history.page(HistoryFilter(), PageRequest(wants_exact_total=True))
    shared = await store.history.find(id_of(alert("Shared")))
    assert (page.total, shared.repeat_count) == (2 * 80 * 6 + 1, 159)


@pytest.mark.parametrize("table", ["alerts", "receipts"])
async def test_preparing_gives_way_to_a_lock(store: Store, postgres_url: str, table: str) -> None:
    async with locked(postgres_url, f"{table}_default IN ACCESS SHARE MODE"), asyncio.timeout(15):
        await store.upkeep.prepare(NOW)


async def test_partition_that_gave_way_is_made_at_the_next_turn(
    store: Store, postgres_url: str, connection: asyncpg.Connection
) -> None:
    async with locked(postgres_url, "receipts_default IN ACCESS SHARE MODE"):
        await store.upkeep.prepare(NOW)
    await store.upkeep.prepare(NOW + SECOND)
    assert len(await partitions(connection, "receipts")) == 3


@pytest.mark.parametrize("table", ["events", "receipts"])
async def test_dropping_history_gives_way_to_a_lock(store: Store, postgres_url: str, table: str) -> None:
    await store.upkeep.prepare(NOW)
    await store.recorder.commit([receipt(alert())])
    begin = perf_counter()
    async with locked(postgres_url, f"{table} IN ROW EXCLUSIVE MODE"):
        while await store.upkeep.drop_history(NOW + 60 * DAY):
            pass
        assert perf_counter() - begin < GIVEN_WAY_SECONDS
    while await store.upkeep.drop_history(NOW + 60 * DAY):
        pass
    assert (await store.history.page(HistoryFilter(), PageRequest())).total == 0


async def test_ingest_waits_for_a_drop_no_longer_than_a_moment(store: Store, postgres_url: str) -> None:
    await store.upkeep.prepare(NOW)
    await store.recorder.commit([receipt(alert())])
    async with locked(postgres_url, "alerts IN ROW EXCLUSIVE MODE"):
        drop = asyncio.create_task(store.upkeep.drop_history(NOW + 60 * DAY))
        begin = perf_counter()
        while not drop.done():
            await store.recorder.commit([receipt(alert(starts_at=NOW + 30 * DAY))])
            await asyncio.sleep(0)
        assert perf_counter() - begin < GIVEN_WAY_SECONDS


async def test_dropped_partitions_are_gone(store: Store, connection: asyncpg.Connection) -> None:
    await store.upkeep.prepare(NOW)
    while await store.upkeep.drop_history(NOW + 60 * DAY):
        pass
    while await store.upkeep.drop_bodies(NOW + 60 * DAY):
        pass
    assert [await partitions(connection, table) for table in TABLES] == [[], [], [], []]


async def test_partition_that_is_not_over_stays(store: Store, connection: asyncpg.Connection) -> None:
    await store.upkeep.prepare(NOW)
    while await store.upkeep.drop_history(NOW):
        pass
    assert NOW - timedelta(days=2, hours=12) in starts_of(await partitions(connection, "alerts"))


async def test_week_without_a_partition_for_its_events_is_forgotten_too(
    store: Store, connection: asyncpg.Connection
) -> None:
    await store.upkeep.prepare(NOW)
    await store.recorder.commit([receipt(alert())])
    name = next(name for name in await partitions(connection, "events") if "20260302" in name)
    await connection.execute(f"ALTER TABLE events DETACH PARTITION {name}")
    await connection.execute(f"INSERT INTO events SELECT * FROM {name}")
    await connection.execute(f"DROP TABLE {name}")
    for _ in range(50):
        await store.upkeep.drop_history(NOW + 60 * DAY)
    assert (await count(connection, "alerts"), await count(connection, "events")) == (0, 0)


async def test_survivor_of_a_dropped_week_lies_in_the_default_partition(
    store: Store, connection: asyncpg.Connection
) -> None:
    await store.upkeep.prepare(NOW)
    await store.recorder.commit([receipt(alert())])
    await store.recorder.commit([receipt(alert(), at=NOW + 60 * DAY)])
    while await store.upkeep.drop_history(NOW + 30 * DAY):
        pass
    assert [await count(connection, table) for table in ("alerts_default", "events_default")] == [1, 1]


async def test_labels_are_found_before_and_after_the_index_is_merged(
    store: Store, connection: asyncpg.Connection
) -> None:
    await store.upkeep.prepare(NOW)
    many = [alert(f"A{n}", labels={"pod": f"web-{n}", "filler": "x" * 50}) for n in range(2000)]
    await store.recorder.commit([receipt(*many, body=b"")])
    await connection.execute("SET enable_seqscan = off")
    wanted = 'SELECT count(*) FROM alerts WHERE labels @> \'{"pod": "web-7"}\''
    before = await connection.fetchval(wanted)
    await store.upkeep.prepare(NOW)
    assert (before, await connection.fetchval(wanted)) == (1, 1)
