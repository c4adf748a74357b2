"""What the version of a schema means to a store that opens, and to a check of the store."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from alert_history.errors import AlertHistoryError
from alert_history.storage.shared.tables import SCHEMA_HEAD

_CHECK_TIMEOUT_SECONDS = 2

_log = structlog.get_logger()

Version = Callable[[], Awaitable[str | None]]
"""Reads the version of the schema; None for a database without a schema. Raises StorageUnavailable."""


async def bring_to_head(version: Version, *, upgrade: Callable[[], Awaitable[None]]) -> None:
    """Migrate a schema that is behind. A schema of a newer release stays as it is, and the store serves it."""
    was = await version()
    if was is None or was < SCHEMA_HEAD:
        await upgrade()
        _log.info("schema_migrated", was=was, now=SCHEMA_HEAD)


async def check(version: Version) -> dict[str, str]:
    """See `ports.Lifecycle.check`."""
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT_SECONDS):
            there = await version()
    except TimeoutError:
        return {"database": "no answer", "schema": "unknown"}
    except AlertHistoryError as error:
        return {"database": str(error), "schema": "unknown"}
    if there is None:
        return {"database": "ok", "schema": "missing: run alert-history migrate"}
    if there < SCHEMA_HEAD:
        return {"database": "ok", "schema": f"{there} is behind {SCHEMA_HEAD}"}
    return {"database": "ok", "schema": "ok"}
