"""The targets, for their operators: the state of each, a test message, a new look for targets, dead letters again.

Must not decide which targets are notified (`domain.notifying` does), and must not make deliveries (`worker` does).
"""

import asyncio
from datetime import datetime
from typing import Literal

import msgspec

from alert_history.domain.target import Message, Outgoing, TargetSpec
from alert_history.engine.intake import MakeId
from alert_history.engine.publish import Publisher
from alert_history.engine.reach import check_sees_all, is_narrowed
from alert_history.engine.worker import Pause, TargetHealth
from alert_history.errors import DeliveryError, NotFound
from alert_history.ports import Clock, DeliveryLog, Discovery, DiscoveryState, QueueDepth

HealthStatus = Literal["healthy", "degraded", "unhealthy", "unknown", "broken", "disabled"]

_DISCOVERY = "(discovery)"  # a name that no Secret can have
_UNHEALTHY_FAILURES = 5


class TargetState(msgspec.Struct, frozen=True):
    """A target, its health since this process started, and how many deliveries wait for it. `url` is masked.

    `oldest` is when the delivery that waits longest was due; `dead` is how many dead letters it has.
    """

    spec: TargetSpec
    health: TargetHealth
    url: str
    waiting: int
    oldest: datetime | None = None
    dead: int = 0
    pause: Pause | None = None
    rate_per_minute: float | None = None

    @property
    def is_enabled(self) -> bool:
        """Whether deliveries are sent to the target."""
        return self.spec.is_enabled and self.spec.fault is None and self.health.gone is None

    @property
    def fault(self) -> str | None:
        """Why deliveries stay unsent, where that is a fault."""
        return self.spec.fault or (self.health.gone and f"it wants no more messages: {self.health.gone}")

    @property
    def status(self) -> HealthStatus:
        """Its health in a word."""
        if self.spec.fault is not None:
            return "broken"
        if not self.spec.is_enabled or self.health.gone is not None:
            return "disabled"
        if self.health.consecutive_failures >= _UNHEALTHY_FAILURES:
            return "unhealthy"
        if self.health.consecutive_failures:
            return "degraded"
        return "healthy" if self.health.succeeded else "unknown"


class Totals(msgspec.Struct, frozen=True):
    """Over all targets: attempts of this process since it started, and deliveries that wait in the outbox."""

    succeeded: int
    failed: int
    waiting: int
    oldest: datetime | None
    targets: int

    @property
    def success_rate(self) -> float | None:
        """From 0 to 1; None before the first attempt."""
        attempts = self.succeeded + self.failed
        return self.succeeded / attempts if attempts else None


class Readiness(msgspec.Struct, frozen=True):
    """Whether targets can be notified. `usable` is how many can be; `nobody` is why the settings exclude all of them.

    `discovery` is None where the settings notify no target.
    """

    nobody: str | None
    usable: int
    discovery: DiscoveryState | None

    @property
    def is_notifying(self) -> bool:
        """Whether some target is notified."""
        return self.nobody is None and self.usable > 0


class Left(msgspec.Struct, frozen=True):
    """What is left for a target that is gone: deliveries that wait, and dead letters."""

    target: str
    waiting: int
    dead: int


class Overview(msgspec.Struct, frozen=True):
    """All targets by priority and name, what is left for others, and whether any target can be notified."""

    states: list[TargetState]
    left: list[Left]
    readiness: Readiness


