"""Publishing over HTTP: targets, mode, statistics, deliveries, replay."""

import os
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request

from alert_history.domain.delivery import State
from alert_history.domain.permission import Permission
from alert_history.domain.receipt import RANDOM_ID_BYTES, time_ordered_id
from alert_history.domain.target import Message, Outgoing, TargetSpec
from alert_history.engine.publish import Publisher
from alert_history.engine.worker import TargetHealth
from alert_history.errors import DeliveryError, NotFound
from alert_history.ports import Clock, DeliveryFilter, Discovery, Outbox, QueueDepth, StoredDelivery
from alert_history.web.api.history import Limit
from alert_history.web.http.operation import Operation

_TAG = "Publishing"


class TargetAnswer(msgspec.Struct, frozen=True):
    """One target. `url` is masked; the counts are this process's since it started; `fault` says why it is not told.

    While targets can't be looked for, the last is `(discovery)`, and its `fault` says why.
    """

    name: str
    format: str
    url: str
    enabled: bool
    priority: int
    health_status: Literal["healthy", "degraded", "unhealthy", "unknown", "broken", "disabled"]
    total_publishes: int
    successful_publishes: int
    failed_publishes: int
    last_successful_publish: datetime | None
    last_failure: str | None
    queue_size: int
    match: str
    fault: str | None


class ModeAnswer(msgspec.Struct, frozen=True):
    """`intelligent` tells targets; `metrics_only` keeps history and tells nobody."""

    mode: Literal["intelligent", "metrics_only"]
    targets_available: bool
    targets_count: int
    last_discovery_refresh: datetime | None
    kubernetes_available: bool
    description: str
    discovery_fault: str | None


class StatsAnswer(msgspec.Struct, frozen=True):
    """Totals over all targets: attempts of this process since it started, and what waits in the outbox."""

    total_publishes: int
    successful_publishes: int
    failed_publishes: int
    success_rate: float | None
    queue_size: int
    oldest_queued_at: datetime | None
    targets_count: int


class TargetParameters(msgspec.Struct, frozen=True):
    """A target by name."""

    target: str


class TestAnswer(msgspec.Struct, frozen=True):
    """What came of a test message."""

    target: str
    is_delivered: bool
    reason: str


class RefreshAnswer(msgspec.Struct, frozen=True):
    """After a refresh."""

    targets_count: int
    last_discovery_refresh: datetime | None


class DeliveriesParameters(msgspec.Struct, frozen=True):
    """Which deliveries, newest first."""

    target: str | None = None
    state: State | None = None
    fingerprint: str | None = None
    limit: Limit = 50
    cursor: Annotated[str, Meta(description="`next_cursor` of the page before")] | None = None


class DeliveriesAnswer(msgspec.Struct, frozen=True):
    """A page of deliveries with their attempts."""

    deliveries: list[StoredDelivery]
    limit: int
    next_cursor: str | None


class DeliveryParameters(msgspec.Struct, frozen=True):
    """A delivery by id."""

    id: str


class ReplayAnswer(msgspec.Struct, frozen=True):
    """How many dead deliveries are due again."""

    replayed: int


