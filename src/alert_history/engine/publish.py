"""Publishing: who is told, and the workers that tell them, one a target.

A target that hangs, fails or limits its rate holds up its own worker and nobody else's. What a worker may not
do now it leaves in the outbox, so nothing of it is lost with this process.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from time import perf_counter
from typing import Protocol

import msgspec
import structlog
from aiolimiter import AsyncLimiter
from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState

from alert_history.domain.alert import Alert
from alert_history.domain.delivery import Attempt, Leased, Routing, Settlement, is_given_up, retry_at
from alert_history.domain.occurrence import Event
from alert_history.domain.routes import Routes
from alert_history.domain.routing import news_of, reason_to_withhold, regrouped, route
from alert_history.domain.target import Message, Outgoing, Sent, TargetSpec
from alert_history.errors import AlertHistoryError, Rejected, Retryable
from alert_history.ports import Clock, Outbox, Target

LEASE = timedelta(seconds=30)
"""How long a killed replica's deliveries wait before another takes them over."""

_SEND_SECONDS = 10.0  # one attempt
_BATCH_SECONDS = 10  # a batch is no more than the rate allows in this time, so that leases outlive it
_MAX_BATCH = 64
_POLL_SECONDS = 1.0  # for what other replicas queued, and what becomes due
_BREAKER_FAILURES = 5
_BREAKER_SECONDS = 15.0

_log = structlog.get_logger()

MakeTarget = Callable[[TargetSpec], Target]
Regroup = Callable[[TargetSpec, Outgoing], Outgoing | None]
"""An alert in the group that the routes put it into for a target; None where its own group stays."""


class PublishingObserver(Protocol):
    """Who counts what happens."""

    def attempted(self, target: str, status: str, seconds: float | None) -> None:
        """One delivery came to `success`, `failure`, `dead` or `superseded`."""
        ...


class TargetHealth(msgspec.Struct):
    """What this process knows of a target since it started, or since it was changed.

    `gone` is what it said when it wanted no more messages (410): then it is sent none, until it is changed.
    """

    succeeded: int = 0
    failed: int = 0
    last_success_at: datetime | None = None
    last_failure: str | None = None
    is_paused_until: datetime | None = None
    consecutive_failures: int = 0
    gone: str | None = None


class Publisher:
    """All targets and their workers. `found` is what discovery calls; `route` is the recorder's router."""

    def __init__(self, outbox: Outbox, *, make: MakeTarget, clock: Clock, observer: PublishingObserver) -> None:
        self._outbox = outbox
        self._make = make
        self._clock = clock
        self._observer = observer
        self._specs: dict[str, TargetSpec] = {}
        self._workers: dict[str, tuple[TargetSpec, TargetWorker, asyncio.Task[None]]] = {}
        self.routes: Routes | None = None
        """The routes in force; None where each target's own query decides alone."""

    @property
    def specs(self) -> list[TargetSpec]:
        """All targets, broken ones too, by priority and name."""
        return sorted(self._specs.values(), key=lambda spec: (-spec.priority, spec.name))

    def health(self, name: str) -> TargetHealth:
        """How a target fares."""
        held = self._workers.get(name)
        return held[1].health if held else TargetHealth()

    def target(self, name: str) -> Target | None:
        """A working target by name."""
        held = self._workers.get(name)
        return held[1].target if held else None

    def takes_follow_ups(self, name: str) -> bool:
        """Whether a target can be told afterwards what an alert means."""
        held = self._workers.get(name)
        return held is not None and held[1].target.takes_follow_ups

    def __call__(self, alert: Alert, event: Event) -> Routing | None:
        """See `ports.Router`."""
        return route(self.specs, news_of(alert, event), routes=self.routes)

    def found(self, specs: Sequence[TargetSpec]) -> None:
        """Take these as all the targets there are: start, replace and stop workers. Needs a running loop."""
        wanted: dict[str, TargetSpec] = {}
        for spec in specs:
            wanted[spec.name] = self._with_worker(spec)
        for name in [name for name in self._workers if name not in wanted]:
            self._stop_worker(name)
        self._specs = wanted

    def wake(self) -> None:
        """There may be new work."""
        for _, worker, _ in self._workers.values():
            worker.wake()

    async def stop(self) -> None:
        """Stop all workers; what they hold goes back to the outbox."""
        tasks = [self._stop_worker(name) for name in list(self._workers)]
        await asyncio.gather(*tasks, return_exceptions=True)

    def _with_worker(self, spec: TargetSpec) -> TargetSpec:
        """Make sure that a usable target has a worker of exactly this spec; the spec, with a fault if it has one."""
        held = self._workers.get(spec.name)
        if held is not None:
            if held[0] == spec:
                return spec
            self._stop_worker(spec.name)
        if spec.fault is not None or not spec.is_enabled:
            return spec
        try:
            target = self._make(spec)
        except ValueError as error:
            return msgspec.structs.replace(spec, fault=str(error))
        worker = TargetWorker(
            spec, target, outbox=self._outbox, clock=self._clock, observer=self._observer, regroup=self._regroup
        )
        task = asyncio.create_task(worker.run(), name=f"target {spec.name}")
        self._workers[spec.name] = (spec, worker, task)
        return spec

    def _regroup(self, spec: TargetSpec, alert: Outgoing) -> Outgoing | None:
        return None if self.routes is None else regrouped(alert, target=spec, routes=self.routes)

    def _stop_worker(self, name: str) -> asyncio.Task[None]:
        _, _, task = self._workers.pop(name)
        task.cancel()
        return task


