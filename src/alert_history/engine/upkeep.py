"""The background jobs: forget old rows, make room for new ones."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from time import perf_counter
from typing import Self

import msgspec
import structlog

from alert_history.errors import AlertHistoryError
from alert_history.ports import AuditTrail, Clock, Moments, StoredSettings, Upkeep

_FORGET_SECONDS = 60.0
_SUMMARISE_SECONDS = 10.0
_FORGET_CLASSIFICATIONS_SECONDS = 3600.0  # each time, classifications that still serve are looked at again
_FORGET_AUDIT_SECONDS = 3600.0
_FORGET_MOMENTS_SECONDS = 3600.0
_SHORTEST_REST_SECONDS = 0.05  # between two steps of forgetting: ingest has the database to itself meanwhile
_LONGEST_REST_SECONDS = 5.0
_HOLD_SETTING = "retention_hold"

STANDING_RETENTION = timedelta(days=7)
"""How long after its last firing a label set is known without a look at its history; `engine.lapse` forgets it then."""

_log = structlog.get_logger()


class Retention:
    """How long rows are kept. Classifications are kept as long as history, or longer where `serves` is longer.

    The numbers of the history are kept for `rollups`, also when its occurrences are gone.
    """

    def __init__(
        self,
        *,
        history: timedelta,
        bodies: timedelta,
        serves: timedelta = timedelta(),
        rollups: timedelta = timedelta(days=1825),
        audit: timedelta = timedelta(days=365),
    ) -> None:
        self.history = history
        self.rollups = rollups
        self.audit = audit
        self.bodies = bodies
        self.classifications = max(history, serves)


class Hold(msgspec.Struct, frozen=True):
    """Until `until`, retention spares rows that were last received after `since`: they were restored to be read."""

    since: datetime
    until: datetime

    @classmethod
    async def read(cls, settings: StoredSettings, now: datetime) -> Self | None:
        """The hold that is in force, if one is."""
        value = await settings.read(_HOLD_SETTING)
        hold = None if value is None else msgspec.convert(value, cls)
        return hold if hold is not None and now < hold.until else None

    async def widen(self, settings: StoredSettings, now: datetime) -> None:
        """Put this hold in force, together with the hold that is in force already."""
        hold = await Hold.read(settings, now) or self
        wide = Hold(since=min(self.since, hold.since), until=max(self.until, hold.until))
        await settings.write(_HOLD_SETTING, msgspec.to_builtins(wide))


async def keep_up(upkeep: Upkeep, settings: StoredSettings, *, retention: Retention, clock: Clock) -> None:
    """Run all jobs until cancelled. A job that fails is logged and tried again at its next turn."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(every(upkeep.prepare_every.total_seconds(), "prepare", lambda: upkeep.prepare(clock())))
        summarise = lambda: until_done(upkeep.summarise, clock(), share=upkeep.summarising_share)  # noqa: E731  # as below
        tasks.create_task(every(_SUMMARISE_SECONDS, "summarise", summarise))
        forget_old = lambda: forget(upkeep, settings, retention=retention, now=clock())  # noqa: E731  # two words, used once
        tasks.create_task(every(_FORGET_SECONDS, "forget", forget_old))
        forget_words = lambda: forget_classifications(upkeep, retention=retention, now=clock())  # noqa: E731  # as above
        tasks.create_task(every(_FORGET_CLASSIFICATIONS_SECONDS, "forget_classifications", forget_words))


async def keep_audit(trail: AuditTrail, upkeep: Upkeep, *, retention: Retention, clock: Clock) -> None:
    """Forget the days of the audit past their retention, each hour, until cancelled."""

    async def drop() -> None:
        now = clock()
        step = partial(trail.drop, now=now)
        await until_done(step, now - retention.audit, share=upkeep.forgetting_share)

    await every(_FORGET_AUDIT_SECONDS, "forget_audit", drop)


async def keep_moments(
    moments: Moments, upkeep: Upkeep, settings: StoredSettings, *, retention: Retention, clock: Clock
) -> None:
    """Forget what no moment within the retention needs, each hour, until cancelled."""

    async def drop() -> None:
        before = await _history_since(settings, retention=retention, now=clock())
        await until_done(moments.drop, before, share=upkeep.forgetting_share)

    await every(_FORGET_MOMENTS_SECONDS, "forget_moments", drop)


async def forget(upkeep: Upkeep, settings: StoredSettings, *, retention: Retention, now: datetime) -> int:
    """Remove rows past their retention, in steps with rests between them; how many were removed."""
    share = upkeep.forgetting_share
    total = await until_done(upkeep.drop_bodies, now - retention.bodies, share=share)
    before = await _history_since(settings, retention=retention, now=now)
    total += await until_done(upkeep.drop_history, before, share=share)
    if total:
        _log.info("history_forgotten", rows=total)
    return total


async def _history_since(settings: StoredSettings, *, retention: Retention, now: datetime) -> datetime:
    """Since when history is kept: what was restored is kept, too."""
    hold = await Hold.read(settings, now)
    before = now - retention.history
    return before if hold is None else min(before, hold.since)


async def forget_classifications(upkeep: Upkeep, *, retention: Retention, now: datetime) -> None:
    """Remove classifications past their retention; in steps as well."""
    before = now - retention.classifications
    await until_done(upkeep.drop_classifications, before, share=upkeep.forgetting_share)


async def until_done(step: Callable[[datetime], Awaitable[int]], time: datetime, *, share: float) -> int:
    """Do step after step until one returns 0, each followed by a rest: the steps take that share of the time.

    A step that takes no time is followed by a short rest. How much the steps returned in all.
    """
    total = 0
    begin = perf_counter()
    while rows := await step(time):
        total += rows
        rest = (perf_counter() - begin) * (1 / share - 1)
        await asyncio.sleep(min(max(rest, _SHORTEST_REST_SECONDS), _LONGEST_REST_SECONDS))
        begin = perf_counter()
    return total


async def every(seconds: float, job: str, work: Callable[[], Awaitable[object]]) -> None:
    """Do a job again and again, with so long a rest between. A job that fails is logged and tried at its next turn."""
    while True:
        try:
            await work()
        except AlertHistoryError as error:
            _log.warning("job_failed", job=job, reason=str(error))
        except Exception:  # noqa: BLE001  # a job's bug must not end the service that records
            _log.exception("job_failed", job=job)
        await asyncio.sleep(seconds)
