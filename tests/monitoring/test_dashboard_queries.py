"""Every query of the dashboard has an answer, from a real Prometheus that scraped a real service at work."""

import json
import math
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest

from tests import llm_proxy, servers
from tests.e2e.exporter import exporter
from tests.monitoring.documents import ROOT
from tests.monitoring.test_dashboard import HELD, PANELS
from tests.monitoring.test_rules import rules
from tests.payloads import alert, webhook
from tests.processes import HOST, Server, wait_until

TIMEOUT_SECONDS = 90
ALERTMANAGER = "{route: {receiver: nobody}, receivers: [{name: nobody}]}"
CONFIG = """
global: {{scrape_interval: 500ms, evaluation_interval: 500ms}}
rule_files: ['{rules}/*.yaml']
scrape_configs:
  - job_name: alert-history
    static_configs: [{{targets: ['{service}'], labels: {{namespace: ops, pod: alert-history-0}}}}]
  - job_name: cluster
    static_configs: [{{targets: ['{cluster}']}}]
"""
CHOSEN = {"$job": "alert-history", "$namespace": ".*", "$pod": ".*", "$target": ".*", "$__rate_interval": "30s"}

# What kube-state-metrics and the kubelet tell in a cluster. `{n}` grows with each scrape, as counters do.
CLUSTER = """
kube_pod_container_resource_limits{{namespace="ops",pod="a-0",resource="memory",container="alert-history"}} 1e9
kube_pod_container_resource_limits{{namespace="ops",pod="a-0",resource="cpu",container="alert-history"}} 1
kube_pod_container_status_restarts_total{{namespace="ops",pod="alert-history-0",container="alert-history"}} 1
container_cpu_cfs_periods_total{{namespace="ops",pod="alert-history-0",container="alert-history"}} {n}
container_cpu_cfs_throttled_periods_total{{namespace="ops",pod="alert-history-0",container="alert-history"}} 2
container_memory_working_set_bytes{{namespace="ops",pod="alert-history-0",container="alert-history"}} 2e8
kube_horizontalpodautoscaler_status_current_replicas{{namespace="ops",horizontalpodautoscaler="alert-history"}} 3
kube_horizontalpodautoscaler_status_desired_replicas{{namespace="ops",horizontalpodautoscaler="alert-history"}} 3
kube_horizontalpodautoscaler_spec_min_replicas{{namespace="ops",horizontalpodautoscaler="alert-history"}} 3
kube_horizontalpodautoscaler_spec_max_replicas{{namespace="ops",horizontalpodautoscaler="alert-history"}} 10
kube_cronjob_status_last_successful_time{{namespace="ops",cronjob="postgresql-backup"}} 1.8e9
kube_cronjob_created{{namespace="ops",cronjob="postgresql-backup"}} 1.7e9
kubelet_volume_stats_available_bytes{{namespace="ops",persistentvolumeclaim="alert-history-postgresql"}} 5e9
kubelet_volume_stats_capacity_bytes{{namespace="ops",persistentvolumeclaim="alert-history-postgresql"}} 2e10
"""


LEGEND_LABEL = re.compile(r"{{(\w+)}}")
SELECTOR = re.compile(r"\b(?:alert_history[_:][a-z0-9_:]*[a-z0-9]|up|kube[a-z_]+)(?:\{[^}]*\})?")


class Asked(NamedTuple):
    """A query, and the labels that some series of its answer must have."""

    query: str
    labels: frozenset[str]


class Receiver(BaseHTTPRequestHandler):
    """Somebody's webhooks: the path says with which status each answers."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(int(self.path.removeprefix("/")))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing: a test's output is its own."""


class Scene:
    """The service at work, and the Prometheus that watches it."""

    def __init__(self, service: Server, prometheus: Server) -> None:
        self._service = service
        self._prometheus = prometheus
        self._numbers = count()

    def work(self) -> None:
        """A little of all that happens: alerts that fire and resolve, are of new kinds, broken or refused; a switch."""
        number = next(self._numbers)
        fresh = alert(number, alertname=f"Rule{'ABCDEFGHIJ'[number % 10]}")
        for payload in (fresh, fresh, fresh | {"status": "resolved", "endsAt": "2026-11-24T04:00:00Z"}):
            self._post("/webhook/proxy", webhook(payload))
        self._post("/webhook", webhook({"labels": {}}))
        self._post("/webhook", b"{")
        mode = ["transparent", "enriched"][number % 2]
        self._post("/enrichment/mode", json.dumps({"mode": mode}).encode())

    def unanswered(self, asked: set[Asked]) -> set[Asked]:
        """Those that Prometheus has no number for, with the labels that are to be shown."""
        return {
            question
            for question in asked
            if not any(question.labels <= labels for labels in self._answer(question.query))
        }

    def firing(self) -> set[str]:
        """The alerts that fire now."""
        answer = httpx.get(f"{self._prometheus.url}/api/v1/alerts", timeout=10, trust_env=False).json()
        return {entry["labels"]["alertname"] for entry in answer["data"]["alerts"] if entry["state"] == "firing"}

    def value(self, query: str) -> float | None:
        """The number that answers a query with one series, if there is one."""
        samples = self._ask(query)
        return float(samples[0]["value"][1]) if samples else None

    def _answer(self, query: str) -> Iterator[set[str]]:
        """The labels of each series that has a number."""
        for series in self._ask(query):
            if math.isfinite(float(series["value"][1])):
                yield set(series["metric"])

    def _ask(self, query: str) -> list[dict[str, Any]]:
        for name, value in CHOSEN.items():
            query = query.replace(name, value)
        answer = httpx.get(f"{self._prometheus.url}/api/v1/query", params={"query": query}, timeout=10, trust_env=False)
        assert answer.status_code == httpx.codes.OK, f"{query}: {answer.text}"
        samples: list[dict[str, Any]] = answer.json()["data"]["result"]
        return samples

    def _post(self, path: str, body: bytes) -> None:
        headers = {"Content-Type": "application/json"}
        httpx.post(f"{self._service.url}{path}", content=body, headers=headers, timeout=10, trust_env=False)


