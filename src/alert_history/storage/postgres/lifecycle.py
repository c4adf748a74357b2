"""PostgreSQL: opening, checking, closing."""

import asyncio
from contextlib import AbstractAsyncContextManager

import structlog

from alert_history.errors import AlertHistoryError, StorageUnavailable
from alert_history.storage.postgres.connection import Connections, storage_errors
from alert_history.storage.shared.tables import SCHEMA_HEAD

_CHECK_TIMEOUT_SECONDS = 2
_QUIET_WITHIN_SECONDS = 2

_log = structlog.get_logger()


class PostgresLifecycle:
    """See `ports.Lifecycle`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def open(self) -> None:
        """Migrate if the schema is behind. A schema from a newer release is left alone and served."""
        self._connections.is_opening = True
        with storage_errors():
            version = await self._version()
        if version is None or version < SCHEMA_HEAD:
            await self._upgrade()
            _log.info("schema_migrated", was=version, now=SCHEMA_HEAD)
        self._connections.is_opening = False

    async def check(self) -> dict[str, str]:
        """See `ports.Lifecycle.check`."""
        try:
            async with asyncio.timeout(_CHECK_TIMEOUT_SECONDS):
                with storage_errors():
                    version = await self._version()
        except TimeoutError:
            return {"database": "no answer", "schema": "unknown"}
        except AlertHistoryError as error:
            return {"database": str(error), "schema": "unknown"}
        if version is None:
            return {"database": "ok", "schema": "missing: run alert-history migrate"}
        if version < SCHEMA_HEAD:
            return {"database": "ok", "schema": f"{version} is behind {SCHEMA_HEAD}"}
        return {"database": "ok", "schema": "ok"}

    def quiet(self) -> AbstractAsyncContextManager[None]:
        """See `ports.Lifecycle.quiet`."""
        return self._connections.gate.closed(within_seconds=_QUIET_WITHIN_SECONDS)

    async def close(self) -> None:
        """See `ports.Lifecycle.close`."""
        await self._connections.close()

    async def _version(self) -> str | None:
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
