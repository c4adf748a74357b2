"""Real Alertmanagers and Prometheus servers are asked, from the command line: what they show is put right and told.

Holds: `cli.reconcile`.
"""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests import servers
from tests.ageing import aged
from tests.commands import run
from tests.conftest import StartService
from tests.processes import HOST, Server, free_port, wait_until
from tests.receiving import Receiver, receiving

ALERTMANAGER = """
route:
  receiver: history
  group_by: [alertname]
  group_wait: 1s
  group_interval: 1s
  repeat_interval: 1h
  routes: [{match: {severity: none}, receiver: nobody}]
receivers:
  - {name: nobody}
  - name: history
    webhook_configs: [{url: '%s/webhook/proxy', send_resolved: true}]
inhibit_rules:
  - {source_match: {alertname: NodeDown}, target_match: {alertname: NodeSlow}, equal: [node]}
"""
PROMETHEUS = """
rule_files: [rules.yml]
alerting:
  alertmanagers: [{api_version: v2, static_configs: [{targets: ['%s']}]}]
"""
RULES = """
groups:
  - name: fast
    interval: 200ms
    rules:
      - {alert: Watchdog, expr: vector(1)}
      - {alert: Gone, expr: vector(1)}
"""
WATCHDOG = {"alertname": "Watchdog", "node": "a"}
DISK = {"alertname": "DiskFull", "node": "a"}

pytestmark = pytest.mark.migrated

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""Of what a store does about an answer, tests/conformance/test_reconciling.py says the same of both databases."""


class Row(NamedTuple):
    source: str
    what: str
    alert: str
    id: str
    why: str


class Outcome(NamedTuple):
    code: int
    rows: list[Row]
    text: str
    errors: str

    def what(self) -> set[tuple[str, str]]:
        """What was done with which alert."""
        return {(row.what, row.alert) for row in self.rows}


def reconcile(database_url: str, *args: str, **env: str) -> Outcome:
    done = run("reconcile", *args, env={"DATABASE_URL": database_url, **env})
    text = done.stdout.decode()
    return Outcome(done.returncode, _rows(text), text, done.stderr.decode())


def _rows(text: str) -> list[Row]:
    """The rows of its table; long texts go on in the next line."""
    rows: list[Row] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split("│")]
        if len(cells) != len(Row._fields) or cells[0] == "says so":
            continue
        if cells[0]:
            rows.append(Row(*cells))
        else:
            rows[-1] = Row(*(f"{before} {more}".strip() for before, more in zip(rows[-1], cells, strict=True)))
    return rows


@pytest.fixture
async def hook() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


@pytest.fixture
def targets(tmp_path: Path, hook: Receiver) -> dict[str, str]:
    """The environment in which one webhook is told."""
    target = tmp_path / "targets" / "team-hook"
    target.mkdir(parents=True)
    (target / "url").write_text(hook.url)
    (target / "labels").write_text("alert-history.io/target=true\nalert-history.io/format=webhook\n")
    return {"TARGETS_DIR": str(target.parent), "ALLOW_PRIVATE_TARGETS": "true"}


@pytest.fixture
def history(database_url: str, targets: dict[str, str], service: StartService) -> Server:
    return service({"DATABASE_URL": database_url, **targets})


@pytest.fixture
def alertmanager(history: Server) -> Iterator[Server]:
    with servers.alertmanager_server(ALERTMANAGER % history.url) as server:
        yield server


@pytest.fixture
def old(alertmanager: Server) -> Iterator[str]:
    """The Alertmanager's URL, at which it has run for hours."""
    with aged(alertmanager) as url:
        yield url


def send(server: Server, labels: dict[str, str], *, is_over: bool = False) -> None:
    now = datetime.now(UTC)
    alert = {"labels": labels, "startsAt": (now - timedelta(minutes=1)).isoformat()}
    if is_over:
        alert = {"labels": labels, "endsAt": now.isoformat()}
    httpx.post(f"{server.url}/api/v2/alerts", json=[alert], trust_env=False).raise_for_status()


def silence(server: Server, alertname: str) -> None:
    now = datetime.now(UTC)
    document = {
        "matchers": [{"name": "alertname", "value": alertname, "isRegex": False}],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=1)).isoformat(),
        "createdBy": "ada",
        "comment": "known: INC-7",
    }
    httpx.post(f"{server.url}/api/v2/silences", json=document, trust_env=False).raise_for_status()


