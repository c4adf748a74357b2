"""Real Alertmanagers that are asked: what they hold, who muted it, and who their peers are.

Holds: `origins.alertmanager`.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import httpx
import pytest

from alert_history.domain.alert import fingerprint
from alert_history.domain.poll import AlertmanagerPoll, PolledAlert, may_correct
from alert_history.errors import OriginUnavailable
from tests import servers
from tests.asking import ask_alertmanager, now
from tests.processes import HOST, Server, free_port, wait_until

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
STARTS_AT = datetime(2026, 1, 31, 10, 0, 0, 250_000, tzinfo=UTC)


def send(server: Server, *label_sets: dict[str, str]) -> None:
    alerts = [
        {
            "labels": {**labels, "empty": ""},
            "annotations": {"summary": f'"{labels["alertname"]}" <b>满</b>'},
            "startsAt": STARTS_AT.isoformat(),
            "generatorURL": "http://prometheus/graph",
        }
        for labels in label_sets
    ]
    httpx.post(f"{server.url}/api/v2/alerts", json=alerts, trust_env=False).raise_for_status()


def silence(server: Server, *, value: str, is_equal: bool = True, until: timedelta = timedelta(hours=1)) -> str:
    document = {
        "matchers": [
            {"name": "alertname", "value": value, "isRegex": True},
            {"name": "node", "value": "z", "isRegex": False, "isEqual": is_equal},
        ],
        "startsAt": now().isoformat(),
        "endsAt": (now() + until).isoformat(),
        "createdBy": "ada",
        "comment": 'known; <i>see</i> "INC-7"',
    }
    answer = httpx.post(f"{server.url}/api/v2/silences", json=document, trust_env=False).raise_for_status()
    silence_id: str = answer.json()["silenceID"]
    return silence_id


def ended(server: Server, silence_id: str) -> str:
    httpx.delete(f"{server.url}/api/v2/silence/{silence_id}", trust_env=False).raise_for_status()
    return silence_id


def states(server: Server) -> dict[str, str]:
    alerts: list[dict[str, Any]] = httpx.get(f"{server.url}/api/v2/alerts", trust_env=False).json()
    return {alert["labels"]["alertname"]: alert["status"]["state"] for alert in alerts}


class Held(NamedTuple):
    """What an Alertmanager answered that holds three alerts and mutes two, and its silences by id."""

    poll: AlertmanagerPoll
    silence_id: str
    expired_id: str

    def alert(self, labels: dict[str, str]) -> PolledAlert:
        (only,) = (alert for alert in self.poll.alerts if alert.labels == labels)
        return only


@pytest.fixture
def alertmanager() -> Iterator[Server]:
    with servers.alertmanager_server(CONFIG) as server:
        yield server


@pytest.fixture
async def answer(alertmanager: Server) -> Held:
    expired_id = ended(alertmanager, silence(alertmanager, value="Gone"))
    silence_id = silence(alertmanager, value="NodeO.*", is_equal=False)
    send(alertmanager, CRITICAL, WARNING, INFO)
    wait_until(lambda: _is_muted(alertmanager), "two alerts are muted")
    return Held(await ask_alertmanager(alertmanager.url), silence_id, expired_id)


def _is_muted(server: Server) -> bool:
    by_name = states(server)
    return by_name.get("NodeSlow") == by_name.get("NodeOld") == "suppressed"


async def test_alerts_are_told_with_all_that_alertmanager_knows(answer: Held) -> None:
    alert = answer.alert(CRITICAL)
    assert alert.fingerprint == fingerprint(CRITICAL)
    assert (alert.state, alert.silenced_by, alert.inhibited_by) == ("active", [], [])
    assert alert.annotations == {"summary": '"NodeDown" <b>满</b>'}
    assert alert.receivers == ["pager", "all"]
    assert alert.generator_url == "http://prometheus/graph"
    assert alert.starts_at == STARTS_AT
    assert alert.starts_at < alert.updated_at < now() < alert.ends_at


async def test_an_inhibited_alert_names_the_alert_that_inhibits_it(answer: Held) -> None:
    alert = answer.alert(WARNING)
    assert (alert.state, alert.inhibited_by) == ("suppressed", [fingerprint(CRITICAL)])


async def test_a_silenced_alert_names_the_silence(answer: Held) -> None:
    alert = answer.alert(INFO)
    assert (alert.state, alert.silenced_by) == ("suppressed", [answer.silence_id])


async def test_a_silence_says_who_why_and_until_when(answer: Held) -> None:
    (entry,) = (silence for silence in answer.poll.silences if silence.id == answer.silence_id)
    assert (entry.created_by, entry.comment) == ("ada", 'known; <i>see</i> "INC-7"')
    assert entry.starts_at <= entry.updated_at <= now() < entry.ends_at <= now() + timedelta(hours=1)


async def test_matchers_of_a_silence_are_written_as_in_promql(answer: Held) -> None:
    (entry,) = (silence for silence in answer.poll.silences if silence.id == answer.silence_id)
    assert entry.matchers == [
        [{"name": "alertname", "op": "=~", "value": "NodeO.*"}, {"name": "node", "op": "!=", "value": "z"}]
    ]


async def test_a_silence_that_was_ended_is_listed_with_its_end(answer: Held) -> None:
    (entry,) = (silence for silence in answer.poll.silences if silence.id == answer.expired_id)
    assert entry.ends_at <= now()


async def test_nothing_of_a_configuration_is_kept_that_was_not_masked(alertmanager: Server) -> None:
    poll = await ask_alertmanager(alertmanager.url, mask=lambda text: text.replace("pager", "<hidden>"))
    assert poll.original is not None
    assert "receiver: <hidden>" in poll.original
    assert "pager" not in poll.original


async def test_secrets_of_a_configuration_are_masked() -> None:
    config = CONFIG.replace("{name: pager}", "{name: pager, webhook_configs: [{url: 'http://pager/hook/s3cr3t'}]}")
    with servers.alertmanager_server(config) as server:
        original = (await ask_alertmanager(server.url)).original
    assert original is not None
    assert "webhook_configs" in original
    assert "s3cr3t" not in original


async def test_status_is_kept_as_it_says_it(alertmanager: Server) -> None:
    poll = await ask_alertmanager(alertmanager.url)
    async with httpx.AsyncClient(trust_env=False) as client:
        status = (await client.get(f"{alertmanager.url}/api/v2/status")).json()
    assert poll.facts == {name: status[name] for name in ("versionInfo", "uptime", "cluster")}


async def test_status_says_the_version_and_when_it_started(answer: Held) -> None:
    assert answer.poll.version.startswith("0.")
    assert answer.poll.cluster_status == "disabled"
    assert timedelta() <= answer.poll.asked_at - answer.poll.started_at < timedelta(minutes=1)


async def test_one_that_has_just_started_may_not_correct(answer: Held) -> None:
    assert "it started" in (may_correct(answer.poll, now()) or "")
    assert may_correct(answer.poll, now() + timedelta(minutes=5)) is None


@pytest.fixture
def peers() -> Iterator[list[Server]]:
    """Two peers that know each other. Alertmanagers share silences, and not alerts."""
    addresses = [f"{HOST}:{free_port()}", f"{HOST}:{free_port()}"]
    with ExitStack() as stack:
        running = [
            stack.enter_context(
                servers.alertmanager_server(CONFIG, args=[f"--cluster.peer={addresses[0]}"], cluster_address=address)
            )
            for address in addresses
        ]
        wait_until(lambda: all(_members(server) == 2 for server in running), "both know each other")
        yield running


def _members(server: Server) -> int:
    return len(httpx.get(f"{server.url}/api/v2/status", trust_env=False).json()["cluster"]["peers"])


async def test_what_one_peer_holds_the_cluster_holds(peers: list[Server]) -> None:
    send(peers[1], CRITICAL)
    poll = await ask_alertmanager(*(server.url for server in peers))
    assert [alert.labels for alert in poll.alerts] == [CRITICAL]
    assert poll.answered == [server.url for server in peers]


async def test_a_peer_that_is_down_is_named_and_another_is_asked(peers: list[Server]) -> None:
    send(peers[1], CRITICAL)
    peers[0].kill()
    poll = await ask_alertmanager(*(server.url for server in peers))
    assert [alert.labels for alert in poll.alerts] == [CRITICAL]
    assert poll.silent == {peers[0].url: f"{peers[0].url}: can't connect"}


async def test_a_cluster_of_which_all_are_down_says_nothing(peers: list[Server]) -> None:
    for server in peers:
        server.kill()
    with pytest.raises(OriginUnavailable) as caught:
        await ask_alertmanager(*(server.url for server in peers))
    assert all(server.url in str(caught.value) for server in peers)


async def test_peers_name_the_same_members(peers: list[Server]) -> None:
    first, other = [await ask_alertmanager(server.url) for server in peers]
    assert [peer.address for peer in first.cluster_peers] == [peer.address for peer in other.cluster_peers]
