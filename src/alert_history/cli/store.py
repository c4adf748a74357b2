"""The store of a command: opened, checked for use, and closed again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from alert_history.config import Settings
from alert_history.domain.standing import DEFAULT_RULES, Rules
from alert_history.errors import StorageUnavailable
from alert_history.ports import Router, Store
from alert_history.storage import open_store
from alert_history.telemetry.logs import configure_logging
from alert_history.urls.secret import revealed


@asynccontextmanager
async def using_store(
    settings: Settings, *, router: Router | None = None, rules: Rules = DEFAULT_RULES
) -> AsyncIterator[Store]:
    """The store of this configuration, closed at the end. Nothing is created or migrated.

    `router` decides which targets are notified of the command's changes; without a router none is. `rules` are those of
    the store's claims. Logs go to standard error meanwhile, because standard output is for results.
    """
    configure_logging(level=settings.log_level, is_json=settings.log_format == "json")
    store = open_store(
        settings.database_url.reveal(),
        read_database_url=revealed(settings.read_database_url),
        router=router,
        rules=rules,
    )
    try:
        yield store
    finally:
        await store.lifecycle.close()


def on_primary(settings: Settings) -> Settings:
    """The same settings without the read replica: a replica that is away has a check of its own."""
    return settings.model_copy(update={"read_database_url": None})


async def faults_of(store: Store, settings: Settings) -> list[str]:
    """The faults that make the store unusable, a line each, with the database's name; empty if it is usable."""
    checks = await store.lifecycle.check()
    if checks["database"] != "ok":
        return [named(checks["database"], settings)]
    return [] if checks["schema"] == "ok" else [named(f"schema: {checks['schema']}", settings)]


def named(fault: str, settings: Settings) -> str:
    """A fault of the database, with the database's name."""
    return f"{settings.database_url}: {fault.removeprefix('database: ')}"


async def require(store: Store, settings: Settings) -> None:
    """Check that the store is usable. Raises StorageUnavailable with all faults."""
    if faults := await faults_of(store, settings):
        raise StorageUnavailable("; ".join(faults))
