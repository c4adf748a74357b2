"""`alert-history mcp`: the history for programs that speak the Model Context Protocol, over standard input."""

import asyncio
import os
import signal

from alert_history.bootstrap import utc_now
from alert_history.bootstrap_mcp import make_toolbox
from alert_history.bootstrap_moments import make_moment_states
from alert_history.bootstrap_statistics import make_explaining, make_statistics
from alert_history.cli.store import require, using_store
from alert_history.config import Settings, load_settings
from alert_history.engine.united_history import with_archive
from alert_history.mcp import stdio


def mcp() -> None:
    """Answer until the client closes our input. Raises: ConfigurationError, StorageUnavailable."""
    stdio.check_installed()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a thread waits for input, which Python would wait for, too
    asyncio.run(_serve(load_settings(os.environ)))


async def _serve(settings: Settings) -> None:
    async with using_store(settings) as opened:
        await require(opened, settings)
        store = with_archive(opened)
        statistics = make_statistics(settings, store, clock=utc_now)
        moments = make_moment_states(settings, opened, clock=utc_now)
        explaining = make_explaining(settings, store, whole=opened, clock=utc_now)
        await stdio.serve(make_toolbox(statistics, moments, store, explaining=explaining, clock=utc_now))
