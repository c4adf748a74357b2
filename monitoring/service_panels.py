"""Panels on the service itself: what comes in, how quickly it is safe, and what it takes."""

from monitoring.grafana import (
    GREEN,
    GREY,
    ORANGE,
    RED,
    YELLOW,
    Panel,
    Query,
    graph,
    heat,
    number,
    states,
    thresholds,
)
from monitoring.limits import AGE, ANSWER, COMMIT, MODES, NONE_IS_GOOD
from monitoring.queries import (
    AUTOSCALER,
    CONTAINER,
    INGEST,
    OF,
    VOLUME,
    metric,
    quantile,
    quantiles,
    rate,
    share,
    worst,
)


def at_a_glance() -> list[Panel]:
    """Whether all is well, in one line."""
    return [
        number(
            "Processes up",
            "Processes that answer Prometheus.",
            f"sum(up{{{OF}}})",
            limits=thresholds((None, RED), (1, GREEN)),
        ),
        number(
            "Alerts on itself",
            "Alerts of monitoring/rules that fire now. Their runbooks say what to do.",
            'count(ALERTS{alertname=~"AlertHistory.+", alertstate="firing"}) or vector(0)',
            limits=NONE_IS_GOOD,
        ),
        number("Alerts", "Alerts received, repeats included.", rate("webhook_events_total"), unit="ops"),
        number(
            "Refused",
            "Requests that were not accepted.",
            rate("webhook_errors_total"),
            unit="reqps",
            limits=thresholds((None, GREEN), (0.001, YELLOW), (0.1, RED)),
        ),
        number(
            "Answer, p99",
            "What one sender in a hundred waits, or longer.",
            quantile(0.99, "request_latency_seconds", INGEST),
            unit="s",
            limits=ANSWER,
        ),
        number(
            "Oldest delivery",
            "How long the oldest delivery has waited, over all targets.",
            f"max({metric('publishing_oldest_seconds')})",
            unit="s",
            limits=AGE,
        ),
        number(
            "Dead letters",
            "Deliveries that were given up and are kept. `replay --dead-letters` sends them again.",
            f"sum({worst('dead_letters')})",
            limits=thresholds((None, GREEN), (1, ORANGE)),
        ),
        number(
            "Mode",
            "Whether alerts are published at once, with their classification, or followed by it.",
            f"max({metric('enrichment_mode_status')})",
            words=MODES,
        ),
    ]


def traffic() -> list[Panel]:
    """What comes in, and what does not."""
    return [
        graph(
            "Alerts by source",
            "Alerts received a second, repeats included, by who sent them.",
            Query(rate("webhook_events_total", by="source"), "{{source}}"),
            unit="ops",
            is_stacked=True,
        ),
        graph(
            "Alerts by what they say",
            "Quarantined ones could not be recorded as they were: /api/v1/quarantine says why.",
            Query(rate("webhook_events_total", by="status"), "{{status}}"),
            unit="ops",
            colors={"firing": RED, "resolved": GREEN, "quarantined": ORANGE},
        ),
        graph(
            "Quarantined",
            "What was wrong with alerts that could not be kept as they were: /api/v1/quarantine shows them. Those of "
            "`annotations_cut` are recorded and told all the same.",
            Query(rate("quarantined_total", by="reason"), "{{reason}}"),
            unit="ops",
            is_stacked=True,
        ),
        graph(
            "Silence",
            "How long ago each source was last heard, by any process, also over restarts. "
            "An Alertmanager with an alert that always fires stays under its repeat_interval.",
            Query(f"min by (source) ({metric('watchdog_last_seen_seconds')})", "{{source}}"),
            unit="s",
            limits=thresholds((None, GREEN), (75 * 60, RED)),
        ),
        graph(
            "Refused requests",
            "By the last part of the problem's type. `storage-unavailable` and `overloaded` are 503s, which "
            "Alertmanager sends again; the others are not recorded.",
            Query(rate("webhook_errors_total", by="reason"), "{{reason}}"),
            unit="reqps",
            is_stacked=True,
        ),
        graph(
            "Requests by route",
            "All routes, reads too.",
            Query(rate("request_latency_seconds_count", by="endpoint"), "{{endpoint}}"),
            unit="reqps",
        ),
        states(
            "What /readyz says",
            "The worst of all processes. Without database, schema or startup nothing is recorded; the others degrade.",
            Query(f"min by (check) ({metric('check_up')})", "{{check}}"),
        ),
    ]


def answering() -> list[Panel]:
    """How long senders wait."""
    return [
        graph(
            "Time to the answer",
            "From the first byte read to the answer, on the ingest routes. The answer is given after the commit.",
            *quantiles("request_latency_seconds", INGEST),
            unit="s",
            limits=ANSWER,
        ),
        heat(
            "Time to the answer, all of them",
            "Ingest requests by how long they took.",
            f"sum by (le) (increase({metric('request_latency_seconds_bucket', INGEST)}[$__rate_interval]))",
            unit="s",
        ),
        graph(
            "Time by route, p99",
            "Reads and writes alike.",
            Query(quantile(0.99, "request_latency_seconds", by="endpoint"), "{{endpoint}}"),
            unit="s",
        ),
    ]


