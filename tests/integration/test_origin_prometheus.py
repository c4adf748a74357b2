"""A real Prometheus and a real vmalert that are asked, and what the same Prometheus posts at the same time.

Holds: `origins.prometheus`.
"""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import pytest

from alert_history.domain.alert import fingerprint
from alert_history.domain.poll import PolledRuleAlert, PrometheusPoll, may_correct
from alert_history.domain.relabelling import sent_labels
from tests import servers
from tests.asking import ask_prometheus, now
from tests.processes import HOST, Server, wait_until

RULES = r"""
groups:
  - name: fast
    interval: 200ms
    rules:
      - {alert: Plain, expr: 'vector(3.5)', labels: {severity: critical, node: web-17, replica: b, empty: ''},
         annotations: {summary: '{{ $value }} <b>满</b>'}}
      - {alert: Own, expr: 'vector(1)', labels: {cluster: own, node: "db\n3", env_a: "1", env_b: "2"}}
      - {alert: Dropped, expr: 'vector(1)', labels: {node: test-1}}
      - {alert: Unicode, expr: 'vector(1)', labels: {node: 'straße Σ-9', team: Ünï}}
      - {alert: Pending, expr: 'vector(1)', for: 1h}
      - {alert: Broken, expr: 'label_replace(vector(1), "a", "1", "", "") or vector(1) + on() (vector(1) or label_replace(vector(1), "b", "1", "", ""))'}
      - {record: one, expr: 'vector(1)'}
  - name: slow
    interval: 400ms
    rules:
      - {alert: Slow, expr: 'vector(1)', for: 1s}
"""  # noqa: E501
CONFIG = r"""
global:
  external_labels: {{cluster: prod-eu1, "yes": "on", n: "1:30", region: "~", dollar: "$HOME"}}
rule_files: [rules.yml]
alerting:
  alert_relabel_configs:
    - {{action: labeldrop, regex: replica}}
    - {{source_labels: [node], regex: 'test-.*', action: drop}}
    - {{source_labels: [severity, cluster], target_label: joined}}
    - {{source_labels: [severity, cluster, nothing], separator: '', target_label: glued}}
    - {{source_labels: [node], regex: '(.+)-(\d+)', target_label: 'n_$2', replacement: '${{1}}x$$$1x'}}
    - {{source_labels: [node], regex: '(?P<kind>.*)', target_label: kind, replacement: '[$kind]'}}
    - {{source_labels: [node], regex: '(.*)', target_label: 'bad_$1'}}
    - {{source_labels: [nothing], target_label: dollar}}
    - {{target_label: region, replacement: ''}}
    - {{source_labels: [nothing], regex: '', target_label: emptied, replacement: 'yes'}}
    - {{source_labels: [node], action: HashMod, modulus: 9000000000000000000, target_label: shard}}
    - {{source_labels: [team], action: lowercase, target_label: lower}}
    - {{source_labels: [node], action: uppercase, target_label: upper}}
    - {{action: labelmap, regex: 'env_(.*)', replacement: 'mapped_$1'}}
    - {{action: labelmap, regex: 'env_.*', replacement: 'clash'}}
    - {{action: labeldrop, regex: 'env_.*'}}
    - {{source_labels: [joined], action: dropequal, target_label: cluster}}
  alertmanagers:
    - static_configs: [{{targets: ['{alerted}']}}]
"""
FIRING = {"Plain", "Own", "Dropped", "Unicode", "Slow"}
SENT = FIRING - {"Dropped"}
RESEND_OFTEN = ["--rules.alert.resend-delay=1s"]


@dataclass
class Posted:
    """What was posted to an Alertmanager: label sets and starts by alertname."""

    place: str = ""
    labels: dict[str, dict[str, str]] = field(default_factory=dict)
    starts: dict[str, datetime] = field(default_factory=dict)


