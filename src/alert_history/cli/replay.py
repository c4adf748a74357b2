"""`alert-history replay`: dead letters are due again."""

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
    dead_letters: Annotated[bool, Parameter(negative="", help="All of them; has to be said.")] = False,
    target: Annotated[str | None, Parameter(help="Only those to this target.")] = None,
) -> int:
    """Queue dead letters, with their idempotency keys unchanged. Raises: ConfigurationError on wrong usage."""
    if not dead_letters:
        raise ConfigurationError(["replay needs --dead-letters: it tells targets again what they did not take"])
    words = asyncio.run(_replay(load_settings(os.environ), target))
    print_line(words)
    return 0


async def _replay(settings: Settings, target: str | None) -> str:
    """Queue them; what is said of that."""
    async with using_store(settings) as store:
        await require(store, settings)
        dead = await store.delivery_log.dead()
        replayed = await store.delivery_log.replay(now=datetime.now(UTC), target=target)
    if replayed:
        return f"{replayed} dead letter{'s are' if replayed != 1 else ' is'} due again"
    if dead.get(target, 0) if target is not None else sum(dead.values()):
        return "no dead letter is due again: of each alert the target knows newer news by now"
    return f"there is no dead letter{'' if target is None else f' of {target}'}, so nothing is due again"
