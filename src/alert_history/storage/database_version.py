"""The version of the database, for people: asked once, and remembered."""

import asyncio
import sqlite3

from alert_history.errors import AlertHistoryError
from alert_history.storage import is_sqlite
from alert_history.storage.probe import probe

_SECONDS = 2.0


class DatabaseVersion:
    """Which database it is. A database that does not answer is asked again at the next call."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._known = f"SQLite {sqlite3.sqlite_version}" if is_sqlite(database_url) else None

    async def text(self) -> str | None:
        """`PostgreSQL 16.4`, or None where it does not answer within 2 s."""
        if self._known is None:
            try:
                async with asyncio.timeout(_SECONDS):
                    self._known = (await probe(self._url)).version
            except (AlertHistoryError, TimeoutError):
                return None
        return self._known
