"""Normal work leaves no error in PostgreSQL's log, so that an error there means something."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import TypeAlias

import asyncpg
import httpx
import pytest

from alert_history.ports import Store
from alert_history.storage import open_store
from alert_history.storage.postgres.connection import Connections
from alert_history.storage.postgres.dialer import Dialer
from alert_history.storage.postgres.lifecycle import PostgresLifecycle
from alert_history.urls.postgres import read_postgres_url
from tests import servers
from tests.commands import run
from tests.conformance.samples import DAY, NOW, alert, receipt
from tests.payloads import alert as payload
from tests.payloads import webhook
from tests.processes import Server, wait_until
from tests.receiving import Receiver, receiving
from tests.servers import PostgresServer

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_JSON = {"Content-Type": "application/json"}
_REPLICAS = 3
_STOPS = 4
_IS_OLD = "SELECT xact_start < clock_timestamp() - interval '300 ms' FROM pg_stat_activity WHERE pid = $1"
_SLOW = "SELECT pg_sleep(0.2)"

_numbers = count()


class Log:
    """What PostgreSQL calls an error, since this was made."""

    def __init__(self, postgres: PostgresServer) -> None:
        self._postgres = postgres
        self._read = len(postgres.log())

    @property
    def errors(self) -> list[str]:
        lines = self._postgres.log()[self._read :].splitlines()
        return [line for line in lines if any(f" {word}: " in line for word in ("ERROR", "FATAL", "PANIC"))]


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A server of these tests alone: others make errors on purpose."""
    with servers.postgres_server({**servers.QUICK, "log_min_messages": "error"}) as running:
        yield running


@pytest.fixture
def log(postgres: PostgresServer) -> Log:
    return Log(postgres)


@pytest.fixture
def url(postgres: PostgresServer) -> Iterator[str]:
    """A fresh database."""
    made = postgres.create_database()
    yield made
    postgres.drop_database(made)


@pytest.fixture
async def replicas(url: str) -> AsyncIterator[list[Store]]:
    """Stores on one database, opened at the same time."""
    stores = [open_store(url) for _ in range(_REPLICAS)]
    await asyncio.gather(*(store.lifecycle.open() for store in stores))
    yield stores
    for store in stores:
        await store.lifecycle.close()


@contextmanager
def _service(url: str, env: Mapping[str, str] | None = None) -> Iterator[Server]:
    with servers.unstarted_service({"DATABASE_URL": url, **(env or {})}) as server:
        yield server


@contextmanager
def _fed(servers_: list[Server]) -> Iterator[list[int]]:
    """While each is sent alerts, new ones all the time, also before and after it can take them; the answers."""
    answers: list[int] = []
    is_over = threading.Event()

    def feed(server: Server) -> None:
        with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as client:
            while not is_over.is_set():
                body = webhook(*(payload(next(_numbers)) for _ in range(5)))
                with suppress(httpx.TransportError):
                    answers.append(client.post("/webhook/proxy", content=body, headers=_JSON).status_code)

    threads = [threading.Thread(target=feed, args=(server,)) for server in servers_]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def _start_at_once(stack: ExitStack, url: str) -> list[Server]:
    made = [stack.enter_context(_service(url)) for _ in range(_REPLICAS)]
    for server in made:
        server.launch()
    return made


def _wait_for_all(made: list[Server]) -> None:
    for server in made:
        wait_until(server.is_ready, f"the service on port {server.port} is ready")


def test_first_start_of_several_workers_a_restart_and_stops_leave_none(url: str, log: Log) -> None:
    with _service(url, {"WORKERS": "2"}) as server:
        for _ in range(2):
            server.start()
            assert server.terminate() == 0
    assert log.errors == []


def test_replicas_that_start_together_and_are_sent_alerts_leave_none(url: str, log: Log) -> None:
    with ExitStack() as stack:
        made = _start_at_once(stack, url)
        with _fed(made) as answers:
            _wait_for_all(made)
            before = len(answers)
            wait_until(lambda: len(answers) > before + 20, "alerts are taken")
        assert answers[-1] == 200
        assert [server.terminate() for server in made] == [0] * _REPLICAS
    assert log.errors == []


def test_a_first_start_that_is_read_from_all_the_time_leaves_none(url: str, log: Log) -> None:
    with _service(url) as server, httpx.Client(base_url=server.url, trust_env=False, timeout=30) as client:
        server.launch()
        answers: list[int] = []
        while httpx.codes.OK not in answers:
            with suppress(httpx.TransportError):
                answers.append(client.get("/api/v1/alerts").status_code)
    assert set(answers) <= {httpx.codes.OK, httpx.codes.SERVICE_UNAVAILABLE}
    assert log.errors == []


