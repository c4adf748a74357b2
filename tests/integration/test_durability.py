"""What was acknowledged is kept, whatever happens to the service or its database (promises 1 and 8)."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from resource import RLIM_INFINITY, RLIMIT_FSIZE, prlimit

import httpx
import psutil
import pytest

from alert_history.storage import open_store
from tests import servers
from tests.conftest import StartService
from tests.numbers import check_sums
from tests.payloads import alert, webhook
from tests.processes import Server
from tests.servers import PostgresServer, unstarted_service

_SENDERS = 16
_ALERTS_A_REQUEST = 10
_ENOUGH = 300  # requests acknowledged before the blow falls
_JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def postgres_server() -> Iterator[PostgresServer]:
    """One of its own, which waits for the disk as in production."""
    with servers.postgres_server() as server:
        yield server


class Senders:
    """Send new alerts without pause, and remember which requests were acknowledged. No request is tried again."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/webhook"
        self._numbers = count()
        self.acknowledged: list[int] = []
        self.refused: list[int] = []
        self.enough = asyncio.Event()

    async def run(self) -> None:
        """Until every sender has lost its service."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_SENDERS):
                tasks.create_task(self._send())

    async def _send(self) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            while True:
                first = next(self._numbers) * _ALERTS_A_REQUEST
                body = webhook(*(alert(first + i) for i in range(_ALERTS_A_REQUEST)))
                try:
                    answer = await client.post(self._url, content=body, headers=_JSON)
                except httpx.TransportError:
                    return
                if answer.status_code == httpx.codes.OK:
                    self.acknowledged.append(first)
                else:
                    self.refused.append(answer.status_code)
                    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and len(self.refused) > _ENOUGH:
                        return
                if len(self.acknowledged) >= _ENOUGH:
                    self.enough.set()


async def _stored_numbers(url: str) -> set[int]:
    """The numbers of all alerts in the history, read page by page."""
    numbers: set[int] = set()
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:
        cursor = None
        while True:
            page = (
                await client.get("/history", params={"limit": 1000, **({"cursor": cursor} if cursor else {})})
            ).json()
            numbers.update(
                int(a["labels"]["instance"].removeprefix("db-").removesuffix(":9100")) for a in page["alerts"]
            )
            cursor = page["next_cursor"]
            if cursor is None:
                return numbers


async def _check_numbers(server: Server, url: str) -> None:
    """Stop the service, and check that the numbers agree with the history."""
    await asyncio.to_thread(server.terminate)
    store = open_store(url)
    await store.lifecycle.open()
    await check_sums(store)
    await store.lifecycle.close()


def _expected(senders: Senders) -> set[int]:
    return {first + i for first in senders.acknowledged for i in range(_ALERTS_A_REQUEST)}


async def _under_load(server: Server, blow: Callable[[], Awaitable[None]]) -> Senders:
    """Strike once enough was acknowledged, and wait until all senders have noticed."""
    senders = Senders(server.url)
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(senders.run())
        await senders.enough.wait()
        await blow()
    return senders


async def test_every_acknowledged_alert_survives_kill_9_under_load(database_url: str, service: StartService) -> None:
    server = service({"DATABASE_URL": database_url})
    senders = await _under_load(server, lambda: asyncio.to_thread(server.kill))
    server.start()
    assert _expected(senders) <= await _stored_numbers(server.url)
    await _check_numbers(server, database_url)


def _writers(server: Server) -> list[psutil.Process]:
    """The processes that write to SQLite for the service."""
    children = psutil.Process(server.pid).children()
    return [child for child in children if any(word.endswith("writer_main") for word in child.cmdline())]


async def test_kill_9_of_the_process_that_writes_to_sqlite_is_noticed_by_no_sender(
    sqlite_url: str, service: StartService
) -> None:
    server = service({"DATABASE_URL": sqlite_url})
    killed: list[int] = []

    async def kill_some_and_the_service() -> None:
        async with asyncio.timeout(40):
            while len(killed) < 3:
                for writer in _writers(server):
                    writer.kill()
                    killed.append(writer.pid)
                await asyncio.sleep(0.05)
        await asyncio.to_thread(server.terminate)

    senders = await _under_load(server, kill_some_and_the_service)
    server.start()
    assert set(senders.refused) <= {503}  # of the end of the service alone
    assert len(senders.refused) <= _SENDERS
    assert _expected(senders) <= await _stored_numbers(server.url)
    await _check_numbers(server, sqlite_url)


async def test_the_process_that_writes_to_sqlite_ends_with_a_service_that_is_killed(
    sqlite_url: str, service: StartService
) -> None:
    server = service({"DATABASE_URL": sqlite_url})
    writers: list[psutil.Process] = []

    async def kill_once_it_writes() -> None:
        async with asyncio.timeout(40):
            while not writers:
                writers.extend(_writers(server))
                await asyncio.sleep(0.05)
        await asyncio.to_thread(server.kill)

    senders = await _under_load(server, kill_once_it_writes)
    gone, alive = await asyncio.to_thread(psutil.wait_procs, writers, 20)
    server.start()
    assert (len(gone), alive) == (1, [])
    assert _expected(senders) <= await _stored_numbers(server.url)


async def test_every_acknowledged_alert_survives_kill_9_of_the_database(
    postgres_url: str, postgres_server: PostgresServer, service: StartService
) -> None:
    server = service({"DATABASE_URL": postgres_url})

    async def crash() -> None:
        await asyncio.to_thread(postgres_server.kill)

    senders = await _under_load(server, crash)
    postgres_server.start()  # in this thread: the server dies with the thread that started it
    await _until_ready(server.url)
    assert _expected(senders) <= await _stored_numbers(server.url)
    assert set(senders.refused) <= {503}
    await _check_numbers(server, postgres_url)


async def _until_ready(url: str) -> None:
    async with asyncio.timeout(20), httpx.AsyncClient(trust_env=False) as client:
        while (await client.get(f"{url}/readyz")).status_code != httpx.codes.OK:
            await asyncio.sleep(0.1)


async def test_sigterm_under_load_answers_what_it_took_and_ends_with_zero(
    database_url: str, service: StartService
) -> None:
    server = service({"DATABASE_URL": database_url})
    codes: list[int] = []

    async def stop() -> None:
        codes.append(await asyncio.to_thread(server.terminate))

    senders = await _under_load(server, stop)
    server.start()
    assert codes == [0]
    assert not set(senders.refused) - {503}
    assert _expected(senders) <= await _stored_numbers(server.url)


async def test_a_database_that_hangs_is_answered_503_within_five_seconds(
    postgres_url: str, postgres_server: PostgresServer, service: StartService
) -> None:
    server = service({"DATABASE_URL": postgres_url})
    loop = asyncio.get_running_loop()
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=10) as client:
        await client.post("/webhook", content=webhook(alert(1)), headers=_JSON)
        postgres_server.pause()
        begin = loop.time()
        answer = await client.post("/webhook", content=webhook(alert(2)), headers=_JSON)
        seconds = loop.time() - begin
        postgres_server.resume()
        await _until_ready(server.url)
        again = await client.post("/webhook", content=webhook(alert(2)), headers=_JSON)
    assert (answer.status_code, int(answer.headers["retry-after"]) > 0) == (503, True)
    assert seconds < 5  # the contract's bound, not a measure of speed
    assert again.status_code == httpx.codes.OK


def _limit_files(server: Server, size: int) -> None:
    """Let no file of the service grow beyond a size; the service starts no further process meanwhile."""
    for pid in (server.pid, *(writer.pid for writer in _writers(server))):
        prlimit(pid, RLIMIT_FSIZE, (size, RLIM_INFINITY))


async def test_a_full_disk_refuses_what_is_new_keeps_what_is_there_and_is_over_when_there_is_room(
    sqlite_url: str, service: StartService
) -> None:
    server = service({"DATABASE_URL": sqlite_url})

    async def fill() -> None:
        largest = max(path.stat().st_size for path in Path(sqlite_url.removeprefix("sqlite:///")).parent.iterdir())
        _limit_files(server, largest)  # no file may grow any more

    senders = await _under_load(server, fill)
    read_when_full = await _stored_numbers(server.url)
    _limit_files(server, RLIM_INFINITY)
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as client:
        again = await client.post("/webhook", content=webhook(alert(-1)), headers=_JSON)
    assert set(senders.refused) == {503}
    assert _expected(senders) == read_when_full
    assert again.status_code == httpx.codes.OK
    assert await _stored_numbers(server.url) == read_when_full | {-1}


async def test_a_service_started_without_its_database_recovers_by_itself(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    postgres_server.terminate()
    with unstarted_service({"DATABASE_URL": postgres_url}) as server:
        server.launch()
        await _until_alive(server.url)
        async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=10) as client:
            ready = await client.get("/readyz")
            refused = await client.post("/webhook", content=webhook(alert(1)), headers=_JSON)
            log = server.log()
            postgres_server.start()  # in this thread: the server dies with the thread that started it
            await _until_ready(server.url)
            accepted = await client.post("/webhook", content=webhook(alert(1)), headers=_JSON)
    assert (ready.status_code, refused.status_code, accepted.status_code) == (503, 503, 200)
    assert "database" in ready.json()["checks"]
    assert f'"database": "{postgres_url}"' in log


async def _until_alive(url: str) -> None:
    async with asyncio.timeout(20), httpx.AsyncClient(trust_env=False) as client:
        while True:
            with suppress(httpx.TransportError):
                await client.get(f"{url}/healthz")
                return
            await asyncio.sleep(0.05)
