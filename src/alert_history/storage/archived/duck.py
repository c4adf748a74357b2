"""DuckDB as archives are read with it: in memory, locked, and with no way to any file but those of a question.

Each question gets a database of its own, which is gone after the answer. It loads no extension, writes nothing to the
disk, and takes a bounded part of memory; one question runs at a time.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from threading import Lock
from types import ModuleType
from typing import Any

import msgspec

from alert_history.errors import ArchiveFault, QueryTimeout, SettingLacking

READ_SECONDS = 5.0
"""As long as a read of the database may take."""

MEMORY = "256MB"
_THREADS = 2
_INSTALL = "reading an archive needs the packages of the extra archive: pip install 'duckdb>=1.4' 'pyarrow>=22'"
_OPEN: Mapping[str, str] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
    "python_enable_replacements": "false",
    "memory_limit": MEMORY,
    "preserve_insertion_order": "false",
    "temp_directory": "",
    "threads": str(_THREADS),
}

Row = tuple[Any, ...]


class Question(msgspec.Struct, frozen=True):
    """A statement, its values, and the files that it may open."""

    sql: str
    values: Sequence[Any]
    files: Sequence[str]


class Duck:
    """Answers questions. Raises SettingLacking without the package, ArchiveFault for files that can't be read."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)

    async def ask(self, question: Question, *, seconds: float = READ_SECONDS) -> list[Row]:
        """The rows of the answer. Raises QueryTimeout where it takes longer, its turn included."""
        if not question.files:
            return []
        duckdb = require_duckdb()
        try:
            async with asyncio.timeout(seconds), self._its_turn(), _Run(duckdb, question).running() as rows:
                return await rows
        except TimeoutError:
            raise QueryTimeout(f"the archive was read for {seconds:g} s without an end; narrow the time") from None

    @asynccontextmanager
    async def _its_turn(self) -> AsyncIterator[None]:
        async with self._turn:
            yield


class _Run:
    """One question on its way, in a thread. It can be stopped from outside, before its database is open, too."""

    def __init__(self, duckdb: ModuleType, question: Question) -> None:
        self._duckdb = duckdb
        self._question = question
        self._lock = Lock()
        self._stop: Callable[[], None] | None = None
        self._is_stopped = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator["asyncio.Future[list[Row]]"]:
        """Inside it the question is answered; at its end the thread is, too."""
        task = asyncio.ensure_future(asyncio.to_thread(self._answer))
        try:
            yield asyncio.shield(task)
        finally:
            self._interrupt()
            await asyncio.wait({task})
            task.exception()  # of a question that was stopped nobody else asks

    def _interrupt(self) -> None:
        with self._lock:
            self._is_stopped = True
            if self._stop is not None:
                self._stop()

    def _answer(self) -> list[Row]:
        try:
            connection = self._duckdb.connect(":memory:", config=dict(_OPEN))
            try:
                self._lock_up(connection)
                with self._lock:
                    self._stop = connection.interrupt
                    is_stopped = self._is_stopped
                return [] if is_stopped else self._fetch(connection)
            finally:
                with self._lock:
                    self._stop = None
                connection.close()
        except self._duckdb.OutOfMemoryException as error:
            raise QueryTimeout(f"the archive needs more than {MEMORY} of memory for that; narrow the time") from error
        except self._duckdb.Error as error:
            raise ArchiveFault(f"the archive can't be read: {error}") from error

    def _lock_up(self, connection: Any) -> None:
        """Leave it the files of the question, and no way to change that."""
        connection.execute("SET allowed_paths = ?", [list(self._question.files)])
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")

    def _fetch(self, connection: Any) -> list[Row]:
        rows: list[Row] = connection.execute(self._question.sql, list(self._question.values)).fetchall()
        return rows


def require_duckdb() -> ModuleType:
    """The package. Raises SettingLacking that says how to install it."""
    try:
        import duckdb
        import pyarrow as pa  # noqa: F401  # a shelf on S3 needs it; the extra brings both
    except ImportError:
        raise SettingLacking(_INSTALL) from None
    module: ModuleType = duckdb
    return module
