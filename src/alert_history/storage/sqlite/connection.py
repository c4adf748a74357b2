"""SQLite: one thread that writes, and a few that read.

All access goes through `sqlite3` of the standard library: a second SQLite in one process would break the file locks of
the first.
"""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Concatenate, ParamSpec, TypeVar

import msgspec

from alert_history.domain.query import Query
from alert_history.storage.sqlite.driver_errors import storage_errors
from alert_history.storage.sqlite.turns import Turns

READ_TIMEOUT_SECONDS = 5
_READERS = 4
_BUSY_TIMEOUT_SECONDS = 4
_WRITER_CACHE_KIB = 32 * 1024
_READER_CACHE_KIB = 4 * 1024
_STEPS_BETWEEN_CHECKS = 20_000
_PAGE_BYTES = 4096

P = ParamSpec("P")
T = TypeVar("T")

_read_texts = msgspec.json.Decoder(dict[str, str]).decode


class Connections:
    """Threads with a connection each: one thread writes, the others read."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="sqlite-writer")
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="sqlite-reader")
        self._checkpointer = ThreadPoolExecutor(1, thread_name_prefix="sqlite-checkpoint")
        self._local = threading.local()
        self.turns = Turns()

    async def write(
        self,
        work: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run a work in the thread that writes, in one immediate transaction, committed when this returns."""

        def run() -> T:
            connection = self._connection(_WRITER_CACHE_KIB, is_writer=True)
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection, *args, **kwargs)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk has rolled it back already
                    connection.execute("ROLLBACK")
                raise
            return result

        with storage_errors():
            async with self.turns.alone():
                return await asyncio.get_running_loop().run_in_executor(self._writer, run)

    async def read(
        self,
        work: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run a work in a thread that reads, in one snapshot; it is broken off after `READ_TIMEOUT_SECONDS`."""

        def run() -> T:
            connection = self._connection(_READER_CACHE_KIB, is_writer=False)
            connection.execute("BEGIN")
            try:
                with time_limit(connection, READ_TIMEOUT_SECONDS):
                    return work(connection, *args, **kwargs)
            finally:
                connection.execute("ROLLBACK")

        with storage_errors():
            return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    async def checkpoint(self, *, restart_above_bytes: int) -> None:
        """Copy the write-ahead log into the file; a log that is longer than `restart_above_bytes` begins anew.

        The log begins anew with the first commit that finds all of it copied, which never happens under constant
        writes. So the thread that writes then copies the rest: this holds up commits for one fsync (≈ 15 ms), where a
        checkpoint that waits for the write lock makes commits poll for the lock (≈ 35 ms).
        """

        def run(cache_kib: int) -> int:
            connection = self._connection(cache_kib, is_writer=True)
            _, log_pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            return int(log_pages)

        with storage_errors():
            loop = asyncio.get_running_loop()
            log_pages = await loop.run_in_executor(self._checkpointer, run, _READER_CACHE_KIB)
            if log_pages * _PAGE_BYTES > restart_above_bytes:
                async with self.turns.alone():
                    await loop.run_in_executor(self._writer, run, _WRITER_CACHE_KIB)

    def close(self) -> None:
        """Let the threads finish their work, and close their connections."""
        for executor in (self._writer, self._readers, self._checkpointer):
            executor.shutdown(wait=True)

    def _connection(self, cache_kib: int, *, is_writer: bool) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = open_connection(self.path, cache_kib=cache_kib, is_writer=is_writer)
            self._local.connection = connection
        return connection


def open_connection(path: str, *, cache_kib: int, is_writer: bool) -> sqlite3.Connection:
    """A connection with our settings and functions; the file must exist. Raises sqlite3.Error."""
    mode = "rw" if is_writer else "ro"
    connection = sqlite3.connect(
        f"file:{_quoted(path)}?mode={mode}",
        uri=True,
        isolation_level=None,
        timeout=_BUSY_TIMEOUT_SECONDS,
        check_same_thread=False,
        cached_statements=256,
    )
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA cache_size = -{cache_kib}")
    connection.execute("PRAGMA journal_size_limit = 67108864")  # a log that grew under load gives its disk back
    connection.execute("PRAGMA wal_autocheckpoint = 50000")  # the upkeep job does it long before that
    connection.row_factory = sqlite3.Row
    connection.create_function("matches_query", 3, _QueryFunction(), deterministic=True)
    return connection


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


class _QueryFunction:
    """`matches_query(labels, annotations, query)`: the matching of the domain, where no index can answer."""

    def __init__(self) -> None:
        self._text = ""
        self._query = Query((), ())

    def __call__(self, labels: str, annotations: str, query: str) -> bool:
        if query != self._text:
            self._query = msgspec.json.decode(query, type=Query)
            self._text = query
        texts = _read_texts(annotations) if self._query.words else {}
        return self._query.matches(_read_texts(labels), texts)


@contextmanager
def time_limit(connection: sqlite3.Connection, seconds: float) -> Iterator[None]:
    """Interrupt statements that run past the limit (sqlite3.OperationalError 'interrupted')."""
    end = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS_BETWEEN_CHECKS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)
