"""Connections to PostgreSQL: a few for ingest, a pool for reads, others for jobs."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from alert_history.errors import StorageUnavailable
from alert_history.storage.postgres.dialer import Connection, Dialer

CONNECT_TIMEOUT_SECONDS = 3
READ_TIMEOUT_SECONDS = 5
DELIVER_TIMEOUT_SECONDS = 10  # less than a lease, and far more than its statements take
_GRACE_SECONDS = 1
_SLOW_SECONDS = 300  # a job does not wait for hours for a server that vanished without a word
_READERS = 4
_UPKEEPERS = 3  # the job that prepares every second never waits for the job that forgets
_KEEP_UPKEEP_SECONDS = 10  # the job that forgets gives its connection back soon
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # PostgreSQL's
_WRITERS = 3

# The statements of the hot path probe by key. A plan made once and kept saves 3 ms of planning over the
# partitions on every commit, and no statistics, however stale, can turn the probes into scans.
_WRITER_SETTINGS = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    "timezone": "UTC",
}
_READER_SETTINGS = {
    "statement_timeout": str(READ_TIMEOUT_SECONDS * 1000),
    "jit": "off",
    "timezone": "UTC",
}


class _Gate:
    """Counts the users of connections, and can hold new users back until all others have ended."""

    def __init__(self) -> None:
        self._users = 0
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._is_open = asyncio.Event()
        self._is_open.set()

    @asynccontextmanager
    async def pass_through(self) -> AsyncIterator[None]:
        """A user may use a connection inside."""
        await self._is_open.wait()
        self._users += 1
        self._is_idle.clear()
        try:
            yield
        finally:
            self._users -= 1
            if self._users == 0:
                self._is_idle.set()

    @asynccontextmanager
    async def closed(self, *, within_seconds: float) -> AsyncIterator[None]:
        """No user begins inside; all earlier users have ended, or took too long."""
        self._is_open.clear()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(within_seconds):
                    await self._is_idle.wait()
            yield
        finally:
            self._is_open.set()


class Connections:
    """Opens connections at their first use, and anew after they broke. Bound to one event loop.

    The pools of asyncpg serve readers and upkeep. Ingest, deliveries and the passing of time have connections of their
    own, because a pool was measured to cost more. Each lease took 33 instead of 7 µs (the release is another task), and
    each statement goes through a proxy, so a transaction of five statements took 0.50 instead of 0.42 ms.
    """

    def __init__(self, dialer: Dialer, *, read_dialer: Dialer | None = None) -> None:
        self.dialer = dialer
        self._read_dialer = read_dialer or dialer
        self._writers = asyncio.Semaphore(_WRITERS)
        self._idle_writers: list[Connection] = []
        self._delivering = asyncio.Lock()
        self._deliverer: Connection | None = None
        self._keeping = asyncio.Lock()
        self._keeper: Connection | None = None
        self._pool: asyncpg.Pool[Any] | None = None
        self._upkeep_pool: asyncpg.Pool[Any] | None = None
        self.gate = _Gate()
        self.is_opening = False

    @asynccontextmanager
    async def writer(self) -> AsyncIterator[Connection]:
        """A connection for commits of ingest. It is dropped if its user fails in an unknown state."""
        async with self._writers, self.gate.pass_through():
            connection = await self._idle_writer()
            try:
                yield connection
            except (asyncpg.PostgresError, asyncpg.DataError, ValueError):
                self._idle_writers.append(connection)
                raise
            except BaseException:
                connection.terminate()
                raise
            else:
                self._idle_writers.append(connection)

    @asynccontextmanager
    async def deliverer(self) -> AsyncIterator[Connection]:
        """The connection that leases and settles deliveries; one user at a time, so it never crowds out ingest.

        A user gives a silent server up after `DELIVER_TIMEOUT_SECONDS`, the wait for the connection included. A server
        that vanished without a word would else hold up every target until the network notices.
        """
        async with asyncio.timeout(DELIVER_TIMEOUT_SECONDS), self._delivering, self.gate.pass_through():
            if self._deliverer is None or self._deliverer.is_closed():
                self._deliverer = await self._connect_writer()
            with _dropped_when_unknown(self._deliverer):
                yield self._deliverer

    @asynccontextmanager
    async def keeper(self) -> AsyncIterator[Connection]:
        """The connection of the jobs that run every second; one user at a time. It probes by key, as ingest does.

        A user gives a silent server up, as on `deliverer`.
        """
        async with asyncio.timeout(DELIVER_TIMEOUT_SECONDS), self._keeping, self.gate.pass_through():
            if self._keeper is None or self._keeper.is_closed():
                self._keeper = await _connect(self.dialer, _WRITER_SETTINGS, work="keeper")
            with _dropped_when_unknown(self._keeper):
                yield self._keeper

    async def _idle_writer(self) -> Connection:
        while self._idle_writers:
            connection = self._idle_writers.pop()
            if not connection.is_closed():
                return connection
        return await self._connect_writer()

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[Connection]:
        """A connection for reading; waits at most `READ_TIMEOUT_SECONDS` for a connection.

        The server breaks a read off after the same time. If the server does not even say so, the reader gives the
        connection up. Before the schema is known to exist this raises: a read would be an error in the server's log.

        Raises: StorageUnavailable.
        """
        if self.is_opening:
            raise StorageUnavailable("the schema is not known to be there yet")
        if self._pool is None:
            self._pool = asyncpg.create_pool(
                connect=self._connect_reader,
                min_size=0,
                max_size=_READERS,
                reset=_keep_session,
            )
            await self._pool
        async with self.gate.pass_through(), self._pool.acquire(timeout=READ_TIMEOUT_SECONDS) as connection:
            try:
                async with asyncio.timeout(READ_TIMEOUT_SECONDS + _GRACE_SECONDS):
                    yield connection  # type: ignore[misc]  # a proxy with the connection's own methods
            except TimeoutError:
                connection.terminate()
                raise

    @asynccontextmanager
    async def upkeep(self, *, within_seconds: float = _SLOW_SECONDS) -> AsyncIterator[Connection]:
        """A connection for a job that looks after the tables; it stays open for the next job.

        A job may use it for `within_seconds`. A connection that broke, or whose server is silent, is replaced.
        """
        if self._upkeep_pool is None:
            self._upkeep_pool = asyncpg.create_pool(
                connect=self._connect_upkeep,
                min_size=0,
                max_size=_UPKEEPERS,
                max_inactive_connection_lifetime=_KEEP_UPKEEP_SECONDS,
                reset=_keep_session,
            )
            await self._upkeep_pool
        async with self.gate.pass_through(), self._upkeep_pool.acquire(timeout=within_seconds) as connection:
            with _dropped_when_unknown(connection):  # type: ignore[arg-type]  # a proxy with its own methods
                async with asyncio.timeout(within_seconds):
                    yield connection  # type: ignore[misc]  # as above

    @asynccontextmanager
    async def single(self, *, is_reading: bool = False) -> AsyncIterator[Connection]:
        """A new connection for slow work, closed at the end. `is_reading` prefers the replica, if there is one."""
        dialer = self._read_dialer if is_reading else self.dialer
        async with self.gate.pass_through():
            connection = await _connect_slow(dialer)
            try:
                yield connection
            finally:
                connection.terminate()

    async def close(self) -> None:
        """Close all connections, without a wait for a server that is gone."""
        while self._idle_writers:
            self._idle_writers.pop().terminate()
        for connection in (self._deliverer, self._keeper):
            if connection is not None:
                connection.terminate()
        for pool in (self._pool, self._upkeep_pool):
            if pool is not None:
                pool.terminate()
        self._pool = self._upkeep_pool = None

    async def _connect_writer(self) -> Connection:
        return await _connect(self.dialer, _WRITER_SETTINGS, work="ingest")

    async def _connect_reader(self, *_: Any, **__: Any) -> Connection:
        """The pool calls this, with arguments that are known here already."""
        return await _connect(self._read_dialer, _READER_SETTINGS, work="read")

    async def _connect_upkeep(self, *_: Any, **__: Any) -> Connection:
        """The pool of upkeep calls this, as the other calls `_connect_reader`."""
        return await _connect_slow(self.dialer)


async def _connect_slow(dialer: Dialer) -> Connection:
    """A connection for work that may take long."""
    return await _connect(dialer, {"timezone": "UTC"}, work="upkeep", command_seconds=_SLOW_SECONDS)


async def _connect(
    dialer: Dialer, settings: dict[str, str], *, work: str, command_seconds: float | None = None
) -> Connection:
    connection = await dialer.connect(
        settings, work=work, timeout_seconds=CONNECT_TIMEOUT_SECONDS, command_seconds=command_seconds
    )
    await _keep_times_exact(connection)
    return connection


async def _keep_times_exact(connection: Connection) -> None:
    """Set a codec that keeps all times exact, without a round trip.

    asyncpg's own codec takes the first and the last microsecond of `datetime` for infinity, and costs twice as much.
    """
    await connection.set_type_codec(
        "timestamptz", schema="pg_catalog", encoder=_encode_time, decoder=_decode_time, format="tuple"
    )


def _encode_time(time: datetime) -> tuple[int]:
    since = time - _EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds,)


def _decode_time(microseconds: tuple[int]) -> datetime:
    return _EPOCH + timedelta(0, 0, microseconds[0])


async def _keep_session(connection: Connection) -> None:
    """Do nothing: readers leave their session as it is, so no round trip has to reset it."""


@contextmanager
def _dropped_when_unknown(connection: Connection) -> Iterator[None]:
    """Drops a connection that its user leaves in an unknown state: after any error but that of a statement."""
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.DataError, ValueError):
        raise
    except BaseException:
        connection.terminate()
        raise
