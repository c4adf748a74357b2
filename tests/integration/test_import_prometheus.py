"""What an import makes of a real Prometheus equals what that Prometheus had posted, through a reload and a kill.

Holds: `origins.imports.prometheus` and what it is made of.
"""

import asyncio
import json
import os
import re
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from unittest.mock import ANY

import httpx
import pytest

from alert_history.domain.alert import fingerprint
from alert_history.domain.past_firing import PastFiring
from alert_history.errors import ConfigurationError, OriginUnavailable
from alert_history.origins.imports.prometheus import ORIGIN
from alert_history.ports.past_origins import ImportRequest
from tests import servers
from tests.commands import run
from tests.conformance import raw
from tests.processes import HOST, Server, wait_until

RULES = """
groups:
  - name: conditions
    rules:
      - alert: Steady
        expr: last_over_time(condition{name="Steady"}[30s]) > 0
        labels: {severity: critical, replica: a, empty: ''}
        annotations:
          summary: '{{ $labels.member }} of {{ .ExternalLabels.cluster | toUpper }}: {{ $value | humanize }}'
          plain: no template
          asks: '{{ with query "up" }}{{ . | first | value }}{{ end }}'
      - alert: Brief
        expr: last_over_time(condition{name="Brief"}[30s]) > 0
        annotations: {summary: '{{ $labels.member }} is it'}
      - {alert: Held, expr: 'last_over_time(condition{name="Held"}[30s]) > 0', for: 2s}
      - {alert: Gone, expr: 'last_over_time(condition{name="Gone"}[2500ms]) > 0'}
      - {alert: Seen, expr: 'last_over_time(condition{name="Seen"}[30s]) > 0'}
      - {alert: Dropped, expr: 'last_over_time(condition{name="Dropped"}[30s]) > 0', labels: {team: test-1}}
      - {alert: Changed, expr: 'last_over_time(condition{name="Changed"}[30s]) > 0', labels: {severity: BEFORE}}
"""
CONFIG = """
global:
  scrape_interval: 1s
  scrape_timeout: 1s
  evaluation_interval: 1s
  external_labels: {{cluster: prod-eu1, replica: b}}
rule_files: [rules.yml]
scrape_configs: [{{job_name: node, static_configs: [{{targets: ['{place}']}}]}}]
alerting:
  alert_relabel_configs:
    - {{action: labeldrop, regex: replica}}
    - {{source_labels: [team], regex: 'test-.*', action: drop}}
    - {{source_labels: [member, cluster], separator: '@', target_label: whole}}
  alertmanagers:
    - static_configs: [{{targets: ['{place}', '{ours}']}}]
"""
"""A scrape that fails once, on a busy machine, ends no alert: each looks back further, and Gone a little."""

OFTEN = ["--rules.alert.resend-delay=1s", "--web.external-url=http://prometheus.example.com"]
SECOND = timedelta(seconds=1)


@dataclass
class Post:
    """One alert of one post."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime
    ends_at: datetime
    link: str


@dataclass
class Stage:
    """A target that shows conditions, and an Alertmanager's place that notes what is posted."""

    conditions: dict[str, float] = field(default_factory=dict)
    posts: list[Post] = field(default_factory=list)
    place: str = ""

    def of(self, name: str) -> list[Post]:
        return [post for post in self.posts if post.labels["alertname"] == name]

    def fires(self, name: str, *, after: int = 0, severity: str = "") -> bool:
        """Whether a post after so many has a start that none of them had."""
        known = {post.starts_at for post in self.posts[:after] if post.labels["alertname"] == name}
        posts = [post for post in self.posts[after:] if post.labels["alertname"] == name]
        return any(post.starts_at not in known and severity in post.labels.get("severity", "") for post in posts)

    def over(self, name: str) -> list[tuple[datetime, datetime]]:
        """Starts and ends of what is resolved: such an end is posted again, that of a firing alert moves on."""
        counted = Counter((post.starts_at, post.ends_at) for post in self.of(name))
        return sorted(pair for pair, count in counted.items() if count > 1)

    def metrics(self) -> bytes:
        lines = [f'condition{{name="{name}",member="db-1"}} {value}\n' for name, value in self.conditions.items()]
        return "".join(["# TYPE condition gauge\n", *lines]).encode()

    def take(self, body: bytes) -> None:
        for alert in json.loads(body):
            self.posts.append(
                Post(
                    alert["labels"],
                    alert.get("annotations") or {},
                    _to_millisecond(datetime.fromisoformat(alert["startsAt"])),
                    _to_millisecond(datetime.fromisoformat(alert["endsAt"])),
                    alert.get("generatorURL", ""),
                )
            )