async def test_replicas_that_make_and_drop_partitions_at_once_leave_none(replicas: list[Store], log: Log) -> None:
    await asyncio.gather(*(store.upkeep.prepare(NOW) for store in replicas))
    for number, store in enumerate(replicas):
        old = [alert(f"Old{number}-{days}", starts_at=NOW - days * DAY) for days in (1, 10, 30)]
        await store.recorder.commit([receipt(*old, at=NOW)])

    async def forget(store: Store) -> None:
        for drop in (store.upkeep.drop_history, store.upkeep.drop_bodies):
            while await drop(NOW + 60 * DAY):
                pass

    await asyncio.gather(*map(forget, replicas))
    await forget(replicas[0])
    assert (await replicas[0].history.quarantine(limit=1, cursor=None)).total == 0
    assert log.errors == []


async def test_replicas_that_are_sent_the_same_alerts_at_once_leave_none(replicas: list[Store], log: Log) -> None:
    """A pair of Prometheus posts to both: some of it repeats what is known, some has to be thought about."""
    for number in range(30):
        at = NOW + number * timedelta(seconds=60)
        repeated = [alert(f"Repeated{n}", expires_at=at + timedelta(minutes=4)) for n in range(40)]
        moved = [alert(f"Moved{n}", starts_at=at, expires_at=at + timedelta(minutes=4)) for n in range(40)]
        sent = [receipt(*repeated, *moved, at=at, source="prometheus") for _ in replicas]
        await asyncio.gather(*(store.recorder.commit([request]) for store, request in zip(replicas, sent, strict=True)))
    assert log.errors == []


@asynccontextmanager
async def _read_for_long(url: str) -> AsyncIterator[None]:
    """While somebody reads in a transaction that is not over soon, as an export does."""
    reader, watcher = await asyncpg.connect(url), await asyncpg.connect(url)
    try:
        async with reader.transaction():
            await reader.fetch("SELECT * FROM alerts, events, receipts")
            async with asyncio.timeout(60):
                while not await watcher.fetchval(_IS_OLD, reader.get_server_pid()):
                    await asyncio.sleep(0.01)
            yield
    finally:
        await reader.close()
        await watcher.close()


async def test_long_read_while_partitions_should_come_and_go_leaves_none(
    replicas: list[Store], url: str, log: Log
) -> None:
    store = replicas[0]
    await store.upkeep.prepare(NOW)
    async with _read_for_long(url):
        await store.upkeep.prepare(NOW + 40 * DAY)
        assert await store.upkeep.drop_history(NOW + 20 * DAY) == 0
    await store.upkeep.prepare(NOW + 40 * DAY)
    assert await store.upkeep.drop_history(NOW + 20 * DAY) > 0
    assert log.errors == []


async def test_archive_and_restore_beside_a_service_leave_none(
    replicas: list[Store], url: str, log: Log, tmp_path: Path
) -> None:
    old = [alert(f"Old{number}", starts_at=NOW - number * DAY) for number in range(20)]
    await replicas[0].recorder.commit([receipt(*old)])
    env = {"DATABASE_URL": url, "RETENTION_DAYS": "36500"}
    with _service(url, env) as server:
        await asyncio.to_thread(server.start)
        with _fed([server]) as answers:
            for words in (["archive", "--before", "-1d", "--to"], ["restore"]):
                done = await asyncio.to_thread(run, *words, tmp_path, env=env)
                assert done.returncode == 0, done.stderr.decode()
        assert set(answers) == {200}
    assert log.errors == []


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


async def test_stops_amid_deliveries_leave_none(url: str, log: Log, receiver: Receiver, tmp_path: Path) -> None:
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "url").write_text(receiver.url)
    (hook / "labels").write_text("alert-history.io/target=true\nalert-history.io/format=webhook\n")
    env = {"TARGETS_DIR": str(tmp_path), "ALLOW_PRIVATE_TARGETS": "true", "ENRICHMENT_MODE": "enriched"}
    with _service(url, env) as server:
        for _ in range(_STOPS):
            await asyncio.to_thread(server.start)
            with _fed([server]):
                async with asyncio.timeout(30):
                    for _ in range(20):
                        await receiver.requests.get()
                assert await asyncio.to_thread(server.terminate) == 0
    assert log.errors == []


async def test_job_that_is_cancelled_in_the_quiet_leaves_none(url: str, log: Log) -> None:
    connections = Connections(Dialer(read_postgres_url(url)))
    lifecycle = PostgresLifecycle(connections)
    has_begun = asyncio.Event()

    async def work() -> None:
        while True:
            async with connections.single() as connection:
                has_begun.set()
                await connection.execute(_SLOW)

    job = asyncio.create_task(work())
    await has_begun.wait()
    async with lifecycle.quiet():
        job.cancel()
        await asyncio.wait([job])
    await lifecycle.close()
    assert log.errors == []


async def test_after_the_quiet_the_database_is_asked_again(url: str) -> None:
    lifecycle = PostgresLifecycle(Connections(Dialer(read_postgres_url(url))))
    async with lifecycle.quiet():
        waiting = asyncio.create_task(lifecycle.check())
    assert (await waiting)["database"] == "ok"
    await lifecycle.close()