def committing() -> list[Panel]:
    """How quickly what came in is safe."""
    panels = [
        graph(
            "Commits",
            "One transaction of ingest. From half a second on AlertHistoryCommitSlow fires.",
            *quantiles("ingest_commit_seconds"),
            unit="s",
            limits=COMMIT,
        ),
        graph(
            "Alerts in a commit",
            "Requests that arrive together share a commit: the more come, the larger these get, and throughput holds.",
            *quantiles("ingest_batch_alerts"),
        ),
        graph(
            "Transactions of ingest",
            "Those that failed were answered 503.",
            Query(rate("database_operations_total", by="status"), "{{status}}"),
            unit="ops",
            colors={"success": GREEN, "failure": RED},
        ),
        graph(
            "Bodies under way",
            "Read, waiting or being committed. At MAX_PENDING_BYTES further requests are answered 503.",
            Query(f"sum by (pod, instance) ({metric('ingest_pending_bytes')})", "{{pod}} {{instance}}"),
            unit="bytes",
        ),
    ]
    return [panel._replace(width=6) for panel in panels]


def process() -> list[Panel]:
    """What a process takes. Its limits exist in a cluster only."""
    each = "{{pod}} {{instance}}"
    return [
        graph(
            "Memory",
            "Of the process, and the limit of its container.",
            Query(f"sum by (pod, instance) (process_resident_memory_bytes{{{OF}}})", each),
            Query(f'max(kube_pod_container_resource_limits{{{CONTAINER}, resource="memory"}})', "limit"),
            unit="bytes",
            colors={"limit": RED},
        ),
        graph(
            "CPU",
            "Cores that are used, and the limit of the container.",
            Query(f"sum by (pod, instance) (rate(process_cpu_seconds_total{{{OF}}}[$__rate_interval]))", each),
            Query(f'max(kube_pod_container_resource_limits{{{CONTAINER}, resource="cpu"}})', "limit"),
            colors={"limit": RED},
        ),
        graph(
            "Open files",
            "Sockets count as well.",
            Query(f"sum by (pod, instance) (process_open_fds{{{OF}}})", each),
        ),
        graph(
            "Versions",
            "Processes by release: two at once during a roll-out only.",
            Query(f"count by (version) ({metric('build_info')})", "{{version}}"),
            is_stacked=True,
        ),
    ]


def cluster() -> list[Panel]:
    """What exists in a cluster only: containers, the autoscaler, volumes."""
    return [
        graph(
            "Held back by the CPU limit",
            "The share of periods in which a container wanted more than it may. Much of it shows in the answers' time.",
            Query(
                share(
                    f"sum by (pod) (rate(container_cpu_cfs_throttled_periods_total{{{CONTAINER}}}[$__rate_interval]))",
                    f"sum by (pod) (rate(container_cpu_cfs_periods_total{{{CONTAINER}}}[$__rate_interval]))",
                ),
                "{{pod}}",
            ),
            unit="percentunit",
        ),
        graph(
            "Memory of the container",
            "The working set, by which the kernel decides whom to kill.",
            Query(f"sum by (pod) (container_memory_working_set_bytes{{{CONTAINER}}})", "{{pod}}"),
            unit="bytes",
        ),
        graph(
            "Replicas",
            "What the autoscaler wants, what there is, and how far it may go.",
            Query(f"max(kube_horizontalpodautoscaler_status_current_replicas{{{AUTOSCALER}}})", "current"),
            Query(f"max(kube_horizontalpodautoscaler_status_desired_replicas{{{AUTOSCALER}}})", "desired"),
            Query(f"max(kube_horizontalpodautoscaler_spec_min_replicas{{{AUTOSCALER}}})", "min"),
            Query(f"max(kube_horizontalpodautoscaler_spec_max_replicas{{{AUTOSCALER}}})", "max"),
            colors={"max": RED, "min": GREY},
        ),
        graph(
            "Volumes",
            "How full the volumes of the database and its backups are.",
            Query(
                f"1 - kubelet_volume_stats_available_bytes{{{VOLUME}}} "
                f"/ kubelet_volume_stats_capacity_bytes{{{VOLUME}}}",
                "{{persistentvolumeclaim}}",
            ),
            unit="percentunit",
            limits=thresholds((None, GREEN), (0.85, RED)),
        ),
        graph(
            "Restarts in an hour",
            "Of containers.",
            Query(f"sum by (pod) (increase(kube_pod_container_status_restarts_total{{{CONTAINER}}}[1h]))", "{{pod}}"),
        ),
    ]
