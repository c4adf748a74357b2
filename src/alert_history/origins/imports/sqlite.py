"""Another program's SQLite file, read some rows at a time and never written. Must not know whose tables they are."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from alert_history.errors import ConfigurationError, ImportFault

_ROWS = 1000

T = TypeVar("T")


class ForeignSqlite:
    """A file of another program. Made by `open_sqlite`. Each question is asked in a thread, so that nobody waits."""

    def __init__(self, connection: Any, *, name: str) -> None:
        self._connection = connection
        self.name = name
        """The path of the file, as it was given."""

    async def columns(self, table: str) -> frozenset[str]:
        """The names of the columns of a table; none where there is no such table."""
        rows = await self._ask(lambda: self._all(f'PRAGMA table_info("{table}")'))
        return frozenset(row["name"] for row in rows)

    async def count(self, table: str) -> int:
        """How many rows a table has."""
        rows = await self._ask(lambda: self._all(f'SELECT count(*) AS number FROM "{table}"'))  # a name of ours
        number: int = rows[0]["number"]
        return number

    async def rows(self, table: str) -> AsyncIterator[list[dict[str, Any]]]:
        """All rows of a table by the names of columns, some at a time, in the order of the table."""
        cursor = await self._ask(lambda: self._connection.execute(f'SELECT * FROM "{table}"'))  # as above
        while rows := await self._ask(lambda: cursor.fetchmany(_ROWS)):
            yield [dict(row) for row in rows]

    def _all(self, statement: str) -> list[Any]:
        rows: list[Any] = self._connection.execute(statement).fetchall()
        return rows

    async def _ask(self, question: Callable[[], T]) -> T:
        """Raises: ImportFault, which names the file."""
        import sqlite3  # only who reads a file loads its library

        try:
            return await asyncio.to_thread(question)
        except sqlite3.Error as error:
            raise ImportFault(f"{self.name}: {error}") from None


@asynccontextmanager
async def open_sqlite(path: str) -> AsyncIterator[ForeignSqlite]:
    """The file of that path. Raises: ConfigurationError where there is none; ImportFault where it can't be read."""
    import sqlite3  # as above

    if not await asyncio.to_thread(Path(path).is_file):
        raise ConfigurationError([f"{path}: there is no such file"])
    try:
        connection = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, check_same_thread=False)
    except sqlite3.Error as error:
        raise ImportFault(f"{path}: {error}") from None
    try:
        connection.row_factory = sqlite3.Row
        connection.text_factory = _text
        yield ForeignSqlite(connection, name=path)
    finally:
        await asyncio.to_thread(connection.close)


def _text(raw: bytes) -> str:
    """A text of the file. A byte that is no UTF-8 becomes a lone surrogate, which the reader of the row refuses."""
    return raw.decode(errors="surrogateescape")
