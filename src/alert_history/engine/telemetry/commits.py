"""The metrics of ingest's transactions."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from alert_history.engine.switchboard import CommitEnded
from alert_history.telemetry.metrics import LATENCY_BUCKETS, gauge

_BATCH_BUCKETS = (1, 3, 10, 30, 100, 300, 1000, 3000, 10000)


class CommitMetrics:
    """How long a transaction takes, how many alerts share it, how it ends, and how many bytes wait for the next."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._commit_seconds = Histogram(
            "alert_history_ingest_commit_seconds",
            "One transaction of ingest.",
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self._batch_alerts = Histogram(
            "alert_history_ingest_batch_alerts",
            "Alerts that shared one transaction.",
            buckets=_BATCH_BUCKETS,
            registry=registry,
        )
        self._operations = Counter(
            "alert_history_database_operations_total",
            "Transactions of ingest, by outcome.",
            ["operation", "status"],
            registry=registry,
        )
        self._pending_bytes = gauge(
            "ingest_pending_bytes", "Bodies being read, waiting or being committed.", registry, of_workers="livesum"
        )

    def committed(self, event: CommitEnded) -> None:
        """Observe one transaction of ingest."""
        is_committed = event.outcomes is not None
        if is_committed:
            self._commit_seconds.observe(event.seconds)
            self._batch_alerts.observe(sum(receipt.group.received for receipt in event.receipts))
        self._operations.labels("commit", "success" if is_committed else "failure").inc()
        self._pending_bytes.set(event.pending_bytes)
