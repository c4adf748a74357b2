"""The background job of the numbers: adds up what ingest changed, counts an old history once, forgets old numbers.

What past days come to is added up, too, so that a year is read as a few blocks of days.
"""

import asyncio
from datetime import timedelta

import structlog

from alert_history.engine.upkeep import every, until_done
from alert_history.errors import Busy
from alert_history.ports import Clock, Rollups

_FOLD_SECONDS = 2.0
_SEAL_SECONDS = 60.0
_COUNT_SECONDS = 30.0
_FORGET_SECONDS = 3600.0

_log = structlog.get_logger()


async def keep_rollups(rollups: Rollups, *, retention: timedelta, clock: Clock) -> None:
    """Run the jobs until cancelled. A job that fails is logged and tried again at its next turn."""
    async with asyncio.TaskGroup() as tasks:
        fold = lambda: until_done(lambda _: rollups.fold(), clock(), share=rollups.share)  # noqa: E731  # used once
        tasks.create_task(every(_FOLD_SECONDS, "rollups", fold))
        seal = lambda: until_done(lambda _: rollups.seal(), clock(), share=rollups.share)  # noqa: E731  # as above
        tasks.create_task(every(_SEAL_SECONDS, "seal_rollups", seal))
        tasks.create_task(every(_COUNT_SECONDS, "count_history", lambda: _count_once(rollups)))
        forget = lambda: rollups.forget((clock() - retention).date())  # noqa: E731  # as above
        tasks.create_task(every(_FORGET_SECONDS, "forget_rollups", forget))


async def _count_once(rollups: Rollups) -> None:
    """Count a history that is older than its numbers; one replica does it."""
    if await rollups.is_counted():
        return
    try:
        number = await rollups.count_anew(progress=lambda _: None)
    except Busy:
        return
    _log.info("history_counted", occurrences=number)
