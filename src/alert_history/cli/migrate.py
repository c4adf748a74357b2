"""`alert-history migrate`: the schema, from the command line."""

import asyncio
import os
from typing import Annotated

from cyclopts import Parameter

from alert_history.cli.console import print_error, print_line
from alert_history.cli.store import faults_of, using_store
from alert_history.config import Settings, load_settings, masked_url


def migrate(
    *,
    check: Annotated[
        bool, Parameter(negative="", show_default=False, help="Change nothing; exit with 1 if the schema is behind.")
    ] = False,
) -> int:
    """Exit code 0 if the schema is at head now. Raises: ConfigurationError, StorageUnavailable."""
    settings = load_settings(os.environ)
    return asyncio.run(_migrate(settings, only_check=check))


async def _migrate(settings: Settings, *, only_check: bool) -> int:
    async with using_store(settings) as store:
        if not only_check:
            await store.lifecycle.open()
        faults = await faults_of(store)
    for fault in faults:
        print_error(fault)
    if not faults:
        print_line(f"{masked_url(settings.database_url)} is at head")
    return int(bool(faults))
