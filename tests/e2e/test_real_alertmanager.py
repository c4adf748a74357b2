"""The main job on real input: Prometheus evaluates a rule, Alertmanager or Prometheus itself tells us, we show it."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest

from tests import servers
from tests.conftest import StartService
from tests.e2e.exporter import Gauge, exporter
from tests.processes import Server, find_program, wait_until

ALERTNAME = "DiskWillFill"
RULES = """
groups:
  - name: node
    interval: 200ms
    rules:
      - alert: DiskWillFill
        expr: disk_free_ratio < 0.1
        labels: {severity: critical, namespace: databases}
        annotations:
          summary: 'Only {{ $value | humanizePercentage }} free on {{ $labels.node }}: "/var" & <b>more</b> · 満杯'
"""
# A scrape that is not answered in time is a gap, after which Prometheus fires anew: a busy machine has time enough.
PROMETHEUS = """
global: {{scrape_interval: 2s, scrape_timeout: 2s, external_labels: {{cluster: prod-eu1}}}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: node
    static_configs: [{{targets: ['{scraped}']}}]
alerting:
  alertmanagers:
    - api_version: v2
      static_configs: [{{targets: ['{alerted}']}}]
"""
# Repeats every two seconds, so that a test sees some: the defaults are five minutes and four hours.
ALERTMANAGER = """
route:
  receiver: history
  group_by: [alertname]
  group_wait: 1s
  group_interval: 1s
  repeat_interval: 2s
receivers:
  - name: history
    webhook_configs: [{{url: '{url}/webhook/proxy', send_resolved: true}}]
"""
RESEND_OFTEN = ["--rules.alert.resend-delay=1s"]
REPEATS_WAITED_FOR = 2


class Story(NamedTuple):
    """What was seen of one alert that fired, was repeated and was resolved, by us and by the real senders."""

    alerts: list[dict[str, Any]]
    timeline: dict[str, Any]
    at_prometheus: dict[str, Any]
    at_alertmanager: dict[str, Any]

    @property
    def kinds(self) -> list[str]:
        return [event["kind"] for event in self.timeline["events"]]

    @property
    def alert(self) -> dict[str, Any]:
        return self.alerts[0]


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def through_alertmanager(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The story as Prometheus → Alertmanager → `POST /webhook/proxy` tells it."""
    with ExitStack() as stack:
        history = stack.enter_context(servers.service({"DATABASE_URL": _fresh_database(request, tmp_path_factory)}))
        alertmanager = stack.enter_context(servers.alertmanager_server(ALERTMANAGER.format(url=history.url)))
        yield _play(stack, history, alerted=alertmanager)


@pytest.fixture(scope="module")
def straight_from_prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The same with us in the place of Alertmanager: Prometheus → `POST /api/v2/alerts`."""
    url = f"sqlite:///{tmp_path_factory.mktemp('straight') / 'alert_history.db'}"
    with ExitStack() as stack:
        history = stack.enter_context(servers.service({"DATABASE_URL": url}))
        yield _play(stack, history, alerted=history)


def test_history_shows_exactly_one_occurrence(through_alertmanager: Story) -> None:
    assert [alert["alertname"] for alert in through_alertmanager.alerts] == [ALERTNAME]


def test_the_occurrence_is_resolved_after_it_started(through_alertmanager: Story) -> None:
    alert = through_alertmanager.alert
    assert alert["status"] == "resolved"
    assert _time(alert["starts_at"]) < _time(alert["ends_at"]) <= _time(alert["last_received_at"])


def test_timeline_is_fired_and_resolved_whatever_was_repeated(through_alertmanager: Story) -> None:
    assert through_alertmanager.kinds == ["fired", "resolved"]


def test_events_are_in_order_and_name_the_receipts_that_brought_them(through_alertmanager: Story) -> None:
    fired, resolved = through_alertmanager.timeline["events"]
    assert _time(fired["at"]) < _time(resolved["at"])
    receipts = {fired["receipt_id"], resolved["receipt_id"]}
    assert len(receipts - {None, ""}) == 2


def test_repeats_of_alertmanager_are_counted(through_alertmanager: Story) -> None:
    assert through_alertmanager.alert["repeat_count"] >= REPEATS_WAITED_FOR


def test_labels_are_those_of_prometheus(through_alertmanager: Story) -> None:
    assert through_alertmanager.alert["labels"] == {
        **through_alertmanager.at_prometheus["labels"],
        "cluster": "prod-eu1",
    }


def test_severity_and_namespace_are_columns_of_their_own(through_alertmanager: Story) -> None:
    alert = through_alertmanager.alert
    assert (alert["severity"], alert["namespace"]) == ("critical", "databases")


def test_annotation_comes_through_unchanged(through_alertmanager: Story) -> None:
    assert through_alertmanager.alert["annotations"]["summary"] == ('Only 3% free on db-1: "/var" & <b>more</b> · 満杯')


def test_fingerprint_and_start_are_those_of_alertmanager(through_alertmanager: Story) -> None:
    ours, theirs = through_alertmanager.alert, through_alertmanager.at_alertmanager
    assert ours["fingerprint"] == theirs["fingerprint"]
    assert _time(ours["starts_at"]) == _time(theirs["startsAt"])


def test_source_and_receiver_say_who_told_us(through_alertmanager: Story) -> None:
    alert = through_alertmanager.alert
    assert (alert["source"], alert["receiver"]) == ("alertmanager", "history")


def test_generator_url_leads_to_the_expression(through_alertmanager: Story) -> None:
    assert "disk_free_ratio" in through_alertmanager.alert["generator_url"]


def test_prometheus_alone_makes_exactly_one_occurrence(straight_from_prometheus: Story) -> None:
    assert [alert["alertname"] for alert in straight_from_prometheus.alerts] == [ALERTNAME]


def test_prometheus_alone_fires_and_resolves(straight_from_prometheus: Story) -> None:
    assert straight_from_prometheus.kinds == ["fired", "resolved"]


def test_prometheus_alone_is_named_as_the_source(straight_from_prometheus: Story) -> None:
    assert straight_from_prometheus.alert["source"] == "prometheus"


@pytest.mark.parametrize("prefix", ["", "/", "//"])
def test_alert_that_amtool_adds_is_stored(service: StartService, sqlite_url: str, prefix: str) -> None:
    history = service({"DATABASE_URL": sqlite_url})
    added = ["BackupLate", "severity=warning", "--annotation=summary=None since Sunday"]
    _amtool("alert", "add", *added, to=history.url + prefix)
    (alert,) = _history(history, "BackupLate")
    assert alert["labels"] == {"alertname": "BackupLate", "severity": "warning"}
    assert alert["annotations"] == {"summary": "None since Sunday"}


@pytest.mark.parametrize("prefix", ["", "/"])
def test_amtool_shows_why_an_alert_was_refused(service: StartService, sqlite_url: str, prefix: str) -> None:
    history = service({"DATABASE_URL": sqlite_url})
    times = ["--start=2026-11-24T12:00:00Z", "--end=2026-11-24T11:00:00Z"]
    done = _run_amtool("alert", "add", "BackupLate", *times, to=history.url + prefix)
    assert (done.returncode, "endsAt is before startsAt" in done.stderr) == (1, True), done.stderr


def _play(stack: ExitStack, history: Server, *, alerted: Server) -> Story:
    """Lets the alert fire, be repeated and be resolved; Prometheus sends to `alerted`."""
    disk = Gauge('disk_free_ratio{node="db-1"}', 0.03)
    scraped = stack.enter_context(exporter(disk.render))
    config = PROMETHEUS.format(scraped=scraped, alerted=urlsplit(alerted.url).netloc)
    prometheus = stack.enter_context(servers.prometheus_server(config, RULES, args=RESEND_OFTEN))
    wait_until(lambda: _repeats(history) >= REPEATS_WAITED_FOR, "the alert fired and was repeated")
    at_prometheus = _get(prometheus, "/api/v1/alerts")["data"]["alerts"][0]
    at_alertmanager = {} if alerted is history else _get(alerted, "/api/v2/alerts")[0]
    disk.value = 0.8
    (alert,) = wait_until(lambda: _resolved(history), "the alert was resolved")
    timeline = _get(history, f"/api/v1/alerts/{alert['id']}/timeline")
    return Story(_history(history, ALERTNAME), timeline, at_prometheus, at_alertmanager)


def _fresh_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('story') / 'alert_history.db'}"
    postgres: servers.PostgresServer = request.getfixturevalue("postgres_server")
    return postgres.create_database()


def _history(history: Server, alertname: str) -> list[dict[str, Any]]:
    alerts: list[dict[str, Any]] = _get(history, "/history", query=f'{{alertname="{alertname}"}}')["alerts"]
    return alerts


def _repeats(history: Server) -> int:
    return sum(alert["repeat_count"] for alert in _history(history, ALERTNAME))


def _resolved(history: Server) -> list[dict[str, Any]]:
    return [alert for alert in _history(history, ALERTNAME) if alert["status"] == "resolved"]


def _get(server: Server, path: str, **parameters: str) -> Any:
    answer = httpx.get(server.url + path, params=parameters, timeout=10, trust_env=False)
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer.json()


def _amtool(*words: str, to: str) -> None:
    done = _run_amtool(*words, to=to)
    assert done.returncode == 0, done.stderr


def _run_amtool(*words: str, to: str) -> subprocess.CompletedProcess[str]:
    program = find_program("amtool", package="prometheus-alertmanager")
    command = [program, *words, f"--alertmanager.url={to}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
