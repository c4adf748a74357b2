"""Panels on what becomes of alerts: who is told, what they mean, what it costs, and what is noise."""

from monitoring.grafana import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    Panel,
    Query,
    graph,
    number,
    states,
    table,
    thresholds,
)
from monitoring.limits import AGE, ENDS, LEVELS, MODES, PAUSES, SHARE_IS_GOOD
from monitoring.queries import TARGET, TRIED, gain, metric, quantile, rate, share, worst


def open_alerts() -> list[Panel]:
    """What fires, and what was set right because somebody was asked."""
    return [
        graph(
            "Open occurrences",
            "Of unconfirmed ones nobody says any more that they fire.",
            Query(worst("occurrences_open", by="state"), "{{state}}"),
            is_stacked=True,
            colors={"firing": RED, "unconfirmed": GREY},
        ),
        graph(
            "Label sets in conflict",
            "Two senders contradicted each other about one label set within the last day: alert-history doctor names "
            "them. Add a cluster label or a scope.",
            Query(f"max({metric('claims_in_conflict')})", "in conflict"),
        ),
        graph(
            "Corrections",
            "What was set right because an Alertmanager or a Prometheus was asked. Many ends: resolves are lost on the "
            "way. Many openings: notifications are.",
            Query(rate("corrections_total", by="source, kind"), "{{source}} {{kind}}"),
            unit="ops",
            is_stacked=True,
        ),
        graph(
            "Since an origin answered",
            "How long ago each Alertmanager and Prometheus that is asked last answered any process.",
            Query(f"time() - {worst('origin_answered_timestamp_seconds', by='source')}", "{{source}}"),
            unit="s",
            limits=AGE,
        ),
    ]


def publishing() -> list[Panel]:
    """Who is told, and who is not."""
    success = share(
        rate("publishing_total", TARGET, 'status="success"', by="target"),
        rate("publishing_total", TARGET, TRIED, by="target"),
    )
    long_success = share(
        gain("publishing_total", "1h", TARGET, 'status="success"', by="target"),
        gain("publishing_total", "1h", TARGET, TRIED, by="target"),
    )
    return [
        table(
            "Targets",
            "Each target now; success is over the last hour.",
            {
                "Success": (long_success, "percentunit", SHARE_IS_GOOD),
                "Waiting": (worst("publishing_queue_size", TARGET), "short", None),
                "Oldest": (worst("publishing_oldest_seconds", TARGET), "s", AGE),
                "Dead": (worst("dead_letters", TARGET), "short", thresholds((None, "transparent"), (1, ORANGE))),
                "Left alone": (
                    worst("target_paused", TARGET),
                    "bool_yes_no",
                    thresholds((None, "transparent"), (1, ORANGE)),
                ),
            },
            by="target",
        ),
        graph(
            "Targets found",
            "Broken ones have a fault in their Secret: /publishing/targets names it.",
            Query(f"max({metric('publishing_targets_discovered')})", "found"),
            Query(f"max({metric('publishing_targets_broken')})", "broken"),
            colors={"found": GREEN, "broken": RED},
        ),
        graph(
            "Success by target",
            "Attempts that succeeded, of all that were made. Superseded deliveries are no attempts.",
            Query(success, "{{target}}"),
            unit="percentunit",
            limits=thresholds((None, RED), (0.8, GREEN)),
        ),
        graph(
            "Deliveries by how they ended",
            "A failure is tried again. A newer delivery of the same alert supersedes those that still wait.",
            Query(rate("publishing_total", TARGET, by="status"), "{{status}}"),
            unit="ops",
            is_stacked=True,
            colors=ENDS,
        ),
    ]


def queues() -> list[Panel]:
    """What waits, and for whom."""
    return [
        graph(
            "One attempt, p99",
            "How long a target takes to answer. After ten seconds an attempt has failed.",
            Query(quantile(0.99, "publishing_duration_seconds", TARGET, by="target"), "{{target}}"),
            unit="s",
        ),
        graph(
            "Queue",
            "Deliveries that wait, in the database and so for all processes together.",
            Query(worst("publishing_queue_size", TARGET), "{{target}}"),
        ),
        graph(
            "Age of the oldest",
            "From five minutes on AlertHistoryQueueOld fires.",
            Query(worst("publishing_oldest_seconds", TARGET), "{{target}}"),
            unit="s",
            limits=AGE,
        ),
        states(
            "Left alone",
            "A target whose circuit breaker is open, that asked for time, or that said it is gone.",
            Query(worst("target_paused", TARGET), "{{target}}"),
            words=PAUSES,
        ),
    ]


