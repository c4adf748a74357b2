"""A real Alertmanager whose alerts and silences are taken in, as they are now.

Holds: `origins.imports.alertmanager`, `origins.alertmanager_wire`.
"""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from alert_history.domain.past_firing import PastFiring
from alert_history.errors import ImportFault, OriginUnavailable
from tests import servers
from tests.asking import ask_alertmanager, now
from tests.imports import NOW, Past, read_past
from tests.processes import Server, find_program, wait_until
from tests.vendors.server import Reply, Request, json_reply, serving

CONFIG = """
route:
  receiver: all
  group_by: [alertname]
  routes:
    - {match: {severity: critical}, receiver: pager, continue: true}
    - {match: {severity: critical}, receiver: all}
receivers: [{name: all}, {name: pager}]
inhibit_rules:
  - {source_match: {severity: critical}, target_match: {severity: warning}, equal: [node]}
"""
CRITICAL = {"alertname": "NodeDown", "node": "a", "severity": "critical"}
WARNING = {"alertname": "NodeSlow", "node": "a", "severity": "warning"}
INFO = {"alertname": "NodeOld", "node": "a", "severity": "info"}
OVER = {"alertname": "NodeFull", "node": "a", "severity": "info"}
STARTS_AT = datetime(2026, 1, 31, 10, 0, 0, 250_000, tzinfo=UTC)

pytestmark = pytest.mark.long


def send(server: Server, *label_sets: dict[str, str], ends_at: str | None = None) -> None:
    alerts = [
        {
            "labels": {**labels, "empty": ""},
            "annotations": {"summary": f'"{labels["alertname"]}" <b>满</b>'},
            "startsAt": STARTS_AT.isoformat(),
            "endsAt": ends_at,
            "generatorURL": "http://prometheus/graph",
        }
        for labels in label_sets
    ]
    httpx.post(f"{server.url}/api/v2/alerts", json=alerts, trust_env=False).raise_for_status()


def amtool(server: Server, *words: str) -> str:
    program = find_program("amtool", package="prometheus-alertmanager")
    command = [program, *words, f"--alertmanager.url={server.url}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()


def silence(server: Server, *words: str) -> str:
    return amtool(server, "silence", "add", "--author=ada", "--comment=see INC-7", "--duration=1h", *words)


@pytest.fixture(scope="module")
def alertmanager() -> Iterator[Server]:
    """It holds an alert that fires, one that is inhibited, one that is silenced, and none of one that is over."""
    with servers.alertmanager_server(CONFIG) as server:
        amtool(server, "silence", "expire", silence(server, "alertname=Gone"))
        silence(server, "alertname=~NodeO.*", "node!=z")
        send(server, OVER, ends_at=(now() - timedelta(minutes=1)).isoformat())
        send(server, CRITICAL, WARNING, INFO)
        wait_until(lambda: _muted(server) == {"NodeOld", "NodeSlow"}, "two alerts are muted")
        yield server


def _muted(server: Server) -> set[str]:
    alerts = httpx.get(f"{server.url}/api/v2/alerts", trust_env=False).json()
    return {alert["labels"]["alertname"] for alert in alerts if alert["status"]["state"] == "suppressed"}


def firing(past: Past, labels: dict[str, str]) -> PastFiring:
    (only,) = (firing for firing in past.firings if firing.labels == labels)
    return only


async def test_all_that_fires_is_open_whether_it_is_muted_or_not(alertmanager: Server) -> None:
    past = await read_past("alertmanager", url=alertmanager.url)
    assert sorted(past.named) == ["NodeDown", "NodeOld", "NodeSlow"]
    assert {(each.starts_at, each.ends_at, each.last_seen_at) for each in past.firings} == {(STARTS_AT, None, NOW)}
    assert past.done[-1] == 1.0


async def test_a_firing_has_what_alertmanager_knows_of_it(alertmanager: Server) -> None:
    past = await read_past("alertmanager", url=f"{alertmanager.url}/")
    critical = firing(past, CRITICAL)
    assert critical.annotations == {"summary": '"NodeDown" <b>满</b>'}
    assert critical.generator_url == "http://prometheus/graph"
    assert (critical.receiver, critical.details) == ("pager", {"receivers": ["pager", "all"]})
    assert (firing(past, INFO).receiver, firing(past, INFO).details) == ("all", None)


async def test_its_fingerprints_are_ours(alertmanager: Server) -> None:
    past = await read_past("alertmanager", url=alertmanager.url)
    assert [each.place for each in past.firings] == [f"alert {each.fingerprint}" for each in past.firings]


async def test_silences_come_as_polling_reads_them_the_expired_ones_too(alertmanager: Server) -> None:
    past = await read_past("alertmanager", url=alertmanager.url)
    poll = await ask_alertmanager(alertmanager.url)
    by_id = {each.id: each for each in past.silences}
    assert by_id == {each.id: each for each in poll.silences}
    expired, active = sorted(past.silences, key=lambda each: each.ends_at)
    assert expired.ends_at <= now() < active.ends_at
    assert active.matchers == [
        [{"name": "alertname", "op": "=~", "value": "NodeO.*"}, {"name": "node", "op": "!=", "value": "z"}]
    ]
    assert (active.created_by, active.comment) == ("ada", "see INC-7")


async def test_only_what_began_in_the_asked_span_is_taken(alertmanager: Server) -> None:
    assert (await read_past("alertmanager", url=alertmanager.url, end=STARTS_AT)).firings == []
    past = await read_past("alertmanager", url=alertmanager.url, start=STARTS_AT)
    assert len(past.firings) == 3


class Guarded:
    """A server that wants a token and a header, and answers one document to everything."""

    def __init__(self, document: object) -> None:
        self.document = document

    def answer(self, request: Request) -> Reply:
        if request.headers.get("authorization") != "Bearer t0k" or request.headers.get("x-scope-orgid") != "a":
            return Reply(401, b"who are you?")
        return json_reply(200, self.document)


LOGIN: dict[str, Any] = {"token": "t0k", "header": ["X-Scope-OrgID=a"]}


async def test_a_login_goes_with_each_question() -> None:
    async with serving(Guarded([])) as server:
        past = await read_past("alertmanager", url=server.url, **LOGIN)
        assert (past.firings, past.silences, past.done) == ([], [], [1.0])
        with pytest.raises(OriginUnavailable, match=r"it answers 401: who are you\?"):
            await read_past("alertmanager", url=server.url)


async def test_an_answer_of_something_else_is_refused_as_a_whole() -> None:
    async with serving(Guarded({"status": "success"})) as server:
        with pytest.raises(ImportFault, match="its answer is not what an Alertmanager answers"):
            await read_past("alertmanager", url=server.url, **LOGIN)
