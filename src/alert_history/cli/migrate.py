"""`alert-history migrate`: the schema, from the command line."""

import asyncio
import os
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from alert_history.cli.console import print_error, print_line
from alert_history.cli.store import faults_of, named, using_store
from alert_history.config import Settings, load_settings
from alert_history.errors import StorageUnavailable
from alert_history.ports import Store

_RETRY_SECONDS = 1.0


def migrate(
    *,
    check: Annotated[
        bool, Parameter(negative="", show_default=False, help="Change nothing; exit with 1 if the schema is behind.")
    ] = False,
    wait: Annotated[
        int, Parameter(help="Seconds to try again while the database can't be reached.", validator=Number(gte=0))
    ] = 0,
) -> int:
    """Exit code 0 if the schema is at head now. Raises: ConfigurationError, StorageUnavailable."""
    settings = load_settings(os.environ)
    return asyncio.run(_migrate(settings, only_check=check, wait_seconds=wait))


async def _migrate(settings: Settings, *, only_check: bool, wait_seconds: int) -> int:
    async with using_store(settings) as store:
        if not only_check:
            await _open(store, settings, wait_seconds=wait_seconds)
        faults = await faults_of(store, settings)
    for fault in faults:
        print_error(fault)
    if not faults:
        print_line(f"{settings.database_url} is at head")
    return int(bool(faults))


async def _open(store: Store, settings: Settings, *, wait_seconds: int) -> None:
    """Bring the schema to head, and wait for a database that is starting. Raises: StorageUnavailable."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + wait_seconds
    while True:
        try:
            await store.lifecycle.open()
        except StorageUnavailable as error:
            text = named(str(error), settings)
            if loop.time() + _RETRY_SECONDS > ends_at:
                raise StorageUnavailable(text) from error
            print_error(f"{text}; trying again")
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            return
