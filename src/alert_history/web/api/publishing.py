"""Publishing over HTTP: targets, mode, statistics, deliveries, replay.

Holds parameters and answers; what is asked and done is in `engine.targets`.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request

from alert_history.domain.delivery import State
from alert_history.domain.permission import Permission
from alert_history.engine.targets import HealthStatus, Readiness, Targets, TargetState
from alert_history.ports import DeliveryFilter, DeliveryLog, StoredDelivery
from alert_history.web.http.operation import Operation
from alert_history.web.http.parameters import Limit

_TAG = "Publishing"


class TargetAnswer(msgspec.Struct, frozen=True):
    """One target. `url` is masked; this process counts since it started; `fault` says why the target is not notified.

    While discovery fails, the last target is `(discovery)`, and its `fault` says why.
    """

    name: str
    format: str
    url: str
    enabled: bool
    priority: int
    health_status: HealthStatus
    total_publishes: int
    successful_publishes: int
    failed_publishes: int
    last_successful_publish: datetime | None
    last_failure: str | None
    queue_size: int
    match: str
    fault: str | None


class ModeAnswer(msgspec.Struct, frozen=True):
    """`intelligent` notifies targets; `metrics_only` keeps history and notifies no target."""

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
    """How many dead letters are due again."""

    replayed: int


class PublishingApi:
    """The handlers, on the targets and the delivery log."""

    def __init__(self, targets: Targets, deliveries: DeliveryLog) -> None:
        self._targets = targets
        self._deliveries = deliveries

    def operations(self) -> list[Operation]:
        """All operations of this API."""
        return [*self._target_operations(), *self._delivery_operations()]

    def _target_operations(self) -> list[Operation]:
        return [
            _get("/publishing/targets", "Targets and how they fare", self.targets, list[TargetAnswer]),
            _get("/publishing/mode", "Whether targets are notified", self.mode, ModeAnswer),
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
                keeps_to_reach=True,
                parameters=DeliveriesParameters,
                failures=(400, 503),
            ),
            Operation(
                path="/api/v1/deliveries/{id}/replay",
                method="POST",
                summary="Queue a dead letter again",
                handle=self.replay,
                answer=ReplayAnswer,
                tag=_TAG,
                needs=Permission.OPERATE,
                keeps_to_reach=True,
                parameters=DeliveryParameters,
                failures=(404, 503),
            ),
        ]

    async def targets(self, _: Request, __: None) -> list[TargetAnswer]:
        """`GET /publishing/targets`."""
        return [_answer(state) for state in await self._targets.states()]

    async def mode(self, _: Request, __: None) -> ModeAnswer:
        """`GET /publishing/mode`."""
        readiness = self._targets.readiness()
        discovery = readiness.discovery
        return ModeAnswer(
            mode="intelligent" if readiness.is_notifying else "metrics_only",
            targets_available=bool(readiness.usable),
            targets_count=readiness.usable,
            last_discovery_refresh=None if discovery is None else discovery.refreshed_at,
            kubernetes_available=discovery is not None and discovery.kind == "kubernetes" and discovery.is_available,
            description=_description(readiness),
            discovery_fault=None if discovery is None else discovery.fault,
        )

    async def stats(self, _: Request, __: None) -> StatsAnswer:
        """`GET /publishing/stats`."""
        totals = await self._targets.totals()
        return StatsAnswer(
            total_publishes=totals.succeeded + totals.failed,
            successful_publishes=totals.succeeded,
            failed_publishes=totals.failed,
            success_rate=totals.success_rate,
            queue_size=totals.waiting,
            oldest_queued_at=totals.oldest,
            targets_count=totals.targets,
        )

    async def refresh(self, _: Request, __: None) -> RefreshAnswer:
        """`POST /publishing/targets/refresh`."""
        return RefreshAnswer(*await self._targets.refresh())

    async def test(self, _: Request, asked: TargetParameters) -> TestAnswer:
        """`POST /publishing/test/{target}`: one attempt, outside the outbox."""
        fault = await self._targets.test(asked.target)
        return TestAnswer(asked.target, is_delivered=fault is None, reason=fault or "")

    async def deliveries(self, _: Request, asked: DeliveriesParameters) -> DeliveriesAnswer:
        """`GET /api/v1/deliveries`."""
        wanted = DeliveryFilter(
            target=asked.target,
            state=asked.state,
            fingerprint=asked.fingerprint,
            limit=asked.limit,
            cursor=asked.cursor,
        )
        page = await self._deliveries.deliveries(wanted)
        return DeliveriesAnswer(page.deliveries, asked.limit, page.next_cursor)

    async def replay(self, _: Request, asked: DeliveryParameters) -> ReplayAnswer:
        """`POST /api/v1/deliveries/{id}/replay`."""
        return ReplayAnswer(await self._targets.replay(asked.id))


def _answer(state: TargetState) -> TargetAnswer:
    health = state.health
    return TargetAnswer(
        name=state.spec.name,
        format=state.spec.format,
        url=state.url,
        enabled=state.is_enabled,
        priority=state.spec.priority,
        health_status=state.status,
        total_publishes=health.succeeded + health.failed,
        successful_publishes=health.succeeded,
        failed_publishes=health.failed,
        last_successful_publish=health.last_success_at,
        last_failure=health.last_failure,
        queue_size=state.waiting,
        match=state.spec.match_text,
        fault=state.fault,
    )


def _description(readiness: Readiness) -> str:
    if readiness.nobody is not None:
        return f"alerts are kept, nobody is told: {readiness.nobody}"
    if not readiness.usable:
        return "alerts are kept, nobody is told: no usable target was found"
    return f"alerts are passed on to {readiness.usable} target{'s' if readiness.usable > 1 else ''}"


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
