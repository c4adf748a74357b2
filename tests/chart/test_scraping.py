"""What a Prometheus keeps that scrapes as the Prometheus Operator tells it to, after the chart's ServiceMonitor."""

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import httpx
import pytest

from alert_history.domain.token import new_secret
from tests import servers
from tests.chart.rendering import Object, guide_values, render
from tests.processes import Server, wait_until

# What the operator labels targets with, before the ServiceMonitor's own relabelings; `endpoint` is the port's name.
OPERATORS = {
    "namespace": "alert-history",
    "service": "alert-history",
    "pod": "alert-history-0",
    "container": "alert-history",
    "endpoint": "http",
}


def config(endpoint: Object, *, target: str, secrets: Mapping[tuple[str, str], str] = MappingProxyType({})) -> str:
    """`prometheus.yml`. Of a relabeling's fields only `action` and `regex` are spelt alike in a ServiceMonitor.

    `secrets` has the texts of Secrets by their name and key.
    """
    job = {
        "job_name": "alert-history",
        "scrape_interval": "500ms",
        "scrape_timeout": "500ms",
        "metrics_path": endpoint["path"],
        "static_configs": [{"targets": [target], "labels": OPERATORS}],
        "relabel_configs": endpoint.get("relabelings", []),
    }
    if authorization := endpoint.get("authorization"):
        secret = authorization["credentials"]
        job["authorization"] = {"type": authorization["type"], "credentials": secrets[secret["name"], secret["key"]]}
    return json.dumps({"scrape_configs": [job]})


@pytest.fixture(scope="module")
def prometheus() -> Iterator[Server]:
    endpoint = render(guide_values()).named("ServiceMonitor", "alert-history")["spec"]["endpoints"][0]
    with servers.service() as service:
        target = service.url.removeprefix("http://")
        with servers.prometheus_server(config(endpoint, target=target)) as prometheus:
            yield prometheus


def series(prometheus: Server, query: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{prometheus.url}/api/v1/query", params={"query": query}, timeout=10, trust_env=False)
    return [sample["metric"] for sample in answer.json()["data"]["result"]]


def test_the_services_own_labels_keep_their_names(prometheus: Server) -> None:
    latency = 'alert_history_request_latency_seconds_count{endpoint="/metrics"}'
    counters = wait_until(lambda: series(prometheus, latency), "the latency of a route")
    assert counters[0].items() >= {label: OPERATORS[label] for label in ("namespace", "pod")}.items()
    renamed = {label for labels in series(prometheus, '{__name__=~"alert_history_.+"}') for label in labels}
    assert not [label for label in renamed if label.startswith("exported_")]


def test_metrics_that_need_a_token_are_scraped_with_that_of_the_secret() -> None:
    token = new_secret()
    monitor = {"enabled": True, "tokenSecret": {"name": "prometheus-token", "key": "read"}}
    values = {"auth": {"metrics": "required"}, "monitoring": {"serviceMonitor": monitor}}
    [endpoint] = render(values).named("ServiceMonitor", "alert-history")["spec"]["endpoints"]
    given = {"AUTH_MODE": "token", "METRICS_AUTH": "required", "ADMIN_TOKEN": token}
    with servers.service(given) as service:
        assert httpx.get(f"{service.url}/metrics", trust_env=False).status_code == httpx.codes.UNAUTHORIZED
        target = service.url.removeprefix("http://")
        text = config(endpoint, target=target, secrets={("prometheus-token", "read"): token})
        with servers.prometheus_server(text) as scraping:
            wait_until(lambda: series(scraping, 'up{job="alert-history"} == 1'), "the service is up")
