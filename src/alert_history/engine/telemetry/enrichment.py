"""The metrics of enrichment."""

from collections import Counter as PyCounter
from itertools import permutations

from prometheus_client import CollectorRegistry, Counter, Histogram

from alert_history.domain.classification import MODES, Mode
from alert_history.domain.target import Outgoing
from alert_history.telemetry.metrics import gauge

_CALL_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60)


class EnrichmentMetrics:
    """Counts what enrichment does: see `engine.questions.EnrichmentObserver`. Models are the operator's own names."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._mode = gauge(
            "enrichment_mode_status", "0 transparent, 1 enriched, 2 transparent_with_recommendations.", registry
        )
        self._switches = Counter(
            "alert_history_enrichment_mode_switches_total",
            "Switches of the mode that were made here.",
            ["from_mode", "to_mode"],
            registry=registry,
        )
        for was, now in permutations(MODES, 2):
            self._switches.labels(was, now)
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
        self._efficiency = gauge(
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
        self._errors.labels("budget")  # from 0, so that the first error is an increase
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
        """Count a call or a case that failed."""
        self._errors.labels(error_type).inc()

    def spent(self, prompt: int, completion: int, usd: float) -> None:
        """Count the tokens and US dollars of a call."""
        self._tokens.labels("prompt").inc(prompt)
        self._tokens.labels("completion").inc(completion)
        self._cost.inc(usd)

    def cache(self, cache_type: str, *, is_hit: bool) -> None:
        """Count a look into the `memory` or the `database`."""
        (self._hits if is_hit else self._misses).labels(cache_type).inc()
