"""`alert-history replay`: dead deliveries are due again."""

import asyncio
import os
from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from alert_history.cli.console import print_line
from alert_history.cli.store import require, using_store
from alert_history.config import Settings, load_settings
from alert_history.errors import ConfigurationError


def replay(
    *,
    dead_letters: Annotated[bool, Parameter(negative="", help="All that are dead; has to be said.")] = False,
    target: Annotated[str | None, Parameter(help="Only those to this target.")] = None,
) -> int:
    """Queue dead deliveries, with their idempotency keys unchanged. Raises: ConfigurationError on wrong usage."""
    if not dead_letters:
        raise ConfigurationError(["replay needs --dead-letters: it tells targets again what they did not take"])
    replayed = asyncio.run(_replay(load_settings(os.environ), target))
    print_line(f"{replayed} dead deliveries are due again")
    return 0


async def _replay(settings: Settings, target: str | None) -> int:
    async with using_store(settings) as store:
        await require(store, settings)
        return await store.delivery_log.replay(now=datetime.now(UTC), target=target)
