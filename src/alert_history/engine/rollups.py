"""The background job of the numbers: adds up what ingest changed, counts an old history once, forgets old numbers."""

import asyncio
from collections.abc import Callable
from datetime import date, timedelta

import structlog

from alert_history.engine.upkeep import dropped_before, every, until_done
from alert_history.errors import Busy
from alert_history.ports import Clock, Rollups, StoredSettings

_FOLD_SECONDS = 2.0
_COUNT_SECONDS = 30.0
_FORGET_SECONDS = 3600.0

_log = structlog.get_logger()


async def keep_rollups(rollups: Rollups, settings: StoredSettings, *, retention: timedelta, clock: Clock) -> None:
    """Run the jobs until cancelled. A job that fails is logged and tried again at its next turn."""
    async with asyncio.TaskGroup() as tasks:
        fold = lambda: until_done(lambda _: rollups.fold(), clock(), share=rollups.share)  # noqa: E731  # used once
        tasks.create_task(every(_FOLD_SECONDS, "rollups", fold))
        tasks.create_task(every(_COUNT_SECONDS, "count_history", lambda: _count_once(rollups, settings)))
        forget = lambda: rollups.forget((clock() - retention).date())  # noqa: E731  # as above
        tasks.create_task(every(_FORGET_SECONDS, "forget_rollups", forget))


async def _count_once(rollups: Rollups, settings: StoredSettings) -> None:
    """Count a history that is older than its numbers; one replica does it."""
    if await rollups.is_counted():
        return
    try:
        number = await count_anew(rollups, settings)
    except Busy:
        return
    _log.info("history_counted", occurrences=number)


async def count_anew(
    rollups: Rollups, settings: StoredSettings, *, progress: Callable[[int], None] = lambda _: None
) -> int:
    """Count all occurrences anew; how many. The numbers of days stay whose occurrences may be dropped already.

    Raises: Busy, StorageUnavailable.
    """
    return await rollups.count_anew(keep_before=await _first_whole_day(settings), progress=progress)


async def _first_whole_day(settings: StoredSettings) -> date | None:
    """The first day, UTC, all of whose occurrences are still here; None where none was ever dropped."""
    before = await dropped_before(settings)
    return None if before is None else before.date() + timedelta(days=1)