def listed(server: Server) -> dict[str, str]:
    """The state of each alert that an Alertmanager lists, by its name."""
    alerts: list[dict[str, Any]] = httpx.get(f"{server.url}/api/v2/alerts", trust_env=False).json()
    return {alert["labels"]["alertname"]: alert["status"]["state"] for alert in alerts}


def occurrences(server: Server, alertname: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{server.url}/history", params={"alertname": alertname}, trust_env=False)
    alerts: list[dict[str, Any]] = answer.json()["alerts"]
    return alerts


async def next_message(hook: Receiver) -> tuple[str, str]:
    """What the hook hears next: an alert's name and its status."""
    async with asyncio.timeout(20):
        data: Any = (await hook.requests.get())[1]["data"]
    return data["labels"]["alertname"], data["status"]


async def until(claim: Callable[[], object], what: str) -> None:
    """Wait beside the hook, which answers in this loop."""
    await asyncio.to_thread(wait_until, claim, what)


@pytest.fixture
async def paged(alertmanager: Server, hook: Receiver) -> Server:
    """The Alertmanager, whose two alerts have paged."""
    send(alertmanager, WATCHDOG)
    send(alertmanager, DISK)
    assert {await next_message(hook), await next_message(hook)} == {("Watchdog", "firing"), ("DiskFull", "firing")}
    return alertmanager


async def test_what_resolved_while_it_was_silenced_is_ended_and_told(
    paged: Server, old: str, history: Server, hook: Receiver, database_url: str, targets: dict[str, str]
) -> None:
    silence(paged, "DiskFull")
    await until(lambda: listed(paged)["DiskFull"] == "suppressed", "it is silenced")
    send(paged, DISK, is_over=True)
    await until(lambda: "DiskFull" not in listed(paged), "it is over")
    outcome = await asyncio.to_thread(reconcile, database_url, "--alertmanager", f"eu={old}", **targets)
    assert (outcome.code, outcome.what()) == (0, {("ended", "DiskFull")}), outcome.text + outcome.errors
    assert outcome.rows[0].why == "Alertmanager eu does not list it any more"
    assert await next_message(hook) == ("DiskFull", "resolved")
    (occurrence,) = occurrences(history, "DiskFull")
    assert (occurrence["state"], occurrence["ended_by"]) == ("resolved", "reconciled")
    assert [occurrence["state"] for occurrence in occurrences(history, "Watchdog")] == ["firing"]


@ON_SQLITE
async def test_a_dry_run_changes_nothing(
    paged: Server, old: str, history: Server, database_url: str, targets: dict[str, str]
) -> None:
    silence(paged, "DiskFull")
    send(paged, DISK, is_over=True)
    await until(lambda: "DiskFull" not in listed(paged), "it is over")
    outcome = await asyncio.to_thread(reconcile, database_url, "--alertmanager", old, "--dry-run", **targets)
    assert (outcome.code, outcome.what()) == (0, {("ended", "DiskFull")}), outcome.text + outcome.errors
    assert "would be corrected: 1 ended" in outcome.text
    assert [occurrence["state"] for occurrence in occurrences(history, "DiskFull")] == ["firing"]


@ON_SQLITE
async def test_what_fires_and_nobody_sent_is_opened_and_told_to_nobody(
    alertmanager: Server, old: str, history: Server, hook: Receiver, database_url: str, targets: dict[str, str]
) -> None:
    send(alertmanager, {"alertname": "Unrouted", "severity": "none"})
    outcome = await asyncio.to_thread(reconcile, database_url, "--alertmanager", old, **targets)
    assert outcome.what() == {("opened", "Unrouted (none)")}, outcome.text + outcome.errors
    (occurrence,) = occurrences(history, "Unrouted")
    assert occurrence["state"] == "firing"
    assert hook.requests.empty()


@ON_SQLITE
async def test_what_fires_and_nobody_sent_is_told_where_that_is_set(
    alertmanager: Server, old: str, hook: Receiver, database_url: str, targets: dict[str, str]
) -> None:
    send(alertmanager, {"alertname": "Unrouted", "severity": "none"})
    env = {**targets, "RECONCILE_PUBLISHES": "true", "ALERTMANAGER_URLS": old}
    outcome = await asyncio.to_thread(reconcile, database_url, **env)
    assert outcome.what() == {("opened", "Unrouted (none)")}, outcome.text + outcome.errors
    assert await next_message(hook) == ("Unrouted", "firing")


@ON_SQLITE
async def test_an_alertmanager_that_was_restarted_just_now_corrects_nothing(
    paged: Server, history: Server, database_url: str, targets: dict[str, str]
) -> None:
    await asyncio.to_thread(paged.kill)
    await asyncio.to_thread(paged.start)
    outcome = await asyncio.to_thread(reconcile, database_url, "--alertmanager", paged.url, **targets)
    assert (outcome.code, outcome.rows) == (0, [])
    assert re.search(r"corrects nothing: it started \d+ s ago, and needs 300 s", outcome.text)
    assert [occurrence["state"] for occurrence in occurrences(history, "DiskFull")] == ["firing"]


@ON_SQLITE
async def test_who_mutes_an_alert_is_told(paged: Server, old: str, database_url: str, targets: dict[str, str]) -> None:
    silence(paged, "DiskFull")
    send(paged, {"alertname": "NodeSlow", "node": "a"})
    send(paged, {"alertname": "NodeDown", "node": "a"})
    both = {"DiskFull": "suppressed", "NodeSlow": "suppressed"}
    await until(lambda: both.items() <= listed(paged).items(), "two are muted")
    outcome = await asyncio.to_thread(reconcile, database_url, "--alertmanager", f"eu={old}", **targets)
    assert {("silenced", "DiskFull"), ("inhibited", "NodeSlow")} <= outcome.what(), outcome.text + outcome.errors
    why = {row.what: row.why for row in outcome.rows}
    assert re.match(r"Alertmanager eu did not notify: silence \S+ by ada until \S+: known: INC-7", why["silenced"])
    assert why["inhibited"].startswith("Alertmanager eu did not notify: inhibited by ")


def test_who_can_not_be_asked_is_an_error(database_url: str) -> None:
    run("migrate", env={"DATABASE_URL": database_url})
    port = free_port()
    outcome = reconcile(database_url, "--alertmanager", f"eu=http://{HOST}:{port}")
    assert (outcome.code, outcome.rows) == (1, [])
    assert f"alertmanager/eu: http://{HOST}:{port}: can't connect" in outcome.errors


@pytest.mark.parametrize(
    "args, fault",
    [
        ((), "nobody is to be asked"),
        (("--alertmanager", "ftp://x"), "URL 1 is no http or https URL"),
        (("--alertmanager", "http://user:s3cr3t@a:b"), "URL 1 is no http"),
    ],
)
def test_wrong_usage_is_told(sqlite_url: str, args: tuple[str, ...], fault: str) -> None:
    outcome = reconcile(sqlite_url, *args)
    assert outcome.code == 2
    assert fault in outcome.errors
    assert "s3cr3t" not in outcome.errors


def test_what_a_reload_of_a_prometheus_forgot_is_ended(database_url: str, service: StartService) -> None:
    """Prometheus never resolves what a rule that was removed had raised."""
    history = service({"DATABASE_URL": database_url})
    place = history.url.removeprefix("http://")
    port_url = "http://prometheus.example.com:9090"
    args = ["--rules.alert.resend-delay=1s", f"--web.external-url={port_url}"]
    with ExitStack() as stack:
        prometheus = stack.enter_context(servers.prometheus_server(PROMETHEUS % place, RULES, args=args))
        old = stack.enter_context(aged(prometheus))
        wait_until(lambda: occurrences(history, "Gone") and occurrences(history, "Watchdog"), "both were posted")
        (prometheus.folder / "rules.yml").write_text(RULES.replace("      - {alert: Gone, expr: vector(1)}\n", ""))
        os.kill(prometheus.pid, signal.SIGHUP)
        wait_until(lambda: "Gone" not in _ruled(prometheus), "its rule is gone")
        ended = {("ended", "Gone")}
        outcomes = lambda: reconcile(database_url, "--prometheus", f"eu={old}").what()  # noqa: E731  # used once
        assert wait_until(outcomes, "the service has shared who posts, and it is ended") == ended
    assert [occurrence["ended_by"] for occurrence in occurrences(history, "Gone")] == ["reconciled"]
    assert [occurrence["state"] for occurrence in occurrences(history, "Watchdog")] == ["firing"]


def _ruled(server: Server) -> set[str]:
    alerts = httpx.get(f"{server.url}/api/v1/alerts", trust_env=False).json()["data"]["alerts"]
    return {alert["labels"]["alertname"] for alert in alerts}
