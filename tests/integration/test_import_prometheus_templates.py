"""Annotations of past alerts read as a real Prometheus renders them, or are left out.

Holds: `origins.imports.go_template`, `origins.imports.go_functions`, `origins.imports.prometheus_rules`.
"""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from alert_history.origins.imports.go_functions import TemplateFault
from alert_history.origins.imports.go_template import Context, parse_template
from tests import servers
from tests.processes import Server, wait_until

TEMPLATES = [
    "plain",
    "",
    "{{ $labels.instance }} and {{.Labels.job}} and {{ $labels.nothing }}.",
    "{{ $externalLabels.cluster }} {{ .ExternalLabels.cluster }} {{ $externalURL }}",
    "{{ $value }}",
    "{{ .Value }} of {{ $value | humanize }}, {{ humanize $value }}",
    "{{ $value | humanize1024 }}B, {{ $value | humanizePercentage }}, {{ $value | humanizeDuration }}",
    '{{ printf "%.2f" $value }} {{ $value | printf "%5.1f|%%" }} {{ printf "%s-%v-%q" $labels.job $value "x" }}',
    '{{ printf "%.3g" $value }} {{ printf "%+.1f" $value }} {{ printf "%08.3f" $value }} {{ printf "%-8s|" "ab" }}',
    "{{ $labels.job | toUpper }} {{ toLower $labels.mixed }} {{ title $labels.mixed }}",
    '{{ reReplaceAll "(.*):.*" "$1!" $labels.instance }} {{ reReplaceAll "[0-9]+" "<${0}>" $labels.instance }}',
    '{{ if eq $labels.job "node" }}is node{{ else }}is not{{ end }}',
    '{{ if ne $labels.job "node" }}a{{ else if gt $value 1.0 }}b{{ else }}c{{ end }}',
    "{{ if $labels.nothing }}a{{ end }}{{ if not $labels.nothing }}b{{ end }}{{ if $value }}c{{ end }}",
    "  {{- $labels.job -}}   |  {{ $labels.job -}}\n  after",
    '{{ index $labels "job" }}{{/* said */}}{{ `raw "x"` }}{{ "text" }}',
    '{{ if and $labels.job (eq $labels.mixed "aBc deF") }}both{{ end }}{{ or $labels.nothing "none" }}',
    '{{ print $labels.job }} {{ (printf "%.1f" $value) | toUpper }}',
    "{{ le $value 1.0 }} {{ true }}",
]
LEFT_OUT = [
    '{{ with query "up" }}{{ . | first | value }}{{ end }}',
    "{{ range $n, $v := $labels }}{{ $n }}{{ end }}",
    "{{ $labels.job | nothing }}",
    "{{ $labels.job",
    "{{ $other }}",
    "{{ end }}",
    "{{ if $labels.job }}",
    '{{ define "x" }}{{ end }}',
    '{{ printf "%d" $value }}',
    '{{ printf "%s" }}',
    "{{ humanize $labels.job }}",
    "{{ .Nothing }}",
    "{{ $Labels.job }}",
    "{{ }}",
    "{{ $value | humanizeTimestamp }}",
]
VALUES = [0.0, 1.0, 3.5, 0.000123, 1234.5678, 1e6, 123456789.0, 1e17, -42.25, 0.5, 90061.0, 100.0, 1e-9, 7200.0]
LABELS = {"instance": "db-1.example.com:9100", "job": "node", "mixed": "aBc deF"}


@pytest.fixture(scope="module")
def rendered() -> Iterator[list[dict[str, Any]]]:
    """The alerts of a Prometheus whose rules have all templates, one rule a value."""
    annotations = {f"t{number}": text for number, text in enumerate(TEMPLATES)}
    rules = [
        {"alert": f"V{number}", "expr": _expression(value), "labels": {"set": "x"}, "annotations": annotations}
        for number, value in enumerate(VALUES)
    ]
    config = (
        "global: {evaluation_interval: 200ms, external_labels: {cluster: eu}}\n"
        "rule_files: [rules.yml]\n"
        "alerting: {alert_relabel_configs: []}\n"
    )
    args = ["--web.external-url=http://prometheus.example.com", "--web.route-prefix=/"]
    with servers.prometheus_server(
        config, json.dumps({"groups": [{"name": "g", "rules": rules}]}), args=args
    ) as server:
        wait_until(lambda: len(_alerts(server)) == len(VALUES), "all rules fire")
        yield _alerts(server)


def _expression(value: float) -> str:
    """A sample with these labels and this value."""
    expression = f"vector({value!r})"
    for name, text in LABELS.items():
        expression = f'label_replace({expression}, "{name}", "{text}", "", "")'
    return expression


def _alerts(server: Server) -> list[dict[str, Any]]:
    answer = httpx.get(f"{server.url}/api/v1/alerts", trust_env=False).json()
    alerts: list[dict[str, Any]] = answer["data"]["alerts"]
    return alerts


def test_annotations_read_as_prometheus_renders_them(rendered: list[dict[str, Any]]) -> None:
    for alert in rendered:
        context = Context(
            labels=alert["labels"],
            unknown={"set"},
            external_labels={"cluster": "eu"},
            external_url="http://prometheus.example.com",
            value=VALUES[int(alert["labels"]["alertname"][1:])],
        )
        for number, template in enumerate(TEMPLATES):
            theirs = alert["annotations"].get(f"t{number}", "")
            assert parse_template(template).render(context) == theirs, (template, context.value)


@pytest.mark.parametrize("template", LEFT_OUT)
def test_what_is_not_understood_is_left_out(template: str) -> None:
    context = Context(labels=LABELS, value=1.0)
    with pytest.raises(TemplateFault):
        parse_template(template).render(context)


@pytest.mark.parametrize(
    "template", ["{{ $labels.severity }}", '{{ index $labels "severity" }}', "{{ if .Labels.severity }}{{ end }}"]
)
def test_a_label_that_the_rule_sets_is_left_out(template: str) -> None:
    """A template has the labels of the sample, without those of the rule; what the sample had there is lost."""
    with pytest.raises(TemplateFault, match="severity"):
        parse_template(template).render(Context(labels=LABELS | {"severity": "page"}, unknown={"severity"}))


def test_a_value_that_nobody_knows_is_left_out() -> None:
    with pytest.raises(TemplateFault, match="value"):
        parse_template("{{ $value }}").render(Context(labels=LABELS))


@pytest.mark.parametrize("depth", [40, 5000])
def test_a_template_of_any_depth_is_refused(depth: int) -> None:
    with pytest.raises(TemplateFault):
        parse_template("{{ if true }}" * depth + "{{ end }}" * depth)
    with pytest.raises(TemplateFault):
        parse_template("{{" + "(" * depth + "1" + ")" * depth + "}}")
