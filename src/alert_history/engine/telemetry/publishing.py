"""The metrics of publishing."""

from collections import Counter as PyCounter
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram

from alert_history.domain.target import TargetSpec
from alert_history.telemetry.metrics import LATENCY_BUCKETS, gauge


class PublishingMetrics:
    """Counts what publishing does. A target's name is the operator's own, so it may be a label."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._attempts = Counter(
            "alert_history_publishing_total",
            "Deliveries by how an attempt, or the delivery itself, ended.",
            ["target", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "alert_history_publishing_duration_seconds",
            "One attempt.",
            ["target"],
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self._queue = gauge("publishing_queue_size", "Deliveries that wait.", registry, ["target"])
        self._oldest = gauge("publishing_oldest_seconds", "Age of the oldest that waits.", registry, ["target"])
        self._rate = gauge(
            "publishing_success_rate", "Delivered ÷ ended attempts since the start.", registry, ["target"]
        )
        self._targets = gauge("publishing_targets_discovered", "Targets found, broken ones too.", registry)
        self._broken = gauge("publishing_targets_broken", "Targets that can't be used as they are.", registry)
        self._dead = gauge("dead_letters", "Dead letters that are kept.", registry, ["target"])
        self._paused = gauge(
            "target_paused",
            "1 while it is left alone: breaker open, Retry-After, or gone.",
            registry,
            ["target"],
            of_workers="livemax",
        )
        self._outcomes: dict[str, PyCounter[str]] = {}

    def attempted(self, target: str, status: str, seconds: float | None) -> None:
        """Count how an attempt ended, or a superseded delivery, whose `seconds` are None."""
        self._attempts.labels(target, status).inc()
        if seconds is not None:
            self._seconds.labels(target).observe(seconds)
        outcomes = self._outcomes.setdefault(target, PyCounter())
        outcomes[status] += 1
        tried = outcomes["success"] + outcomes["failure"] + outcomes["dead"]
        if tried:
            self._rate.labels(target).set(outcomes["success"] / tried)

    def queued(self, target: str, *, waiting: int, oldest_seconds: float) -> None:
        """Set how many deliveries wait for a target, and for how long."""
        self._queue.labels(target).set(waiting)
        self._oldest.labels(target).set(oldest_seconds)

    def paused(self, target: str, *, is_paused: bool) -> None:
        """Set whether a target is left alone."""
        self._paused.labels(target).set(is_paused)

    def dead(self, target: str, *, letters: int) -> None:
        """Set how many dead letters of a target there are."""
        self._dead.labels(target).set(letters)

    def discovered(self, targets: Sequence[TargetSpec]) -> None:
        """Set how many targets there are. Each end of attempts starts at 0, so the first is an increase."""
        self._targets.set(len(targets))
        self._broken.set(sum(target.fault is not None for target in targets))
        for target in targets:
            for status in ("success", "failure", "dead", "superseded"):
                self._attempts.labels(target.name, status)