class PublishingApi:
    """The handlers. `discovery` is None where no targets are looked for, and `nobody_is_told` says why."""

    def __init__(
        self,
        publisher: Publisher,
        outbox: Outbox,
        *,
        discovery: Discovery | None,
        nobody_is_told: str | None,
        clock: Clock,
    ) -> None:
        self._publisher = publisher
        self._outbox = outbox
        self._discovery = discovery
        self._nobody_is_told = nobody_is_told
        self._clock = clock

    def operations(self) -> list[Operation]:
        """All operations of this API."""
        return [*self._target_operations(), *self._delivery_operations()]

    def _target_operations(self) -> list[Operation]:
        return [
            _get("/publishing/targets", "Targets and how they fare", self.targets, list[TargetAnswer]),
            _get("/publishing/mode", "Whether anybody is told", self.mode, ModeAnswer),
            _get("/publishing/stats", "Totals over all targets", self.stats, StatsAnswer, failures=(503,)),
            Operation(
                path="/publishing/targets/refresh",
                method="POST",
                summary="Look for targets anew",
                handle=self.refresh,
                answer=RefreshAnswer,
                tag=_TAG,
                needs=Permission.OPERATE,
            ),
            Operation(
                path="/publishing/test/{target}",
                method="POST",
                summary="Send a test message to a target",
                handle=self.test,
                answer=TestAnswer,
                tag=_TAG,
                needs=Permission.OPERATE,
                parameters=TargetParameters,
                failures=(404,),
            ),
        ]

    def _delivery_operations(self) -> list[Operation]:
        return [
            Operation(
                path="/api/v1/deliveries",
                summary="Every delivery",
                handle=self.deliveries,
                answer=DeliveriesAnswer,
                tag=_TAG,
                needs=Permission.READ,
                parameters=DeliveriesParameters,
                failures=(400, 503),
            ),
            Operation(
                path="/api/v1/deliveries/{id}/replay",
                method="POST",
                summary="Queue a dead delivery again",
                handle=self.replay,
                answer=ReplayAnswer,
                tag=_TAG,
                needs=Permission.OPERATE,
                parameters=DeliveryParameters,
                failures=(404, 503),
            ),
        ]

    async def targets(self, _: Request, __: None) -> list[TargetAnswer]:
        """`GET /publishing/targets`."""
        depth = await self._outbox.depth()
        answers = [self._answer(spec, depth.get(spec.name)) for spec in self._publisher.specs]
        fault = None if self._discovery is None else self._discovery.state().fault
        if fault is not None:  # or who looks here would take the list for complete
            place = TargetSpec(_DISCOVERY, format="", fields={}, fault=fault)
            answers.append(self._answer(place, None))
        return answers

    async def mode(self, _: Request, __: None) -> ModeAnswer:
        """`GET /publishing/mode`."""
        usable = [spec for spec in self._publisher.specs if spec.fault is None and spec.is_enabled]
        state = None if self._discovery is None else self._discovery.state()
        is_telling = self._nobody_is_told is None and bool(usable)
        return ModeAnswer(
            mode="intelligent" if is_telling else "metrics_only",
            targets_available=bool(usable),
            targets_count=len(usable),
            last_discovery_refresh=None if state is None else state.refreshed_at,
            kubernetes_available=state is not None and state.kind == "kubernetes" and state.is_available,
            description=self._description(len(usable)),
            discovery_fault=None if state is None else state.fault,
        )

    async def stats(self, _: Request, __: None) -> StatsAnswer:
        """`GET /publishing/stats`."""
        depth = await self._outbox.depth()
        health = [self._publisher.health(spec.name) for spec in self._publisher.specs]
        succeeded, failed = sum(h.succeeded for h in health), sum(h.failed for h in health)
        return StatsAnswer(
            total_publishes=succeeded + failed,
            successful_publishes=succeeded,
            failed_publishes=failed,
            success_rate=succeeded / (succeeded + failed) if succeeded + failed else None,
            queue_size=sum(each.waiting for each in depth.values()),
            oldest_queued_at=min((each.oldest for each in depth.values()), default=None),
            targets_count=len(health),
        )

    async def refresh(self, _: Request, __: None) -> RefreshAnswer:
        """`POST /publishing/targets/refresh`."""
        refreshed_at = None
        if self._discovery is not None:
            await self._discovery.refresh()
            refreshed_at = self._discovery.state().refreshed_at
        return RefreshAnswer(len(self._publisher.specs), refreshed_at)

    async def test(self, _: Request, asked: TargetParameters) -> TestAnswer:
        """`POST /publishing/test/{target}`: one attempt, outside the outbox."""
        target = self._publisher.target(asked.target)
        if target is None:
            raise NotFound(f"no working target {asked.target!r}")
        try:
            await target.send(_test_message(self._clock()))
        except DeliveryError as error:
            return TestAnswer(asked.target, is_delivered=False, reason=str(error))
        return TestAnswer(asked.target, is_delivered=True, reason="")

    async def deliveries(self, _: Request, asked: DeliveriesParameters) -> DeliveriesAnswer:
        """`GET /api/v1/deliveries`."""
        wanted = DeliveryFilter(
            target=asked.target,
            state=asked.state,
            fingerprint=asked.fingerprint,
            limit=asked.limit,
            cursor=asked.cursor,
        )
        page = await self._outbox.deliveries(wanted)
        return DeliveriesAnswer(page.deliveries, asked.limit, page.next_cursor)

    async def replay(self, _: Request, asked: DeliveryParameters) -> ReplayAnswer:
        """`POST /api/v1/deliveries/{id}/replay`."""
        replayed = await self._outbox.replay(now=self._clock(), delivery_id=asked.id)
        self._publisher.wake()
        return ReplayAnswer(replayed)

    def _answer(self, spec: TargetSpec, depth: QueueDepth | None) -> TargetAnswer:
        health = self._publisher.health(spec.name)
        target = self._publisher.target(spec.name)
        return TargetAnswer(
            name=spec.name,
            format=spec.format,
            url="" if target is None else target.url_shown(),
            enabled=spec.is_enabled and spec.fault is None and health.gone is None,
            priority=spec.priority,
            health_status=_health_status(spec, health),
            total_publishes=health.succeeded + health.failed,
            successful_publishes=health.succeeded,
            failed_publishes=health.failed,
            last_successful_publish=health.last_success_at,
            last_failure=health.last_failure,
            queue_size=0 if depth is None else depth.waiting,
            match=spec.match_text,
            fault=spec.fault or (health.gone and f"it wants no more messages: {health.gone}"),
        )

    def _description(self, usable: int) -> str:
        if self._nobody_is_told is not None:
            return f"alerts are kept, nobody is told: {self._nobody_is_told}"
        if not usable:
            return "alerts are kept, nobody is told: no usable target was found"
        return f"alerts are passed on to {usable} target{'s' if usable > 1 else ''}"


