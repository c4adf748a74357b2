"""What reconcile is measured by."""

from datetime import datetime

from prometheus_client import CollectorRegistry, Counter

from alert_history.telemetry.metrics import gauge


class ReconcileMetrics:
    """What reconcile counts. An origin's name is the operator's own, so it may be a label."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._corrections = Counter(
            "alert_history_corrections_total",
            "What was set right on the word of an Alertmanager or a Prometheus that was asked.",
            ["source", "kind"],
            registry=registry,
        )
        self._answered = gauge(
            "origin_answered_timestamp_seconds",
            "When that Alertmanager or Prometheus last answered, whichever replica asked.",
            registry,
            ["source"],
            of_workers="livemax",
        )

    def corrected(self, source: str, kind: str, count: int) -> None:
        """Count what was set right; with 0 it is counted from nothing, so that the first one is an increase."""
        self._corrections.labels(source, kind).inc(count)

    def answered(self, source: str, at: datetime) -> None:
        """Set when an origin last answered."""
        self._answered.labels(source).set(at.timestamp())
