"""Logs and metrics. An alert's own labels never become metric labels."""

import json
import logging
import os
import platform
import sys
from collections import Counter as PyCounter
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import permutations
from typing import Any, Literal, get_args

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics import exposition as openmetrics
from structlog.tracebacks import ExceptionDictTransformer

from alert_history import __version__
from alert_history.domain.alert import AlertGroup, Cause, Source
from alert_history.domain.classification import MODES, Mode
from alert_history.domain.printable import printable
from alert_history.domain.receipt import Outcome, Receipt
from alert_history.domain.target import Outgoing, TargetSpec

_LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_BATCH_BUCKETS = (1, 3, 10, 30, 100, 300, 1000, 3000, 10000)
_CALL_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60)
_REFUSALS = (
    "malformed-payload",
    "payload-too-large",
    "unsupported-media-type",
    "unstorable",
    "overloaded",
    "slow-body",
    "storage-unavailable",
)
_MULTIPROCESS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def configure_logging(*, level: str, is_json: bool) -> None:
    """Structured events on standard error, one line each; libraries' own logs go the same way."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if is_json:
        render: list[Any] = [
            structlog.processors.ExceptionRenderer(
                ExceptionDictTransformer(show_locals=False)
            ),  # locals may be secrets
            structlog.processors.JSONRenderer(serializer=_one_json_line),
        ]
    else:
        console = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,  # rich's shows locals
        )
        render = [_printable_values, console]
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=max(logging.getLevelName(level.upper()), logging.INFO), handlers=[handler], force=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # a migration is one event of our own
    for name in ("httpx", "httpcore"):  # below that they log whole URLs, and targets' are secret
        logging.getLogger(name).setLevel(logging.WARNING)


def _one_json_line(event: Any, **options: Any) -> str:
    """JSON leaves some control characters as they are; inside its strings they may be escaped like the others."""
    return printable(json.dumps(event, ensure_ascii=False, **options))


def _printable_values(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """A path or an id that a caller made up can neither colour a log for people nor add a line to it."""
    return {name: printable(value) if isinstance(value, str) else value for name, value in event.items()}


class IngestMetrics:
    """What the hot path counts."""

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
            buckets=_LATENCY_BUCKETS,
            registry=registry,
        )
        self._commit_seconds = Histogram(
            "alert_history_ingest_commit_seconds",
            "One transaction of ingest.",
            buckets=_LATENCY_BUCKETS,
            registry=registry,
        )
        self._batch_alerts = Histogram(
            "alert_history_ingest_batch_alerts",
            "Alerts that shared one transaction.",
            buckets=_BATCH_BUCKETS,
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
        self._operations = Counter(
            "alert_history_database_operations_total",
            "Transactions of ingest, by outcome.",
            ["operation", "status"],
            registry=registry,
        )
        self._pending_bytes = Gauge(
            "alert_history_ingest_pending_bytes",
            "Bodies being read, waiting or being committed.",
            registry=registry,
            multiprocess_mode="livesum",
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

    def committed(self, receipts: Sequence[Receipt], seconds: float, is_committed: bool) -> None:  # noqa: FBT001  # the port's shape
        """Observe one transaction of ingest."""
        if is_committed:
            self._commit_seconds.observe(seconds)
            self._batch_alerts.observe(sum(receipt.group.received for receipt in receipts))
        self._operations.labels("commit", "success" if is_committed else "failure").inc()

    def pending(self, size_bytes: int) -> None:
        """Set what waits to be committed."""
        self._pending_bytes.set(size_bytes)


class PublishingMetrics:
    """What publishing counts. A target's name is the operator's own, so it may be a label."""

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
            buckets=_LATENCY_BUCKETS,
            registry=registry,
        )
        self._queue = _gauge("publishing_queue_size", "Deliveries that wait.", registry, ["target"])
        self._oldest = _gauge("publishing_oldest_seconds", "Age of the oldest that waits.", registry, ["target"])
        self._rate = _gauge(
            "publishing_success_rate", "Delivered ÷ ended attempts since the start.", registry, ["target"]
        )
        self._targets = _gauge("publishing_targets_discovered", "Targets found, broken ones too.", registry)
        self._broken = _gauge("publishing_targets_broken", "Targets that can't be used as they are.", registry)
        self._dead = _gauge("dead_letters", "Dead letters that are kept.", registry, ["target"])
        self._paused = _gauge(
            "target_paused",
            "1 while it is left alone: breaker open, Retry-After, or gone.",
            registry,
            ["target"],
            of_workers="livemax",
        )
        self._outcomes: dict[str, PyCounter[str]] = {}

    def attempted(self, target: str, status: str, seconds: float | None) -> None:
        """Count how an attempt ended, or a delivery that is superseded, which takes no seconds."""
        self._attempts.labels(target, status).inc()
        if seconds is not None:
            self._seconds.labels(target).observe(seconds)
        outcomes = self._outcomes.setdefault(target, PyCounter())
        outcomes[status] += 1
        tried = outcomes["success"] + outcomes["failure"] + outcomes["dead"]
        if tried:
            self._rate.labels(target).set(outcomes["success"] / tried)

    def queued(self, target: str, *, waiting: int, oldest_seconds: float) -> None:
        """Set what waits for a target."""
        self._queue.labels(target).set(waiting)
        self._oldest.labels(target).set(oldest_seconds)

    def paused(self, target: str, *, is_paused: bool) -> None:
        """Set whether a target is left alone."""
        self._paused.labels(target).set(is_paused)

    def dead(self, target: str, *, letters: int) -> None:
        """Set how many dead letters of a target there are."""
        self._dead.labels(target).set(letters)

    def discovered(self, targets: Sequence[TargetSpec]) -> None:
        """Set how many targets there are. What ends their attempts is counted from 0: the first is an increase."""
        self._targets.set(len(targets))
        self._broken.set(sum(target.fault is not None for target in targets))
        for target in targets:
            for status in ("success", "failure", "dead", "superseded"):
                self._attempts.labels(target.name, status)


class EnrichmentMetrics:
    """What enrichment counts: see `engine.questions.EnrichmentObserver`. Models are the operator's own names."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._mode = _gauge(
            "enrichment_mode_status", "0 transparent, 1 enriched, 2 transparent_with_recommendations.", registry
        )
        self._switches = Counter(
            "alert_history_enrichment_mode_switches_total",
            "Switches of the mode that were made here.",
            ["from_mode", "to_mode"],
            registry=registry,
        )
        for one, other in permutations(MODES, 2):
            self._switches.labels(one, other)
        self._enriched = Counter(
            "alert_history_enrichment_enriched_alerts_total",
            "Alerts that a target took with a classification.",
            registry=registry,
        )
        self._transparent = Counter(
            "alert_history_enrichment_transparent_alerts_total",
            "Alerts that a target took without one.",
            registry=registry,
        )
        self._efficiency = _gauge(
            "enrichment_efficiency", "Taken with a classification ÷ all taken, since the start.", registry
        )
        self._classified = Counter(
            "alert_history_classification_total",
            "Shapes that were classified.",
            ["severity", "model"],
            registry=registry,
        )
        self._errors = Counter(
            "alert_history_classification_errors_total",
            "Calls and cases that came to nothing.",
            ["error_type"],
            registry=registry,
        )
        self._errors.labels("budget")  # from 0, so that the first one is an increase
        self._seconds = Histogram(
            "alert_history_classification_duration_seconds",
            "One call.",
            ["model"],
            buckets=_CALL_BUCKETS,
            registry=registry,
        )
        self._tokens = Counter(
            "alert_history_llm_tokens_total", "Tokens used, by the proxy's count.", ["kind"], registry=registry
        )
        self._cost = Counter(
            "alert_history_llm_cost_usd_total", "US dollars, by LLM_USD_PER_MILLION_TOKENS.", registry=registry
        )
        self._hits = Counter("alert_history_cache_hits_total", "Shapes known.", ["cache_type"], registry=registry)
        self._misses = Counter(
            "alert_history_cache_misses_total", "Shapes not known.", ["cache_type"], registry=registry
        )
        for cache_type in ("memory", "database"):
            self._hits.labels(cache_type)
            self._misses.labels(cache_type)
        self._taken: PyCounter[bool] = PyCounter()

    def mode_is(self, mode: Mode) -> None:
        """Set the mode."""
        self._mode.set(MODES.index(mode))

    def switched(self, from_mode: Mode, to_mode: Mode) -> None:
        """Count a switch."""
        self._switches.labels(from_mode, to_mode).inc()

    def attempted(self, status: str, alert: Outgoing | None) -> None:
        """Count an alert that a target took."""
        if status != "success" or alert is None:
            return
        is_enriched = alert.classification is not None
        (self._enriched if is_enriched else self._transparent).inc()
        self._taken[is_enriched] += 1
        self._efficiency.set(self._taken[True] / self._taken.total())

    def classified(self, severity: str, model: str, seconds: float) -> None:
        """Count a shape that was classified."""
        self._classified.labels(severity, model).inc()
        self._seconds.labels(model).observe(seconds)

    def failed(self, error_type: str) -> None:
        """Count what came to nothing."""
        self._errors.labels(error_type).inc()

    def spent(self, prompt: int, completion: int, usd: float) -> None:
        """Count what a call used."""
        self._tokens.labels("prompt").inc(prompt)
        self._tokens.labels("completion").inc(completion)
        self._cost.inc(usd)

    def cache(self, cache_type: str, *, is_hit: bool) -> None:
        """Count a look into the `memory` or the `database`."""
        (self._hits if is_hit else self._misses).labels(cache_type).inc()


