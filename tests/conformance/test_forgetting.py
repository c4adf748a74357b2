"""What is old is forgotten, and nothing else: history, receipts, quarantine, bodies."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime

import pytest

from alert_history.domain.alert import Refused
from alert_history.errors import NotFound
from alert_history.ports import Store
from tests.conformance import raw
from tests.conformance.conftest import OpenReplica
from tests.conformance.samples import DAY, MINUTE, NOW, SECOND, alert, everything, id_of, kinds, note, receipt
from tests.servers import PostgresServer

LATER = NOW + 60 * DAY
LIMIT = LATER - 30 * DAY
"""Once it is LATER, what was last received before then is to be forgotten."""

_STEPS = 500

OLD = alert("Old")
LASTING = alert("Lasting")
YOUNG = alert("Young", starts_at=LATER - MINUTE)
STRAYS = [alert("Stray", starts_at=datetime(year, 6, 1, tzinfo=UTC)) for year in (2, 1999, 9999)]


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, prepared_postgres: str) -> Iterator[str]:
    """A copy of one's own, because partitions are made and dropped here."""
    url = postgres_server.create_database(template=prepared_postgres.rpartition("/")[2])
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
async def aged(store: Store) -> Store:
    """A store that has been running from NOW until LATER."""
    old = receipt(OLD, LASTING, *STRAYS, notes=[note(OLD), note(LASTING)], refused=[Refused(0, "bad", b"old")])
    await store.recorder.commit([old])
    await store.upkeep.prepare(LATER)
    young = receipt(LASTING, YOUNG, at=LATER, refused=[Refused(0, "bad", b"young")])
    await store.recorder.commit([young])
    return store


async def until_done(drop: Callable[[datetime], Awaitable[int]], before: datetime) -> int:
    """Drops step by step until nothing is left to drop; how many steps it took."""
    for step in range(_STEPS):
        if await drop(before) == 0:
            return step
    raise AssertionError(f"still not done after {_STEPS} steps")


async def names(store: Store) -> set[str]:
    return {held.alertname for held in await everything(store)}


async def test_old_history_is_forgotten(aged: Store) -> None:
    await until_done(aged.upkeep.drop_history, LIMIT)
    assert await names(aged) == {"Lasting", "Young"}


async def test_forgotten_occurrence_is_not_found(aged: Store) -> None:
    await until_done(aged.upkeep.drop_history, LIMIT)
    with pytest.raises(NotFound):
        await aged.history.find(id_of(OLD))


async def test_events_are_forgotten_with_their_occurrence(aged: Store, database_url: str) -> None:
    await until_done(aged.upkeep.drop_history, LIMIT)
    assert await raw.count(database_url, "events") == 3


async def test_what_is_still_received_keeps_its_events(aged: Store) -> None:
    await until_done(aged.upkeep.drop_history, LIMIT)
    assert await kinds(aged, LASTING) == ["fired", "silenced"]


async def test_what_is_still_received_goes_on_being_counted(aged: Store) -> None:
    await until_done(aged.upkeep.drop_history, LIMIT)
    await aged.recorder.commit([receipt(LASTING, at=LATER)])
    assert (await aged.history.find(id_of(LASTING))).repeat_count == 2


async def test_what_is_no_longer_received_is_forgotten_in_its_turn(aged: Store) -> None:
    await until_done(aged.upkeep.drop_history, LIMIT)
    await until_done(aged.upkeep.drop_history, LATER + 30 * DAY)
    assert await names(aged) == set()


async def test_young_history_is_kept(aged: Store, database_url: str) -> None:
    before = await raw.count(database_url, "alerts"), await raw.count(database_url, "events")
    await until_done(aged.upkeep.drop_history, NOW - DAY)
    assert (await raw.count(database_url, "alerts"), await raw.count(database_url, "events")) == before


async def test_old_receipts_are_forgotten(aged: Store, database_url: str) -> None:
    await until_done(aged.upkeep.drop_history, LIMIT)
    assert await raw.count(database_url, "receipts") == 1


async def test_old_quarantine_is_forgotten(aged: Store) -> None:
    await until_done(aged.upkeep.drop_history, LIMIT)
    assert [held.raw for held in (await aged.history.quarantine(limit=9, cursor=None)).quarantine] == ["young"]


async def test_two_replicas_forget_side_by_side(aged: Store, open_replica: OpenReplica) -> None:
    other = await open_replica()
    await asyncio.gather(*(until_done(one.upkeep.drop_history, LIMIT) for one in (aged, other)))
    await until_done(aged.upkeep.drop_history, LIMIT)
    assert await names(aged) == {"Lasting", "Young"}


async def test_forgotten_alert_that_comes_back_is_fired_anew(aged: Store, database_url: str) -> None:
    await until_done(aged.upkeep.drop_history, LIMIT)
    await aged.recorder.commit([receipt(OLD, at=LATER)])
    keys = await raw.state_keys(database_url)
    assert (await kinds(aged, OLD), keys[OLD.fingerprint]) == (["fired"], [1])


async def test_more_rows_than_a_step_holds_are_forgotten_in_steps(store: Store, database_url: str) -> None:
    many = [alert(f"A{n}", starts_at=datetime(1999, 1, 1, tzinfo=UTC)) for n in range(6000)]
    await store.recorder.commit([receipt(*many, body=b"")])
    steps = await until_done(store.upkeep.drop_history, NOW + DAY)
    assert (steps > 1, await raw.count(database_url, "alerts"), await raw.count(database_url, "events")) == (True, 0, 0)


async def test_ingest_goes_on_while_old_history_is_forgotten(aged: Store) -> None:
    async def ingest() -> None:
        for n in range(60):
            await aged.recorder.commit([receipt(alert(f"New{n}", starts_at=LATER), LASTING, at=LATER + n * SECOND)])

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ingest())
        tasks.create_task(until_done(aged.upkeep.drop_history, LIMIT))
    await until_done(aged.upkeep.drop_history, LIMIT)
    assert await names(aged) == {"Lasting", "Young", *(f"New{n}" for n in range(60))}
    assert (await aged.history.find(id_of(LASTING))).repeat_count == 61


async def test_bodies_are_forgotten_before_their_receipts(aged: Store, database_url: str) -> None:
    await until_done(aged.upkeep.drop_bodies, LIMIT)
    assert (await raw.count(database_url, "receipt_bodies"), await raw.count(database_url, "receipts")) == (1, 2)


async def test_bodies_without_a_partition_are_forgotten_too(store: Store, database_url: str) -> None:
    await store.recorder.commit([receipt(OLD, at=NOW - 900 * DAY)])
    await until_done(store.upkeep.drop_bodies, LIMIT)
    assert await raw.count(database_url, "receipt_bodies") == 0


async def test_forgotten_body_is_kept_again_when_it_is_sent_again(aged: Store, database_url: str) -> None:
    await until_done(aged.upkeep.drop_bodies, LATER + 2 * DAY)
    await aged.recorder.commit([receipt(YOUNG, at=LATER + 2 * DAY, body=b"again")])
    assert await raw.count(database_url, "receipt_bodies") == 1


async def test_prepare_may_be_called_any_time(store: Store) -> None:
    for time in (NOW, NOW, NOW - DAY, LATER):
        await store.upkeep.prepare(time)
    await store.recorder.commit([receipt(OLD, YOUNG)])
    assert await names(store) == {"Old", "Young"}