@pytest.fixture(scope="module")
def posted() -> Iterator[Posted]:
    """A server in an Alertmanager's place, which takes everything."""
    taken = Posted()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            for alert in json.loads(self.rfile.read(int(self.headers["content-length"]))):
                taken.labels[alert["labels"]["alertname"]] = alert["labels"]
                taken.starts[alert["labels"]["alertname"]] = datetime.fromisoformat(alert["startsAt"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    taken.place = f"{HOST}:{server.server_port}"
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield taken
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def prometheus(posted: Posted) -> Iterator[Server]:
    """One that has posted all that it will post."""
    with servers.prometheus_server(CONFIG.format(alerted=posted.place), RULES, args=RESEND_OFTEN) as server:
        wait_until(lambda: posted.labels.keys() >= SENT, "all alerts were posted")
        yield server


@pytest.fixture
async def poll(prometheus: Server) -> PrometheusPoll:
    (only,) = await ask_prometheus(prometheus.url)
    return only


def names(alerts: list[PolledRuleAlert], state: str) -> set[str]:
    return {alert.labels["alertname"] for alert in alerts if alert.state == state}


def named(poll: PrometheusPoll) -> dict[str, dict[str, str] | None]:
    """The labels that its firing alerts are sent with, by alertname."""
    assert poll.external_labels is not None
    return {
        alert.labels["alertname"]: sent_labels(
            alert.labels, external_labels=poll.external_labels, relabel_configs=poll.alert_relabel_configs
        )
        for alert in poll.alerts
        if alert.state == "firing"
    }


async def test_alerts_of_rules_are_told_with_their_state(poll: PrometheusPoll) -> None:
    assert names(poll.alerts, "firing") == FIRING
    assert names(poll.alerts, "pending") == {"Pending"}


async def test_an_alert_has_its_labels_annotations_and_value(poll: PrometheusPoll) -> None:
    (alert,) = (alert for alert in poll.alerts if alert.labels["alertname"] == "Plain")
    assert alert.labels == {"alertname": "Plain", "severity": "critical", "node": "web-17", "replica": "b"}
    assert alert.annotations == {"summary": "3.5 <b>满</b>"}
    assert alert.value == "3.5e+00"
    assert now() - timedelta(minutes=2) < alert.active_at <= now()


async def test_the_labels_that_are_posted_are_known_without_the_post(poll: PrometheusPoll, posted: Posted) -> None:
    assert poll.unnamed_because is None
    assert named(poll) == {**{name: posted.labels[name] for name in SENT}, "Dropped": None}


async def test_fingerprints_are_those_of_what_is_posted(poll: PrometheusPoll, posted: Posted) -> None:
    ours = {fingerprint(labels) for labels in named(poll).values() if labels}
    assert ours == {fingerprint(posted.labels[name]) for name in SENT}


async def test_it_says_how_long_it_needs_to_know_all_that_fires(poll: PrometheusPoll) -> None:
    assert poll.longest_for == timedelta(hours=1)
    assert poll.longest_interval == timedelta(milliseconds=400)
    assert poll.resend_delay == timedelta(seconds=1)
    assert poll.version.startswith("2.")


async def test_it_does_not_say_its_external_url_unless_that_is_set(poll: PrometheusPoll) -> None:
    """Before 3.0 it tells neither the URL that it makes of its host's name nor that name."""
    assert poll.external_url is None
    with servers.prometheus_server(
        "", args=["--web.external-url=https://prometheus.example.com/eu/", "--web.route-prefix=/"]
    ) as server:
        (other,) = await ask_prometheus(server.url)
    assert other.external_url == "https://prometheus.example.com/eu"


async def test_it_tells_since_when_an_alert_fires(prometheus: Server, posted: Posted) -> None:
    """As it posts it: when it began to pend, and the whole intervals of its rule's `for`."""
    (poll,) = await ask_prometheus(prometheus.url)
    (slow,) = (alert for alert in poll.alerts if alert.labels["alertname"] == "Slow")
    (pending,) = (alert for alert in poll.alerts if alert.labels["alertname"] == "Pending")
    assert slow.fires_since is not None
    assert abs(slow.fires_since - posted.starts["Slow"]) < timedelta(milliseconds=2)
    assert pending.fires_since is None


async def test_one_that_has_just_started_may_not_correct(poll: PrometheusPoll) -> None:
    assert poll.started_at is not None
    assert timedelta() <= poll.asked_at - poll.started_at < timedelta(minutes=1)
    assert "needs 3602 s" in (may_correct(poll, now()) or "")
    assert may_correct(poll, now() + timedelta(hours=1, seconds=3)) is None


async def test_rules_that_fail_are_named(poll: PrometheusPoll) -> None:
    assert poll.faulty_rules == {"Broken"}


async def test_replicas_speak_each_for_itself(prometheus: Server, posted: Posted) -> None:
    config = CONFIG.format(alerted=posted.place).replace("prod-eu1", "prod-eu2")
    with servers.prometheus_server(config) as other:
        polls = await ask_prometheus(prometheus.url, other.url)
    assert [poll.server for poll in polls] == [prometheus.url, other.url]
    assert [(poll.external_labels or {})["cluster"] for poll in polls] == ["prod-eu1", "prod-eu2"]


async def test_the_default_resend_delay_and_no_external_labels() -> None:
    with servers.prometheus_server("") as server:
        (poll,) = await ask_prometheus(server.url)
    assert (poll.resend_delay, poll.external_labels, poll.unnamed_because) == (timedelta(minutes=1), {}, None)


async def test_a_reload_shows() -> None:
    with servers.prometheus_server("") as server:
        (before,) = await ask_prometheus(server.url)
        (server.folder / "prometheus.yml").write_text("global: {external_labels: {a: b}}")
        wait_until(lambda: now() - _second(before.reloaded_at) > timedelta(seconds=1), "the next second began")
        os.kill(server.pid, signal.SIGHUP)
        wait_until(lambda: "a: b" in _config(server), "the new configuration is in force")
        (after,) = await ask_prometheus(server.url)
    assert before.reloaded_at is not None
    assert after.reloaded_at is not None
    assert after.reloaded_at > before.reloaded_at
    assert after.started_at == before.started_at
    assert after.external_labels == {"a": "b"}


def _second(time: datetime | None) -> datetime:
    assert time is not None
    return time


def _config(server: Server) -> str:
    text: str = httpx.get(f"{server.url}/api/v1/status/config", trust_env=False).json()["data"]["yaml"]
    return text


@pytest.fixture(scope="module")
def vmalert(posted: Posted) -> Iterator[Server]:
    rules = "groups: [{name: g, interval: 1s, rules: [{alert: Vm, expr: 'vector(2)', labels: {empty: ''}}]}]"
    with ExitStack() as stack:
        asked = stack.enter_context(servers.victoria_metrics_server())
        flags = [f"-datasource.url={asked.url}", f"-notifier.url=http://{posted.place}", "-external.label=cluster=eu"]
        server = stack.enter_context(servers.vmalert_server(rules, args=flags))
        wait_until(lambda: "Vm" in posted.labels, "vmalert has posted")
        yield server


async def test_vmalert_confirms_by_the_labels_that_it_posts(vmalert: Server, posted: Posted) -> None:
    (poll,) = await ask_prometheus(vmalert.url)
    assert [(alert.labels, alert.state, alert.value) for alert in poll.alerts] == [
        ({"alertname": "Vm", "alertgroup": "g", "cluster": "eu"}, "firing", "2")
    ]
    assert fingerprint(poll.alerts[0].labels) == fingerprint({n: v for n, v in posted.labels["Vm"].items() if v})


async def test_vmalert_may_not_correct(vmalert: Server) -> None:
    (poll,) = await ask_prometheus(vmalert.url)
    assert (poll.external_labels, poll.started_at) == (None, None)
    assert poll.unnamed_because is not None
    assert may_correct(poll, now()) == "it does not show its configuration"


async def test_a_victoria_metrics_that_has_no_rules_may_not_correct() -> None:
    with servers.victoria_metrics_server() as server:
        (poll,) = await ask_prometheus(server.url)
    assert poll.alerts == []
    assert may_correct(poll, now()) == "it does not show its configuration"