_DISCOVERY = "(discovery)"  # no Secret can be called so
_UNHEALTHY_FAILURES = 5


def _health_status(
    spec: TargetSpec, health: TargetHealth
) -> Literal["healthy", "degraded", "unhealthy", "unknown", "broken", "disabled"]:
    if spec.fault is not None:
        return "broken"
    if not spec.is_enabled or health.gone is not None:
        return "disabled"
    if health.consecutive_failures >= _UNHEALTHY_FAILURES:
        return "unhealthy"
    if health.consecutive_failures:
        return "degraded"
    return "healthy" if health.succeeded else "unknown"


def _get(path: str, summary: str, handle: object, answer: object, *, failures: tuple[int, ...] = ()) -> Operation:
    return Operation(
        path=path,
        summary=summary,
        handle=handle,  # type: ignore[arg-type]  # one of this class's handlers
        answer=answer,
        tag=_TAG,
        needs=Permission.READ,
        failures=failures,
    )


def _test_message(now: datetime) -> Message:
    key = time_ordered_id(now, randomness=os.urandom(RANDOM_ID_BYTES))
    labels = {"alertname": "AlertHistoryTest", "severity": "info"}
    alert = Outgoing(
        occurrence_id=f"test-{key}",
        fingerprint="0" * 16,
        status="firing",
        event="fired",
        labels=labels,
        annotations={"summary": "A test message of Alert History; nothing is wrong"},
        starts_at=now,
        ends_at=None,
        at=now,
        receiver="test",
        group_key=f"test:{key}",
    )
    return Message(key, (alert,))