class TargetWorker:
    """Leases a target's deliveries, makes them within its limits, and settles them."""

    def __init__(
        self,
        spec: TargetSpec,
        target: Target,
        *,
        outbox: Outbox,
        clock: Clock,
        observer: PublishingObserver,
        regroup: Regroup,
    ) -> None:
        self.target = target
        self.health = TargetHealth()
        self._spec = spec
        self._name = spec.name
        self._regroup = regroup
        self._outbox = outbox
        self._clock = clock
        self._observer = observer
        self._wake = asyncio.Event()
        rate = spec.rate_limit_per_minute or target.default_rate_per_minute
        self._limiter = _limiter(rate)
        self._batch = max(1, min(_MAX_BATCH, int(rate / 60 * _BATCH_SECONDS)))
        self._breakers = AsyncCircuitBreakerFactory(
            default_threshold=_BREAKER_FAILURES, default_ttl=_BREAKER_SECONDS, exclude=[Rejected]
        )

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._wake.clear()
            try:
                is_busy = await self._round()
            except AlertHistoryError as error:
                _log.warning("outbox_unavailable", target=self._name, reason=str(error))
                is_busy = False
            if not is_busy:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_SECONDS):
                        await self._wake.wait()

    async def _round(self) -> bool:
        """One batch; whether there was any work."""
        now = self._clock()
        if self.health.is_paused_until is not None and now < self.health.is_paused_until:
            return False
        leased, superseded = await self._outbox.lease(self._name, now=now, limit=self._batch, lease_for=LEASE)
        for _ in range(superseded):
            self._observer.attempted(self._name, "superseded", None)
        if not leased:
            return False
        settlements: list[tuple[Leased, Settlement]] = []
        try:
            async with asyncio.TaskGroup() as tasks:
                for message in self._messages(self._wanted(leased, settlements)):
                    tasks.create_task(self._deliver(message, settlements))
        finally:
            await asyncio.shield(self._settle(leased, settlements))
        return True

    def _wanted(self, leased: Sequence[Leased], settlements: list[tuple[Leased, Settlement]]) -> list[Leased]:
        """What the target wants to hear, now that it is classified; the rest is settled with the reason."""
        wanted = []
        for one in leased:
            reason = reason_to_withhold(self._spec, one)
            if reason is None:
                wanted.append(one)
            else:
                settlements.append(
                    (one, Settlement(one.id, "superseded", Attempt(self._clock(), "withheld", reason, 0)))
                )
                self._observer.attempted(self._name, "superseded", None)
        return wanted

    def _messages(self, leased: Sequence[Leased]) -> list[list[Leased]]:
        """What is sent at once where the target speaks of groups; else each alone.

        Alertmanager's group is what one receipt holds of it; a group of the routes is all of it that is due.
        """
        if not self.target.speaks_of_groups:
            return [[one] for one in leased]
        groups: dict[tuple[str, str, datetime | None], list[Leased]] = {}
        for one in sorted(leased, key=lambda one: one.id):  # so that the same alerts have the same key again
            alert = self._regroup(self._spec, one.alert)
            if alert is None:
                groups.setdefault((one.alert.group_key, one.alert.receiver, one.created_at), []).append(one)
            else:
                regrouped = msgspec.structs.replace(one, alert=alert)
                groups.setdefault((alert.group_key, alert.receiver, None), []).append(regrouped)
        return list(groups.values())

    async def _deliver(self, leased: Sequence[Leased], settlements: list[tuple[Leased, Settlement]]) -> None:
        message = Message(leased[0].id, tuple(one.alert for one in leased))
        async with self._limiter:
            begin = perf_counter()
            result = await self._attempt(message)
            seconds = perf_counter() - begin
        now = self._clock()
        self._note(result, now=now)
        for one in leased:
            settlement = _settlement(one, result, now=now, milliseconds=round(seconds * 1000))
            settlements.append((one, settlement))
            status = {"delivered": "success", "dead": "dead", "pending": "failure"}[settlement.state]
            self._observer.attempted(self._name, status, seconds)

    async def _attempt(self, message: Message) -> Sent | Exception:
        if self.health.gone is not None:
            return Rejected(f"the target wants no more messages: {self.health.gone}", is_gone=True)
        breaker = await self._breakers.get_breaker(self._name)
        try:
            async with breaker, asyncio.timeout(_SEND_SECONDS):
                return await self.target.send(message)
        except OpenedState:
            return Retryable("the circuit breaker is open after repeated failures", after_seconds=_BREAKER_SECONDS)
        except TimeoutError:
            return Retryable(f"no answer within {_SEND_SECONDS:.0f} s")
        except (Retryable, Rejected) as error:
            return error
        except Exception as error:  # noqa: BLE001  # a target's bug must not end its worker
            _log.exception("target_failed", target=self._name)
            return Retryable(f"unexpected {type(error).__name__}")

    def _note(self, result: Sent | Exception, *, now: datetime) -> None:
        health = self.health
        if isinstance(result, Sent):
            health.succeeded += 1
            health.last_success_at = now
            health.consecutive_failures = 0
            return
        health.failed += 1
        health.consecutive_failures += 1
        health.last_failure = str(result)
        if isinstance(result, Rejected) and result.is_gone and health.gone is None:
            health.gone = str(result)
            _log.warning("target_gone", target=self._name, reason=health.gone)
        if isinstance(result, Retryable) and result.after_seconds is not None:
            until = now + timedelta(seconds=min(result.after_seconds, 3600))
            health.is_paused_until = max(until, health.is_paused_until or until)

    async def _settle(self, leased: Sequence[Leased], settlements: list[tuple[Leased, Settlement]]) -> None:
        """Keep what came of the batch; what was not tried goes back at once."""
        tried = {settlement.id for _, settlement in settlements}
        now = self._clock()
        handed_back = Attempt(now, "handed_back", "the worker was stopped", 0)
        left = [(one, Settlement(one.id, "pending", handed_back, due_at=now)) for one in leased if one.id not in tried]
        await self._outbox.settle([*settlements, *left])


def _limiter(rate_per_minute: float) -> AsyncLimiter:
    """No burst above a second's worth (or a single message, where the rate is below one a second)."""
    a_second = rate_per_minute / 60
    return AsyncLimiter(max(a_second, 1), max(1.0, 1 / a_second))


def _settlement(leased: Leased, result: Sent | Exception, *, now: datetime, milliseconds: int) -> Settlement:
    if isinstance(result, Sent):
        attempt = Attempt(now, "delivered", "", milliseconds)
        return Settlement(leased.id, "delivered", attempt, external_id=result.external_id)
    if isinstance(result, Rejected) or is_given_up(now, created_at=leased.created_at, attempt=leased.attempt):
        return Settlement(leased.id, "dead", Attempt(now, "dead", str(result), milliseconds))
    after = result.after_seconds if isinstance(result, Retryable) else None
    due_at = retry_at(now, attempt=leased.attempt, randomness=random.random(), at_least=after)  # noqa: S311  # jitter
    return Settlement(leased.id, "pending", Attempt(now, "retried", str(result), milliseconds), due_at=due_at)
