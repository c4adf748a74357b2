"""The metrics of reconcile."""

from datetime import datetime

from prometheus_client import CollectorRegistry, Counter

from alert_history.telemetry.metrics import gauge


class ReconcileMetrics:
    """Counts what reconcile does. An origin's name is the operator's own, so it may be a label."""

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
        """Count corrections; a count of 0 starts the series, so that the first correction is an increase."""
        self._corrections.labels(source, kind).inc(count)

    def answered(self, source: str, at: datetime) -> None:
        """Set when an origin last answered."""
        self._answered.labels(source).set(at.timestamp())
