"""The demo incident: a recording that is moved to end just now, and tells a whole story."""

import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

import alert_history
from alert_history.demo.replay import ENDED_BEFORE, incident

NOW = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
SPEED_LIMIT = timedelta(milliseconds=100)


class Message(NamedTuple):
    at: datetime
    path: str
    body: Any

    @property
    def alerts(self) -> list[dict[str, Any]]:
        alerts: list[dict[str, Any]] = self.body if self.path == "/api/v2/alerts" else self.body["alerts"]
        return alerts


@pytest.fixture(scope="module")
def messages() -> list[Message]:
    return [Message(at, path, msgspec.json.decode(body)) for at, path, body in incident(NOW)]


@pytest.fixture(scope="module")
def alerts(messages: list[Message]) -> list[dict[str, Any]]:
    return [alert for message in messages for alert in message.alerts]


def test_incident_ends_a_few_minutes_ago(messages: list[Message]) -> None:
    assert messages[-1].at == NOW - ENDED_BEFORE


def test_incident_lasts_about_two_hours(messages: list[Message]) -> None:
    assert timedelta(minutes=110) < messages[-1].at - messages[0].at < timedelta(minutes=130)


def test_messages_are_in_order_of_time(messages: list[Message]) -> None:
    assert all(earlier.at <= later.at for earlier, later in pairwise(messages))


def test_another_now_moves_everything_by_the_difference() -> None:
    later = incident(NOW + timedelta(days=1))
    assert all(moved[0] - first[0] == timedelta(days=1) for first, moved in zip(incident(NOW), later, strict=True))


def test_now_in_another_zone_gives_the_same_bodies() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5, minutes=45)))
    assert list(incident(elsewhere)) == list(incident(NOW))


def test_every_alert_started_before_it_was_received(messages: list[Message]) -> None:
    assert all(_time(alert, "startsAt") <= message.at for message in messages for alert in message.alerts)


def test_what_is_resolved_ended_between_its_start_and_its_message(messages: list[Message]) -> None:
    resolved = [(message.at, alert) for message in messages for alert in message.alerts if _is_resolved(alert)]
    assert resolved
    assert all(_time(alert, "startsAt") < _time(alert, "endsAt") <= at for at, alert in resolved)


def test_alertmanagers_mark_for_no_end_stays(alerts: list[dict[str, Any]]) -> None:
    firing = [alert for alert in alerts if alert.get("status") == "firing"]
    assert {alert["endsAt"] for alert in firing} == {"0001-01-01T00:00:00Z"}


def test_paths_are_those_of_ingest(messages: list[Message]) -> None:
    assert {message.path for message in messages} == {"/webhook/proxy", "/api/v2/alerts"}


def test_an_occurrence_keeps_its_start_through_all_its_messages(alerts: list[dict[str, Any]]) -> None:
    watchdogs = [alert for alert in alerts if alert["labels"]["alertname"] == "Watchdog"]
    assert len({alert["startsAt"] for alert in watchdogs}) == 1 < len(watchdogs)


def test_story_has_many_alertnames_in_many_namespaces(alerts: list[dict[str, Any]]) -> None:
    assert len({alert["labels"]["alertname"] for alert in alerts}) >= 12
    assert len({alert["labels"]["namespace"] for alert in alerts}) >= 6


def test_story_has_noise_that_fires_again_and_again(alerts: list[dict[str, Any]]) -> None:
    starts = {(alert["labels"]["alertname"], alert["startsAt"]) for alert in alerts}
    firings = Counter(alertname for alertname, _ in starts)
    assert firings["CPUThrottlingHigh"] > 20
    assert firings["NodeNetworkReceiveErrs"] > 8


def test_the_incident_is_over_but_some_alerts_still_fire(alerts: list[dict[str, Any]]) -> None:
    last = {alert["labels"]["alertname"]: alert.get("status") for alert in alerts}
    assert {last["PostgresReadOnly"], last["CheckoutErrorRateHigh"], last["KubePodCrashLooping"]} == {"resolved"}
    assert {last["Watchdog"], last["CertificateExpiringSoon"], last["KubeJobFailed"]} == {"firing"}


def test_links_lead_to_example_hosts_only(messages: list[Message]) -> None:
    text = msgspec.json.encode([message.body for message in messages]).decode()
    hosts = {word.split("/")[0].split(":")[0] for word in text.split("http://")[1:]}
    assert {host.partition(".")[2].rpartition("staging.")[2] for host in hosts} == {"example.com"}


def test_recording_is_small() -> None:
    recording = files("alert_history.demo").joinpath("incident.jsonl.zst").read_bytes()
    assert len(recording) <= 300_000


def test_whole_incident_is_read_in_a_tenth_of_a_second() -> None:
    assert min(_duration_of_a_replay() for _ in range(3)) < SPEED_LIMIT


def test_importing_it_reads_nothing() -> None:
    script = (
        "import sys; opened = []\n"
        "sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == 'open' else None)\n"
        "import alert_history.demo.replay\n"
        "assert not [name for name in opened if name.endswith('.zst')], opened\n"
    )
    source = Path(alert_history.__path__[0]).parent
    subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": str(source)}, check=True, timeout=60)


def _duration_of_a_replay() -> timedelta:
    begun = datetime.now(UTC)
    assert sum(1 for _ in incident(NOW))
    return datetime.now(UTC) - begun


def _time(alert: dict[str, Any], name: str) -> datetime:
    return datetime.fromisoformat(alert[name])


def _is_resolved(alert: dict[str, Any]) -> bool:
    return alert.get("status") == "resolved"
