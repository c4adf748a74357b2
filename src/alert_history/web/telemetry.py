"""What requests are measured by: what they brought, how they were answered, and how long that took."""

from collections import Counter as PyCounter
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Histogram

from alert_history.domain.alert import AlertGroup, Cause, Source
from alert_history.domain.receipt import Outcome
from alert_history.telemetry.metrics import LATENCY_BUCKETS

_REFUSALS = (
    "malformed-payload",
    "payload-too-large",
    "unsupported-media-type",
    "unstorable",
    "overloaded",
    "slow-body",
    "storage-unavailable",
    "not-signed-in",
    "forbidden",
    "wrong-signature",
    "stale-signature",
)


class RequestMetrics:
    """What requests to ingest bring, and how long every request takes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._events = Counter(
            "alert_history_webhook_events_total",
            "Alerts received, by what they said and who sent them.",
            ["status", "source"],
            registry=registry,
        )
        self._errors = Counter(
            "alert_history_webhook_errors_total",
            "Requests that were not accepted, by the last part of the problem's type.",
            ["reason"],
            registry=registry,
        )
        self._latency = Histogram(
            "alert_history_request_latency_seconds",
            "From the first byte read to the answer given.",
            ["endpoint"],
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self._quarantined = Counter(
            "alert_history_quarantined_total",
            "Alerts that could not be kept as they were, each time they came, by what was wrong with them.",
            ["reason"],
            registry=registry,
        )
        self._stored = Counter(
            "alert_history_alerts_stored_total",
            "Alerts that changed the history: new occurrences and new events.",
            registry=registry,
        )
        for source in get_args(Source):  # from 0, so that the first one is an increase
            self._events.labels("quarantined", source)
        for cause in get_args(Cause):
            self._quarantined.labels(cause)
        for reason in _REFUSALS:
            self._errors.labels(reason)

    def accepted(self, group: AlertGroup, outcome: Outcome) -> None:
        """Count a request that was committed."""
        firing = sum(alert.status == "firing" for alert in group.alerts)
        resolved = len(group.alerts) - firing
        if firing:
            self._events.labels("firing", group.source).inc(firing)
        if resolved:
            self._events.labels("resolved", group.source).inc(resolved)
        if outcome.quarantined:
            self._events.labels("quarantined", group.source).inc(outcome.quarantined)
        if outcome.quarantined or group.cut:
            self._count_causes(group, orphans=outcome.quarantined - len(group.refused))
        self._stored.inc(outcome.stored)

    def _count_causes(self, group: AlertGroup, *, orphans: int) -> None:
        causes = PyCounter[Cause](refused.cause for refused in group.refused)
        causes.update({"annotations_cut": len(group.cut), "unknown_occurrence": orphans})
        for cause, count in causes.items():
            self._quarantined.labels(cause).inc(count)

    def failed(self, reason: str) -> None:
        """Count a request that was refused or could not be kept."""
        self._errors.labels(reason).inc()

    def answered(self, endpoint: str, seconds: float) -> None:
        """Observe how long a request took."""
        self._latency.labels(endpoint).observe(seconds)