class StateMetrics:
    """Whether all is well: what `/readyz` says, and how long each source has been silent."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._checks = _gauge(
            "check_up", "1 while /readyz says ok of it, else 0.", registry, ["check"], of_workers="livemin"
        )
        self._silent = _gauge(
            "watchdog_last_seen_seconds",
            "Since a request of that source was last accepted, by any replica.",
            registry,
            ["source"],
            of_workers="livemin",
        )

        self._open = _gauge(
            "occurrences_open", "Occurrences that are not over, by state.", registry, ["state"], of_workers="livemax"
        )
        self._conflicts = _gauge(
            "claims_in_conflict",
            "Label sets of which two senders contradicted each other within the last day.",
            registry,
            of_workers="livemax",
        )

    def open_are(self, counts: Mapping[str, int]) -> None:
        """Set how many occurrences are open, by state, and how many label sets are in conflict."""
        for state in ("firing", "unconfirmed"):
            self._open.labels(state).set(counts.get(state, 0))
        self._conflicts.set(counts.get("conflict", 0))

    def checked(self, check: str, *, is_ok: bool) -> None:
        """Set what a check says."""
        self._checks.labels(check).set(is_ok)

    def silent(self, source: str, *, seconds: float) -> None:
        """Set how long a source has been silent."""
        self._silent.labels(source).set(seconds)


class ReconcileMetrics:
    """What reconcile counts. An origin's name is the operator's own, so it may be a label."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._corrections = Counter(
            "alert_history_corrections_total",
            "What was set right on the word of an Alertmanager or a Prometheus that was asked.",
            ["source", "kind"],
            registry=registry,
        )
        self._answered = _gauge(
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


def _gauge(
    name: str,
    text: str,
    registry: CollectorRegistry,
    labels: Sequence[str] = (),
    *,
    of_workers: Literal["mostrecent", "livemin", "livemax"] = "mostrecent",
) -> Gauge:
    """A gauge; `of_workers` says which of several workers' values is shown."""
    return Gauge(f"alert_history_{name}", text, labels, registry=registry, multiprocess_mode=of_workers)


class Metrics:
    """All metrics of one process, and their text; with several workers, that of all of them together."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.ingest = IngestMetrics(self.registry)
        self.publishing = PublishingMetrics(self.registry)
        self.enrichment = EnrichmentMetrics(self.registry)
        self.state = StateMetrics(self.registry)
        self.reconcile = ReconcileMetrics(self.registry)
        ProcessCollector(registry=self.registry)  # of one process: with several workers it is left out
        self._build = Gauge(
            "alert_history_build_info",
            "1, labelled with the version.",
            ["version", "python"],
            registry=self.registry,
            multiprocess_mode="max",
        )
        self._build.labels(__version__, platform.python_version()).set(1)

    def exposition(self, accept: str) -> tuple[str, bytes]:
        """Content type and text: OpenMetrics for whoever accepts it, else the Prometheus format."""
        registry = self.registry
        folder = os.environ.get(_MULTIPROCESS_FOLDER)
        if folder:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
        if "application/openmetrics-text" in accept:
            text: bytes = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
            return openmetrics.CONTENT_TYPE_LATEST, text
        return CONTENT_TYPE_LATEST, generate_latest(registry)