@contextmanager
def receiver() -> Iterator[str]:
    """Where the webhooks are."""
    server = ThreadingHTTPServer((HOST, 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def proxy() -> Iterator[str]:
    """Where a model is."""
    command = [sys.executable, "-m", "tests.llm_proxy"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def target(folder: Path, name: str, url: str) -> None:
    """A target in a folder."""
    (folder / name).mkdir(parents=True)
    (folder / name / "url").write_text(url)
    (folder / name / "labels").write_text("alert-history.io/target=true\nalert-history.io/format=webhook\n")


def quick_rules(folder: Path) -> Path:
    """The rules that are shipped, evaluated every second."""
    folder.mkdir()
    for shipped in (ROOT / "monitoring" / "rules").glob("*.yaml"):
        text = shipped.read_text(encoding="utf-8").replace("interval: 30s", "interval: 1s")
        (folder / shipped.name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """All of it, running."""
    folder = tmp_path_factory.mktemp("scene")
    targets, scrapes = folder / "targets", count()
    with ExitStack() as stack:
        hooks = stack.enter_context(receiver())
        for name, status in {"takes": 204, "refuses": 400, "fails": 500}.items():
            target(targets, name, f"{hooks}/{status}")
        environment = {
            "DATABASE_URL": f"sqlite:///{folder / 'alert_history.db'}",
            "REDIS_URL": stack.enter_context(servers.redis_server()).url,
            "TARGETS_DIR": str(targets),
            "ALLOW_PRIVATE_TARGETS": "true",
            "ENRICHMENT_MODE": "enriched",
            "LLM_PROXY_URL": stack.enter_context(proxy()),
            "LLM_API_KEY": llm_proxy.KEY,
            "ALERTMANAGER_URLS": stack.enter_context(servers.alertmanager_server(ALERTMANAGER)).url,
            "RECONCILE_INTERVAL_SECONDS": "5",
        }
        service = stack.enter_context(servers.service(environment))
        cluster = stack.enter_context(exporter(lambda _: CLUSTER.format(n=next(scrapes))))
        rules = quick_rules(folder / "rules")
        config = CONFIG.format(rules=rules, service=urlsplit(service.url).netloc, cluster=cluster)
        yield Scene(service, stack.enter_context(servers.prometheus_server(config)))


# What is not there in this scene: the model is well.
NOT_HERE = {
    'alert_history_classification_errors_total{error_type!~"budget|storm"}',
}


def asked_by_the_dashboard() -> set[Asked]:
    """Its queries, each with the labels that its legend shows."""
    notes = [(note["target"]["expr"], note["titleFormat"]) for note in HELD["annotations"]["list"]]
    shown = [(target["expr"], target["legendFormat"]) for panel in PANELS for target in panel["targets"]]
    return {Asked(query, frozenset(LEGEND_LABEL.findall(legend))) for query, legend in [*notes, *shown]}


def asked_by_the_rules() -> set[Asked]:
    """What their expressions select."""
    return {Asked(selector, frozenset()) for rule in rules().values() for selector in SELECTOR.findall(rule["expr"])}


def test_every_query_of_the_dashboard_and_the_rules_is_answered(scene: Scene) -> None:
    asked = {question for question in asked_by_the_dashboard() | asked_by_the_rules() if question.query not in NOT_HERE}
    assert len(asked) > 100

    def is_answered() -> bool:
        nonlocal asked
        scene.work()
        asked = scene.unanswered(asked)
        return not asked

    try:
        wait_until(is_answered, "every query is answered", timeout_seconds=TIMEOUT_SECONDS)
    except AssertionError:
        pytest.fail("no number, or not with these labels, for\n" + "\n".join(map(str, sorted(asked))))


def test_what_goes_wrong_here_is_alerted_on_and_nothing_else(scene: Scene) -> None:
    """The others wait for minutes, or for what does not happen here."""
    at_once = {"AlertHistoryDeadLetters", "AlertHistoryQuarantined"}

    def are_firing() -> bool:
        scene.work()
        return scene.firing() >= at_once

    wait_until(are_firing, "dead letters and quarantined alerts are alerted on")
    assert scene.firing() == at_once


def test_a_target_that_fails_again_and_again_is_shown_as_left_alone(scene: Scene) -> None:
    def is_paused() -> bool:
        scene.work()
        return scene.value('max_over_time(alert_history_target_paused{target="fails"}[1m])') == 1

    wait_until(is_paused, "its circuit breaker is open", timeout_seconds=TIMEOUT_SECONDS)
    assert scene.value('max_over_time(alert_history_target_paused{target="takes"}[1m])') == 0
