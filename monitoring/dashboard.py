"""The Grafana dashboard. `make dashboard` writes the JSON beside this file, which is what people import."""

import json
from pathlib import Path

from monitoring import alert_panels, service_panels
from monitoring.grafana import BLUE, RED, Json, choice, datasource_choice, note, placed
from monitoring.queries import metric

PATH = Path(__file__).with_name("alert_history_grafana_dashboard_v3_enrichment.json")


def dashboard() -> Json:
    """The whole of it, without an id: Grafana gives it one where it is imported."""
    return {
        "title": "Alert History",
        "description": "The flight recorder of alerting: what comes in, who is told, what it means and what it costs.",
        "tags": ["alert-history", "alerting"],
        "schemaVersion": 41,
        "version": 3,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "links": [_link()],
        "templating": {"list": _variables()},
        "annotations": {"list": _notes()},
        "panels": placed(
            {
                "At a glance": service_panels.at_a_glance(),
                "Traffic": service_panels.traffic(),
                "Recording": [*service_panels.answering(), *service_panels.committing()],
                "What fires": alert_panels.open_alerts(),
                "Publishing": [*alert_panels.publishing(), *alert_panels.queues()],
                "Enrichment": [
                    *alert_panels.modes(),
                    *alert_panels.classifying(),
                    *alert_panels.spending(),
                    *alert_panels.lately(),
                ],
                "Noise": alert_panels.noise(),
                "Resources": [*service_panels.process(), *service_panels.cluster()],
            }
        ),
    }


def _link() -> Json:
    runbooks = "https://github.com/ipiton/alert-history-service/blob/main/docs/runbooks/index.md"
    return {"title": "Runbooks", "type": "link", "icon": "doc", "url": runbooks, "targetBlank": True}


def _variables() -> list[Json]:
    known = "alert_history_build_info"
    return [
        datasource_choice(),
        choice("job", "Job", f"label_values({known}, job)", is_single=True),
        choice("namespace", "Namespace", f'label_values({known}{{job=~"$job"}}, namespace)'),
        choice("pod", "Pod", f'label_values({known}{{job=~"$job", namespace=~"$namespace"}}, pod)'),
        choice("target", "Target", f"label_values({metric('publishing_queue_size')}, target)"),
    ]


def _notes() -> list[Json]:
    fired = 'ALERTS{alertname=~"AlertHistory.+", alertstate="firing"}'
    return [
        note("Alerts on itself", fired, title="{{alertname}}", color=RED),
        note(
            "Mode switched",
            f"sum by (from_mode, to_mode) (increase({metric('enrichment_mode_switches_total')}[1m])) > 0",
            title="{{from_mode}} → {{to_mode}}",
            color=BLUE,
        ),
    ]


def text() -> str:
    """As it is committed."""
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