def modes() -> list[Panel]:
    """How alerts go out."""
    enriched, transparent = rate("enrichment_enriched_alerts_total"), rate("enrichment_transparent_alerts_total")
    return [
        states(
            "Mode",
            "By process. A switch is taken up by all within two seconds.",
            Query(f"max by (pod, instance) ({metric('enrichment_mode_status')})", "{{pod}} {{instance}}"),
            words=MODES,
        ),
        graph(
            "Delivered alerts by enrichment",
            "What targets took with a classification, and without one.",
            Query(enriched, "enriched"),
            Query(transparent, "transparent"),
            unit="ops",
            is_stacked=True,
            colors={"enriched": GREEN, "transparent": BLUE},
        ),
        graph(
            "Share of enriched alerts",
            "The recording rule alert_history:enrichment_efficiency, which knows no choice of process.",
            Query("alert_history:enrichment_efficiency", "enriched"),
            unit="percentunit",
        ),
    ]


def classifying() -> list[Panel]:
    """What alerts mean."""
    return [
        graph(
            "Classifications by severity",
            "Shapes, not alerts: one classification serves all alerts of a shape.",
            Query(rate("classification_total", by="severity"), "{{severity}}"),
            unit="ops",
            is_stacked=True,
            colors=LEVELS,
        ),
        graph(
            "Questions that came to nothing",
            "`budget` is held back by us; the rest by the proxy or its answers.",
            Query(rate("classification_errors_total", by="error_type"), "{{error_type}}"),
            unit="ops",
            is_stacked=True,
        ),
        graph(
            "One call",
            "How long a model takes. Alerts wait for it to ENRICHMENT_DEADLINE_SECONDS at most.",
            Query(quantile(0.5, "classification_duration_seconds", by="model"), "{{model}} p50"),
            Query(quantile(0.9, "classification_duration_seconds", by="model"), "{{model}} p90"),
            unit="s",
        ),
    ]


def spending() -> list[Panel]:
    """What it costs to ask."""
    hits = rate("cache_hits_total", by="cache_type")
    misses = rate("cache_misses_total", by="cache_type")
    return [
        graph(
            "Tokens a minute",
            "By the proxy's count, all processes together. LLM_MAX_TOKENS_PER_MINUTE bounds them.",
            Query(f"{rate('llm_tokens_total', by='kind')} * 60", "{{kind}}"),
            is_stacked=True,
        ),
        graph(
            "Cost",
            "By LLM_USD_PER_MILLION_TOKENS. LLM_DAILY_BUDGET_USD bounds a day, midnight to midnight UTC.",
            Query(gain("llm_cost_usd_total", "1h"), "last hour"),
            Query(gain("llm_cost_usd_total", "1d"), "last 24 hours"),
            unit="currencyUSD",
        ),
        graph(
            "Known shapes",
            "How often a shape was known already, in memory or in the database: what the cache saves.",
            Query(share(hits, f"{hits} + {misses}"), "{{cache_type}}"),
            unit="percentunit",
        ),
    ]


def lately() -> list[Panel]:
    """A day in three numbers."""
    panels = [
        number(
            "Switches in 24 h",
            "How often somebody switched the mode. The audit says who.",
            f"{gain('enrichment_mode_switches_total', '1d')} or vector(0)",
            decimals=0,
        ),
        number("Cost in 24 h", "US dollars.", gain("llm_cost_usd_total", "1d"), unit="currencyUSD", decimals=2),
        number(
            "Budget refusals in 24 h",
            "Questions that the budget held back.",
            gain("classification_errors_total", "1d", 'error_type="budget"'),
            limits=thresholds((None, GREEN), (1, ORANGE)),
            decimals=0,
        ),
    ]
    return [panel._replace(width=8) for panel in panels]


def noise() -> list[Panel]:
    """What nobody needed to hear."""
    received = rate("webhook_events_total", 'status=~"firing|resolved"')
    classified = rate("classification_total")
    return [
        graph(
            "News and repeats",
            "An alert is news if it changes the history. Repeats bother no target.",
            Query(rate("alerts_stored_total"), "news"),
            Query(f"clamp_min({received} - {rate('alerts_stored_total')}, 0)", "repeats"),
            unit="ops",
            is_stacked=True,
            colors={"news": GREEN, "repeats": GREY},
        ),
        graph(
            "Classified as noise",
            "The share of shapes. Targets with exclude-noise are not told of them.",
            Query(share(rate("classification_total", 'severity="noise"') + " or vector(0)", classified), "noise"),
            unit="percentunit",
        ),
        graph(
            "Superseded by target",
            "Deliveries that a newer one made superfluous, or that were withheld as noise: what a target was spared.",
            Query(rate("publishing_total", TARGET, 'status="superseded"', by="target"), "{{target}}"),
            unit="ops",
        ),
    ]
