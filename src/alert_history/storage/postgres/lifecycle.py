"""PostgreSQL: opening, checking, closing."""

import asyncio
from contextlib import AbstractAsyncContextManager

from alert_history.errors import StorageUnavailable
from alert_history.storage.postgres.connection import Connections
from alert_history.storage.postgres.driver_errors import storage_errors
from alert_history.storage.shared import lifecycle

_QUIET_WITHIN_SECONDS = 2


class PostgresLifecycle:
    """See `ports.Lifecycle`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def open(self) -> None:
        """See `ports.Lifecycle.open`."""
        self._connections.is_opening = True
        await lifecycle.bring_to_head(self._version, upgrade=self._upgrade)
        self._connections.is_opening = False

    async def check(self) -> dict[str, str]:
        """See `ports.Lifecycle.check`. It connects anew each time, on purpose.

        A server may refuse new connections, because of a changed password or too many connections. A connection that
        stays open would show this only after it broke.
        """
        return await lifecycle.check(self._version)

    def quiet(self) -> AbstractAsyncContextManager[None]:
        """See `ports.Lifecycle.quiet`."""
        return self._connections.gate.closed(within_seconds=_QUIET_WITHIN_SECONDS)

    async def close(self) -> None:
        """See `ports.Lifecycle.close`."""
        await self._connections.close()

    async def _version(self) -> str | None:
        with storage_errors():
            async with self._connections.single() as connection:
                if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
                    return None
                version = await connection.fetchval("SELECT version_num FROM alembic_version")
                return None if version is None else str(version)

    async def _upgrade(self) -> None:
        from sqlalchemy.exc import DBAPIError

        from alert_history.storage.migrations.run import upgrade_postgres

        try:
            with storage_errors():
                await asyncio.to_thread(upgrade_postgres, self._connections.dialer)
        except DBAPIError as error:
            raise StorageUnavailable(f"migration: {error.orig}") from error