class Targets:
    """Shows and tries the targets of a publisher. `nobody` is why no target is notified; None where targets may be.

    `discovery` is None where the settings notify no target.
    """

    def __init__(
        self,
        publisher: Publisher,
        deliveries: DeliveryLog,
        *,
        discovery: Discovery | None,
        nobody: str | None,
        clock: Clock,
        make_id: MakeId,
    ) -> None:
        self._publisher = publisher
        self._deliveries = deliveries
        self._discovery = discovery
        self._nobody = nobody
        self._clock = clock
        self._make_id = make_id

    async def states(self) -> list[TargetState]:
        """All targets, by priority and name. While discovery has a fault, the last entry stands for discovery itself.

        Raises: StorageUnavailable.
        """
        depth = await self._deliveries.depth()
        states = [self._state(spec, depth.get(spec.name)) for spec in self._publisher.specs]
        fault = None if self._discovery is None else self._discovery.state().fault
        if fault is not None:  # without this entry the list would look complete
            states.append(self._state(TargetSpec(_DISCOVERY, format="", fields={}, fault=fault), None))
        return states

    async def overview(self) -> Overview:
        """All targets with their dead letters, and what is left for others that are gone. Raises StorageUnavailable."""
        depth, dead = await asyncio.gather(self._deliveries.depth(), self._deliveries.dead())
        states = [self._state(spec, depth.get(spec.name), dead.get(spec.name, 0)) for spec in self._publisher.specs]
        gone = sorted((depth.keys() | dead.keys()) - {state.spec.name for state in states})
        left = [Left(name, depth[name].waiting if name in depth else 0, dead.get(name, 0)) for name in gone]
        return Overview(states, left, self.readiness())

    @property
    def names(self) -> list[str]:
        """The names of all targets; none for who sees some alerts only."""
        return [] if is_narrowed() else [spec.name for spec in self._publisher.specs]

    async def dead_letters(self) -> dict[str, int]:
        """How many dead letters each target has. Raises StorageUnavailable."""
        return await self._deliveries.dead()

    async def totals(self) -> Totals:
        """The totals over all targets. Raises StorageUnavailable."""
        depth = await self._deliveries.depth()
        healths = [self._publisher.health(spec.name) for spec in self._publisher.specs]
        return Totals(
            succeeded=sum(health.succeeded for health in healths),
            failed=sum(health.failed for health in healths),
            waiting=sum(queue.waiting for queue in depth.values()),
            oldest=min((queue.oldest for queue in depth.values()), default=None),
            targets=len(healths),
        )

    def readiness(self) -> Readiness:
        """Whether targets can be notified now."""
        usable = [spec for spec in self._publisher.specs if spec.fault is None and spec.is_enabled]
        return Readiness(self._nobody, len(usable), None if self._discovery is None else self._discovery.state())

    async def refresh(self) -> tuple[int, datetime | None]:
        """Look for targets anew: how many there are, and when discovery last knew for certain. Raises Forbidden."""
        check_sees_all()
        refreshed_at = None
        if self._discovery is not None:
            await self._discovery.refresh()
            refreshed_at = self._discovery.state().refreshed_at
        return len(self._publisher.specs), refreshed_at

    async def test(self, name: str) -> str | None:
        """Send a test message, in one attempt and outside the outbox: why the target refused it; None if it took it.

        Raises: NotFound where no target of that name works; Forbidden for who sees some alerts only.
        """
        check_sees_all()
        target = self._publisher.target(name)
        if target is None:
            raise NotFound(f"no working target {name!r}")
        now = self._clock()
        try:
            await target.send(_test_message(self._make_id(now), now))
        except DeliveryError as error:
            return str(error)
        return None

    async def replay_all(self, target: str) -> int:
        """Queue the dead letters of a target again: how many were queued. Raises StorageUnavailable."""
        replayed = await self._deliveries.replay(now=self._clock(), target=target)
        self._publisher.wake([target])
        return replayed

    async def replay(self, delivery_id: str) -> int:
        """Queue a dead letter again: how many were queued. Raises NotFound or StorageUnavailable."""
        replayed = await self._deliveries.replay(now=self._clock(), delivery_id=delivery_id)
        self._publisher.wake()
        return replayed

    def _state(self, spec: TargetSpec, depth: QueueDepth | None, dead: int = 0) -> TargetState:
        target = self._publisher.target(spec.name)
        return TargetState(
            spec,
            self._publisher.health(spec.name),
            url="" if target is None else target.url_shown(),
            waiting=0 if depth is None else depth.waiting,
            oldest=None if depth is None else depth.oldest,
            dead=dead,
            pause=self._publisher.pause(spec.name),
            rate_per_minute=self._publisher.rate_per_minute(spec.name),
        )


def _test_message(key: str, now: datetime) -> Message:
    alert = Outgoing(
        occurrence_id=f"test-{key}",
        fingerprint="0" * 16,
        status="firing",
        event="fired",
        labels={"alertname": "AlertHistoryTest", "severity": "info"},
        annotations={"summary": "A test message of Alert History; nothing is wrong"},
        starts_at=now,
        ends_at=None,
        at=now,
        receiver="test",
        group_key=f"test:{key}",
    )
    return Message(key, (alert,))
