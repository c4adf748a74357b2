"""The state of this moment, measured every few seconds for metrics. Must not decide anything by a measurement.

Measuring runs beside scrapes, so a scrape is answered at once even where the database hangs.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol

import structlog

from alert_history.engine.publish import Publisher
from alert_history.engine.worker import TargetHealth
from alert_history.errors import AlertHistoryError
from alert_history.ports import Clock, DeliveryLog, QueueDepth

_QUEUE_SECONDS = 5.0
_DEAD_SECONDS = 15.0  # counting costs what there is to count
_CHECK_SECONDS = 5.0

_log = structlog.get_logger()


class PublishingGaugeObserver(Protocol):
    """Shows how publishing stands. A target that was removed is shown with zeros."""

    def queued(self, target: str, *, waiting: int, oldest_seconds: float) -> None:
        """So many deliveries wait for a target, the oldest for so long."""
        ...

    def paused(self, target: str, *, is_paused: bool) -> None:
        """Whether a target is left alone for now: its breaker is open, it asked for time, or it is gone."""
        ...

    def dead(self, target: str, *, letters: int) -> None:
        """So many dead letters of a target are stored."""
        ...


class CheckObserver(Protocol):
    """Shows what `/readyz` says."""

    def checked(self, check: str, *, is_ok: bool) -> None:
        """One check of `/readyz`."""
        ...


class PublishingGauges:
    """Measures queues, dead letters and targets."""

    def __init__(
        self, publisher: Publisher, deliveries: DeliveryLog, *, observer: PublishingGaugeObserver, clock: Clock
    ) -> None:
        self._publisher = publisher
        self._deliveries = deliveries
        self._observer = observer
        self._clock = clock
        self._shown: set[str] = set()
        self._shown_dead: set[str] = set()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_every(_QUEUE_SECONDS, self.measure_queues))
            tasks.create_task(_every(_DEAD_SECONDS, self.measure_dead))

    async def measure_queues(self) -> None:
        """Once, as of now. Raises StorageUnavailable."""
        depth = await self._deliveries.depth()
        now = self._clock()
        self._shown |= {spec.name for spec in self._publisher.specs} | depth.keys()
        for name in self._shown:
            waiting, oldest_seconds = _depth(depth.get(name), now)
            self._observer.queued(name, waiting=waiting, oldest_seconds=oldest_seconds)
            self._observer.paused(name, is_paused=is_paused(self._publisher.health(name), now))

    async def measure_dead(self) -> None:
        """Once, as of now. Raises StorageUnavailable."""
        dead = await self._deliveries.dead()
        self._shown_dead |= {spec.name for spec in self._publisher.specs} | dead.keys()
        for name in self._shown_dead:
            self._observer.dead(name, letters=dead.get(name, 0))


def is_paused(health: TargetHealth, now: datetime) -> bool:
    """Whether a target is left alone now."""
    return health.gone is not None or (health.is_paused_until is not None and now < health.is_paused_until)


async def follow_checks(checks: Callable[[], Awaitable[dict[str, str]]], observer: CheckObserver) -> None:
    """Show the checks until cancelled. A check that has ended, such as `startup`, is shown as ok."""
    shown: set[str] = set()

    async def look() -> None:
        states = await checks()
        shown.update(states)
        for name in shown:
            observer.checked(name, is_ok=states.get(name, "ok") == "ok")

    await _every(_CHECK_SECONDS, look)


def _depth(queue: QueueDepth | None, now: datetime) -> tuple[int, float]:
    if queue is None:
        return 0, 0.0
    return queue.waiting, max(0.0, (now - queue.oldest).total_seconds())


async def _every(seconds: float, measure: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await measure()
        except AlertHistoryError:
            pass  # the next turn may see more; that the database is down is a check of its own
        except Exception:  # noqa: BLE001  # what is measured must not end the service that records
            _log.exception("measuring_failed")
        await asyncio.sleep(seconds)