def _to_millisecond(time: datetime) -> datetime:
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    made = Stage()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.take(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(made.metrics())

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    made.place = f"{HOST}:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Our own, to which the same is posted."""
    url = f"sqlite:///{tmp_path_factory.mktemp('history') / 'history.db'}"
    with servers.service({"DATABASE_URL": url}) as server:
        yield server


@pytest.fixture(scope="module")
def prometheus(stage: Stage, service: Server) -> Iterator[Server]:
    """One that was reloaded with a changed rule, killed, and started again; all has been posted.

    After the start it looks back to samples from before the kill until it scrapes again: Seen goes on, Gone does not.
    """
    stage.conditions = dict.fromkeys(["Steady", "Brief", "Held", "Gone", "Seen", "Dropped", "Changed"], 1.0)
    stage.conditions["Steady"] = 1234.5
    config = CONFIG.format(place=stage.place, ours=f"{HOST}:{service.port}")
    with servers.prometheus_server(config, RULES, args=OFTEN) as server:
        wait_until(
            lambda: all(map(stage.fires, ["Steady", "Brief", "Held", "Gone", "Seen", "Changed"])), "all were posted"
        )
        _flap(stage)
        _reload(stage, server)
        server.kill()
        stage.conditions["Gone"] = stage.conditions["Seen"] = 0
        killed_at = datetime.now(UTC)
        wait_until(lambda: datetime.now(UTC) - killed_at > 4 * SECOND, "it was down for longer than Gone looks back")
        server.start()
        after = len(stage.posts)
        wait_until(lambda: stage.fires("Steady", after=after), "it posts again")
        stage.conditions["Held"] = 0
        wait_until(lambda: stage.over("Held") and stage.over("Seen"), "Held and Seen are over")
        yield server


def _flap(stage: Stage) -> None:
    stage.conditions["Brief"] = 0
    wait_until(lambda: stage.over("Brief"), "Brief is over")
    after = len(stage.posts)
    stage.conditions["Brief"] = 1
    wait_until(lambda: stage.fires("Brief", after=after), "Brief fires again")
    stage.conditions["Brief"] = 0


def _reload(stage: Stage, server: Server) -> None:
    """Reload while Brief ends: that is posted afterwards, because a resolved alert is posted again and again."""
    (server.folder / "rules.yml").write_text(RULES.replace("BEFORE", "AFTER"))
    os.kill(server.pid, signal.SIGHUP)
    wait_until(lambda: stage.fires("Changed", severity="AFTER"), "the changed rule was posted")
    wait_until(lambda: len(stage.over("Brief")) == 2, "Brief is over again")


async def imported(url: str, *, start: datetime | None = None, **given: Sequence[str]) -> list[PastFiring]:
    """What an import reads there."""
    options = {"url": (url,), **{name.replace("_", "-"): tuple(values) for name, values in given.items()}}
    request = ImportRequest(given=options, now=datetime.now(UTC), start=start)
    return [firing async for batch in ORIGIN.read(request) for firing in batch.firings]


@pytest.fixture
async def firings(prometheus: Server) -> list[PastFiring]:
    return sorted(await imported(prometheus.url, values=["yes"]), key=lambda firing: firing.starts_at)


def named(firings: list[PastFiring], name: str) -> list[PastFiring]:
    return [firing for firing in firings if firing.labels["alertname"] == name]


async def test_starts_and_ends_are_those_that_were_posted(firings: list[PastFiring], stage: Stage) -> None:
    posted = stage.over("Brief")
    assert len(posted) == 2
    assert [(firing.starts_at, firing.ends_at) for firing in named(firings, "Brief")] == posted
    assert {firing.ended_by for firing in named(firings, "Brief")} == {"resolved"}


async def test_fingerprints_are_those_that_were_posted(firings: list[PastFiring], stage: Stage) -> None:
    """External labels and relabelling are in what is posted, not in the samples; so is that an alert was dropped."""
    assert {firing.fingerprint for firing in firings} == {fingerprint(post.labels) for post in stage.posts}
    assert "Dropped" not in {firing.labels["alertname"] for firing in firings}


async def test_a_firing_before_the_first_sample_has_the_start_that_was_posted(
    firings: list[PastFiring], stage: Stage
) -> None:
    """The first two evaluations after a start post and write no sample."""
    for name in ("Steady", "Gone", "Seen", "Held"):
        assert named(firings, name)[0].starts_at == min(post.starts_at for post in stage.of(name)), name


async def test_a_kill_does_not_cut_what_fires_again(firings: list[PastFiring], stage: Stage) -> None:
    """After it the same alert is posted with a new start, and the old one is never resolved: one firing."""
    assert len({post.starts_at for post in stage.of("Steady")}) == 2
    assert stage.over("Steady") == []
    (steady,) = named(firings, "Steady")
    assert steady.ends_at is None
    assert steady.last_seen_at is not None
    assert datetime.now(UTC) - steady.last_seen_at < 10 * SECOND
    for name in ("Held", "Seen"):
        (firing,) = named(firings, name)
        assert firing.ends_at == max(end for _, end in stage.over(name))
        assert firing.ended_by == "resolved"


async def test_what_fired_at_a_kill_and_never_again_has_an_inferred_end(
    firings: list[PastFiring], stage: Stage
) -> None:
    (gone,) = named(firings, "Gone")
    assert gone.ended_by == "inferred"
    assert gone.ends_at == gone.last_seen_at
    assert gone.ends_at is not None
    assert gone.starts_at < gone.ends_at < max(post.ends_at for post in stage.of("Gone"))
    assert stage.over("Gone") == []


async def test_a_reload_that_changes_a_label_ends_one_alert_and_begins_another(
    firings: list[PastFiring], stage: Stage
) -> None:
    before, after = named(firings, "Changed")
    assert (before.labels["severity"], after.labels["severity"]) == ("BEFORE", "AFTER")
    posted = [post for post in stage.of("Changed") if post.labels["severity"] == "AFTER"]
    assert after.starts_at == min(post.starts_at for post in posted)
    assert before.ends_at is not None
    assert timedelta() <= after.starts_at - before.ends_at + SECOND <= 3 * SECOND
    assert after.ends_at is None


async def test_annotations_and_links_are_those_that_were_posted(firings: list[PastFiring], stage: Stage) -> None:
    (steady,) = named(firings, "Steady")
    posted = stage.of("Steady")[-1]
    assert steady.annotations == {name: text for name, text in posted.annotations.items() if name != "asks"}
    assert steady.annotations["summary"] == "db-1 of PROD-EU1: 1.234k" or "1.235k" in steady.annotations["summary"]
    assert steady.generator_url == posted.link
    assert {firing.annotations["summary"] for firing in named(firings, "Brief")} == {"db-1 is it"}


async def test_an_annotation_that_says_the_value_is_left_out_unless_values_are_asked(prometheus: Server) -> None:
    (steady,) = named(await imported(prometheus.url), "Steady")
    assert steady.annotations == {"plain": "no template"}


async def test_short_spans_read_the_same(prometheus: Server, firings: list[PastFiring]) -> None:
    """A firing that goes on over spans is one."""
    short = await imported(prometheus.url, step=["3s"], start=firings[0].starts_at)
    assert _known(short) == _known(firings)


def _known(firings: list[PastFiring]) -> set[tuple[str, datetime, datetime | None, str]]:
    return {(firing.fingerprint, firing.starts_at, firing.ends_at, firing.ended_by) for firing in firings}


async def test_only_firings_that_begin_in_the_asked_span_are_read(
    prometheus: Server, firings: list[PastFiring]
) -> None:
    first, second = named(firings, "Brief")
    request = ImportRequest(
        given={"url": (prometheus.url,)}, now=datetime.now(UTC), start=second.starts_at, end=second.starts_at + SECOND
    )
    read = [firing async for batch in ORIGIN.read(request) for firing in batch.firings]
    assert [firing.starts_at for firing in named(read, "Brief")] == [second.starts_at]
    assert first.starts_at not in {firing.starts_at for firing in read}
    assert named(read, "Steady") == []


def test_an_import_beside_live_ingest_makes_one_history(
    prometheus: Server, service: Server, stage: Stage, firings: list[PastFiring]
) -> None:
    """What was posted to us is there already: the import adds nothing, and running it again changes nothing."""
    live = _occurrences(service)
    assert {fingerprint for fingerprint, *_ in live} == {fingerprint(post.labels) for post in stage.posts}
    done = run("import", "prometheus", "--url", prometheus.url, env=service.environment)
    assert done.returncode == 0, done.stderr
    after = _occurrences(service)
    assert len(after) == len(live) == len(firings)
    assert {row[:2] for row in after} == {(f.fingerprint, f.starts_at) for f in firings}
    assert run("import", "prometheus", "--url", prometheus.url, env=service.environment).returncode == 0
    assert _occurrences(service) == after


def _occurrences(service: Server) -> list[tuple[str, datetime, str]]:
    rows = asyncio.run(
        raw.fetch(service.environment["DATABASE_URL"], "SELECT fingerprint, starts_at, status FROM alerts")
    )
    return sorted((str(row[0]), _to_millisecond(_time(row[1])), str(row[2])) for row in rows)


def _time(stored: object) -> datetime:
    return datetime.fromtimestamp(int(str(stored)) / 1_000_000, UTC)


async def test_rules_of_a_file_are_taken_and_a_bad_file_is_named(prometheus: Server, tmp_path: Path) -> None:
    good, bad = tmp_path / "rules.yml", tmp_path / "bad.yml"
    good.write_text(
        "groups: [{name: a, rules: [{alert: Brief, expr: x, annotations: {from: 'file {{ $labels.member }}'}}]}]"
    )
    bad.write_text("groups: [{rules: 3}]")
    read = await imported(prometheus.url, rules=[str(good)])
    assert named(read, "Brief")[0].annotations == {"from": "file db-1"}
    with pytest.raises(ConfigurationError, match=r"bad\.yml"):
        await imported(prometheus.url, rules=[str(bad)])


async def test_options_that_can_not_be_meant_are_refused(prometheus: Server) -> None:
    with pytest.raises(ConfigurationError, match="--step"):
        await imported(prometheus.url, step=["soon"])


# --- Who speaks as a Prometheus does ----------------------------------------------------------------------------------


@dataclass
class Alike:
    """A server in front of the real one, as Mimir is: below a path, for those who name a tenant, of few samples a time.

    What it was asked is in `asked`. It shows no configuration, unless `shown` says so.
    """

    behind: str
    client: httpx.Client
    url: str = ""
    longest_ms: int = 10**12
    refuses_index: bool = False
    warning: str = ""
    shown: str = ""
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str, tenant: str | None) -> tuple[int, bytes]:
        self.asked.append(path)
        if tenant != "team-a":
            return 401, b"no org id"
        inner = path.removeprefix("/prometheus")
        if inner.startswith("/api/v1/status/config") and self.shown:
            return 200, json.dumps({"status": "success", "data": {"yaml": self.shown}}).encode()
        if inner.startswith("/api/v1/status"):
            return 404, b"page not found"
        if self.refuses_index and "/label/" in inner:
            return 422, b"the query time range exceeds the limit"
        length = re.search(r"%5B(\d+)ms%5D", inner)
        if length and int(length[1]) > self.longest_ms:
            return 422, b'{"status":"error","errorType":"execution","error":"too many samples"}'
        body = self.client.get(self.behind + inner).content
        if self.warning and length:
            body = json.dumps(json.loads(body) | {"warnings": [self.warning]}).encode()
        return 200, body


