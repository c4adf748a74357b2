"""PostgreSQL goes away and comes back: the callers are told in time, and nothing needs to be done when it is back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from time import perf_counter

import asyncpg
import pytest

from alert_history.domain.group import SeenGroup
from alert_history.errors import QueryTimeout, StorageUnavailable
from alert_history.ports import HistoryFilter, Left, PageRequest, Store
from alert_history.storage import open_store
from alert_history.storage.postgres import connection as postgres_connection
from tests import servers
from tests.conformance.conftest import prepared_database
from tests.conformance.samples import NOW, alert, everything, receipt
from tests.servers import PostgresServer

SECONDS_TO_SAY_SO = 12  # it is 4 where nothing else runs; what waits without an end is told apart by either
SECONDS_TO_GIVE_UP = 24

CALLS: dict[str, Callable[[Store], Awaitable[object]]] = {
    "commit": lambda store: store.recorder.commit([receipt(alert())]),
    "page": lambda store: store.history.page(HistoryFilter(), PageRequest()),
    "find": lambda store: store.history.find("0123456789abcdef-1"),
    "export": everything,
    "adopt": lambda store: store.standings.adopt(NOW),
    "let_pass": lambda store: store.standings.let_pass(NOW, stale_after={}),
    "leave": lambda store: store.standings.leave([Left("0123456789abcdef", "am", 1)], NOW),
    "save_groups": lambda store: store.standings.save_groups([SeenGroup("g", "team-x", "am", 1, frozenset())]),
    "load_groups": lambda store: store.standings.load_groups(),
    "forget": lambda store: store.standings.forget(NOW),
    "count": lambda store: store.standings.count(),
    "drop_history": lambda store: store.upkeep.drop_history(NOW),
    "prepare": lambda store: store.upkeep.prepare(NOW),
    "read_setting": lambda store: store.settings.read("x"),
    "lease": lambda store: store.outbox.lease("ops", now=NOW, limit=1, lease_for=timedelta(seconds=25)),
    "note": lambda store: store.audit.note("tested", actor="ada", detail={}, now=NOW),
}
READS = ("page", "find")
_UPKEEPERS = """SELECT pid FROM pg_stat_activity
    WHERE application_name = 'alert-history upkeep' AND datname = current_database()"""
DELIVERER = ("read_setting", "lease", "note")


@pytest.fixture(scope="module")
def postgres_server() -> Iterator[PostgresServer]:
    """One of its own, which waits for the disk as in production."""
    with servers.postgres_server() as server:
        yield server


@pytest.fixture(scope="module")
def prepared_postgres(postgres_server: PostgresServer) -> Iterator[str]:
    with prepared_database(postgres_server) as url:
        yield url


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[Store]:
    """A store that has been in use, so that its connections are open."""
    store = open_store(postgres_url)
    await store.lifecycle.open()
    await store.recorder.commit([receipt(alert("Before"))])
    await store.history.page(HistoryFilter(), PageRequest())
    yield store
    await store.lifecycle.close()


async def names(store: Store) -> set[str]:
    return {occurrence.alertname for occurrence in await everything(store)}


async def test_every_call_says_in_time_that_the_database_is_down(store: Store, postgres_server: PostgresServer) -> None:
    postgres_server.terminate()
    for name, call in CALLS.items():
        begin = perf_counter()
        with pytest.raises(StorageUnavailable):
            await call(store)
        assert perf_counter() - begin < SECONDS_TO_SAY_SO, name


async def test_check_says_in_time_that_the_database_is_down(store: Store, postgres_server: PostgresServer) -> None:
    postgres_server.terminate()
    begin = perf_counter()
    checks = await store.lifecycle.check()
    assert (checks["database"] != "ok", checks["schema"], perf_counter() - begin < SECONDS_TO_SAY_SO) == (
        True,
        "unknown",
        True,
    )


async def test_same_store_works_when_the_database_is_back(store: Store, postgres_server: PostgresServer) -> None:
    postgres_server.terminate()
    with pytest.raises(StorageUnavailable):
        await store.recorder.commit([receipt(alert("Lost"))])
    postgres_server.start()
    await store.recorder.commit([receipt(alert("After"))])
    assert await names(store) == {"Before", "After"}


async def test_reads_work_when_the_database_is_back(store: Store, postgres_server: PostgresServer) -> None:
    postgres_server.terminate()
    with pytest.raises(StorageUnavailable):
        await store.history.page(HistoryFilter(), PageRequest())
    postgres_server.start()
    assert (await store.history.page(HistoryFilter(), PageRequest())).total == 1


async def test_restart_between_two_commits_costs_at_most_one_refusal(
    store: Store, postgres_server: PostgresServer
) -> None:
    postgres_server.terminate()
    postgres_server.start()
    for name in ("First", "Second"):
        try:
            await store.recorder.commit([receipt(alert(name))])
        except StorageUnavailable:
            assert name == "First"
    assert "Second" in await names(store)


async def test_what_was_committed_survives_kill_dash_nine(store: Store, postgres_server: PostgresServer) -> None:
    await store.recorder.commit([receipt(*(alert(f"A{n}") for n in range(100)))])
    postgres_server.kill()
    postgres_server.start()
    assert await names(store) == {"Before", *(f"A{n}" for n in range(100))}


async def test_commit_broken_off_by_the_restart_is_whole_or_not_there(
    store: Store, postgres_server: PostgresServer
) -> None:
    numbers: set[str] = set()
    is_under_way = asyncio.Event()

    async def ingest() -> None:
        for n in range(10_000):
            await store.recorder.commit([receipt(alert(f"A{n}"), alert(f"B{n}"))])
            numbers.add(str(n))
            if n == 20:
                is_under_way.set()

    ingesting = asyncio.create_task(ingest())
    await is_under_way.wait()
    await asyncio.to_thread(postgres_server.kill)
    with pytest.raises(StorageUnavailable):
        await ingesting
    postgres_server.start()
    alertnames = await names(store) - {"Before"}
    assert {name[1:] for name in alertnames if name[0] == "A"} == {name[1:] for name in alertnames if name[0] == "B"}
    assert numbers <= {name[1:] for name in alertnames}


@pytest.mark.parametrize("name", READS)
async def test_read_from_a_frozen_database_is_given_up(
    store: Store, postgres_server: PostgresServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_connection, "READ_TIMEOUT_SECONDS", 0.3)
    postgres_server.pause()
    begin = perf_counter()
    with pytest.raises((StorageUnavailable, QueryTimeout)):
        await asyncio.wait_for(CALLS[name](store), SECONDS_TO_GIVE_UP)
    assert perf_counter() - begin < SECONDS_TO_SAY_SO


@pytest.mark.parametrize("name", DELIVERER)
async def test_a_frozen_database_holds_up_no_delivery_for_ever(
    store: Store, postgres_server: PostgresServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await CALLS[name](store)  # so that the connection is open
    monkeypatch.setattr(postgres_connection, "DELIVER_TIMEOUT_SECONDS", 0.3)
    postgres_server.pause()
    calls = [asyncio.ensure_future(CALLS[name](store)) for _ in range(3)]
    done, waiting = await asyncio.wait(calls, timeout=SECONDS_TO_SAY_SO)
    assert not waiting
    assert {type(call.exception()) for call in done} == {StorageUnavailable}
    postgres_server.resume()
    monkeypatch.undo()
    await CALLS[name](store)


async def test_commit_to_a_frozen_database_can_be_given_up(store: Store, postgres_server: PostgresServer) -> None:
    postgres_server.pause()
    begin = perf_counter()
    commit = asyncio.create_task(store.recorder.commit([receipt(alert())]))
    done, _ = await asyncio.wait([commit], timeout=0.3)
    assert not done
    commit.cancel()
    await asyncio.wait([commit], timeout=SECONDS_TO_GIVE_UP)
    assert (commit.done(), perf_counter() - begin < SECONDS_TO_SAY_SO) == (True, True)


async def test_same_store_works_when_a_frozen_database_goes_on(store: Store, postgres_server: PostgresServer) -> None:
    postgres_server.pause()
    commit = asyncio.create_task(store.recorder.commit([receipt(alert("Broken off"))]))
    await asyncio.wait([commit], timeout=0.3)
    commit.cancel()
    await asyncio.wait([commit], timeout=SECONDS_TO_GIVE_UP)
    postgres_server.resume()
    async with asyncio.timeout(SECONDS_TO_GIVE_UP):
        await store.recorder.commit([receipt(alert("After"))])
    assert {"Before", "After"} <= await names(store)


async def test_check_of_a_frozen_database_answers_in_time(store: Store, postgres_server: PostgresServer) -> None:
    postgres_server.pause()
    begin = perf_counter()
    checks = await store.lifecycle.check()
    assert (checks["database"] != "ok", perf_counter() - begin < SECONDS_TO_SAY_SO) == (True, True)


async def test_what_is_prepared_every_second_keeps_its_connection(store: Store, postgres_url: str) -> None:
    upkeepers = []
    connection = await asyncpg.connect(postgres_url)
    try:
        for _ in range(3):
            await store.upkeep.prepare(NOW)
            upkeepers.append([row[0] for row in await connection.fetch(_UPKEEPERS)])
    finally:
        await connection.close()
    assert upkeepers[0] == upkeepers[1] == upkeepers[2]
    assert len(upkeepers[0]) == 1


async def test_upkeep_goes_on_when_the_database_is_back(store: Store, postgres_server: PostgresServer) -> None:
    await store.upkeep.prepare(NOW)
    postgres_server.terminate()
    with pytest.raises(StorageUnavailable):
        await store.upkeep.prepare(NOW)
    postgres_server.start()
    await store.upkeep.prepare(NOW)