@pytest.fixture
def alike(prometheus: Server) -> Iterator[Alike]:
    made = Alike(prometheus.url, httpx.Client(trust_env=False))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = made.answer(self.path, self.headers["x-scope-orgid"])
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    made.url = f"http://{HOST}:{server.server_port}/prometheus"
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()
    made.client.close()


TENANT = ["X-Scope-OrgID=team-a"]


async def test_a_server_that_hides_its_configuration_is_told_external_labels(alike: Alike, stage: Stage) -> None:
    """As Mimir: below a path, with a tenant's header; what relabelling did is not known there."""
    read = await imported(alike.url, header=TENANT, external_label=["cluster=prod-eu1"], replica_label=["replica"])
    (steady,) = named(read, "Steady")
    posted = stage.of("Steady")[0].labels
    assert steady.labels == {name: value for name, value in posted.items() if name != "whole"}
    with pytest.raises(OriginUnavailable, match="401"):
        await imported(alike.url)


async def test_a_question_that_is_too_large_is_asked_in_parts(alike: Alike, firings: list[PastFiring]) -> None:
    alike.longest_ms = 240_000
    read = await imported(alike.url, header=TENANT, start=firings[0].starts_at - timedelta(hours=1))
    assert {firing.starts_at for firing in read} >= {firing.starts_at for firing in firings}
    assert any("3600000ms" in path for path in alike.asked)


async def test_a_server_that_refuses_to_search_its_index_is_read_from_long_ago(
    alike: Alike, firings: list[PastFiring]
) -> None:
    alike.refuses_index = True
    read = await imported(alike.url, header=TENANT)
    assert {firing.starts_at for firing in read} >= {firing.starts_at for firing in firings}


async def test_an_answer_in_part_is_refused(alike: Alike) -> None:
    alike.warning = "a store did not answer"
    with pytest.raises(OriginUnavailable, match="a store did not answer"):
        await imported(alike.url, header=TENANT)


async def test_relabelling_that_can_not_be_followed_is_refused_unless_labels_are_taken_as_recorded(
    alike: Alike,
) -> None:
    alike.shown = "global: {}\nalerting:\n  alertmanagers:\n  - alert_relabel_configs: [{action: labeldrop}]\n"
    with pytest.raises(ConfigurationError, match="alert_relabel_configs"):
        await imported(alike.url, header=TENANT)
    read = await imported(alike.url, header=TENANT, as_recorded=["yes"])
    assert named(read, "Brief")[0].labels == {
        "alertname": "Brief",
        "instance": ANY,
        "job": "node",
        "member": "db-1",
        "name": "Brief",
    }
