"""Real Prometheus servers that post straight to us: a pair, one that is killed, one that forgets a rule."""

import os
import signal
from pathlib import Path

import pytest

from tests.e2e.history import Tell
from tests.e2e.senders import Rule
from tests.e2e.stage import Stage, scene
from tests.processes import wait_until

pytestmark = pytest.mark.timeout(300)

RESENT = 14


@scene(prometheus_a=[Rule("ReplicaPair")], prometheus_b=[Rule("ReplicaPair")])
def replica_pair(stage: Stage) -> None:
    """Two replicas fire and resolve, and send the end again and again."""
    stage.conditions.begin("ReplicaPair")
    stage.until_repeated("ReplicaPair", 4)
    stage.conditions.end("ReplicaPair")
    stage.until_state("ReplicaPair", "resolved")
    stage.until_repeated("ReplicaPair", 2 * RESENT)


def test_a_replica_pair_is_one_occurrence_one_page_one_resolve(story: Tell) -> None:
    pair = story(replica_pair, "ReplicaPair")
    assert (pair.only["state"], pair.only["ended_by"]) == ("resolved", "resolved")
    assert (pair.event_kinds, pair.actions) == (["fired", "resolved"], ["trigger", "resolve"])


def test_a_resolve_that_is_sent_again_fourteen_times_is_one_end(story: Tell) -> None:
    pair = story(replica_pair, "ReplicaPair")
    assert pair.kinds.count("resolved") == 1
    assert pair.only["repeat_count"] >= 2 * RESENT


@scene(
    prometheus_a=[Rule("ReplicaDies")],
    mortal=[
        Rule("ReplicaDies"),
        Rule("Restarted"),
        Rule("RestartedPending", pending="3s"),
        Rule("Phantom"),
        Rule("SilentForGood"),
    ],
)
def second_replica_is_killed(stage: Stage) -> None:
    """One of a pair is killed, comes back, and is killed for good; some alerts only it evaluates."""
    names = ["ReplicaDies", "Restarted", "RestartedPending", "Phantom"]
    for name in names:
        stage.conditions.begin(name)
    for name in names:
        stage.until_state(name, "firing")
    stage.until_repeated("ReplicaDies", 4)
    replica = stage.senders["mortal"]
    replica.kill()
    stage.conditions.end("Phantom")
    stage.until_state("Restarted", "unconfirmed")
    stage.conditions.refuse("/mortal")
    replica.start()
    wait_until(lambda: _fires(stage, "Phantom", at="mortal"), "the old sample was evaluated once more")
    stage.conditions.release("/mortal")
    stage.until_state("Restarted", "firing")
    stage.until_state("RestartedPending", "firing")
    for name in names[:-1]:
        stage.conditions.end(name)
    for name in names:
        stage.until_state(name, "resolved")
    stage.conditions.begin("SilentForGood")
    stage.until_state("SilentForGood", "firing")
    replica.kill()
    stage.until_state("SilentForGood", "resolved")


def _fires(stage: Stage, alertname: str, *, at: str) -> bool:
    alerts = stage.ask(at, "/api/v1/alerts")["data"]["alerts"]
    return any(alert["labels"]["alertname"] == alertname and alert["state"] == "firing" for alert in alerts)


def test_an_alert_stays_confirmed_while_one_replica_holds_it(story: Tell) -> None:
    alert = story(second_replica_is_killed, "ReplicaDies")
    assert "unconfirmed" not in alert.kinds
    assert (alert.only["ended_by"], alert.event_kinds) == ("resolved", ["fired", "resolved"])
    assert alert.actions == ["trigger", "resolve"]


@pytest.mark.parametrize("alertname", ["Restarted", "RestartedPending"])
def test_a_prometheus_that_restarts_is_no_second_page(story: Tell, alertname: str) -> None:
    alert = story(second_replica_is_killed, alertname)
    assert [kind for kind in alert.kinds if kind != "start_moved"] == ["fired", "unconfirmed", "confirmed", "resolved"]
    assert "start_moved" in alert.kinds
    assert (alert.event_kinds, alert.actions) == (["fired", "resolved"], ["trigger", "resolve"])


def test_the_end_that_a_restarted_prometheus_makes_up_is_the_end_of_what_it_fired(story: Tell) -> None:
    alert = story(second_replica_is_killed, "Phantom")
    assert (alert.only["ended_by"], alert.event_kinds) == ("resolved", ["fired", "resolved"])
    assert alert.actions == ["trigger", "resolve"]


def test_an_alert_whose_prometheus_falls_silent_expires_and_is_told_as_such(story: Tell) -> None:
    alert = story(second_replica_is_killed, "SilentForGood")
    assert alert.kinds == ["fired", "unconfirmed", "expired"]
    assert (alert.only["ended_by"], alert.event_kinds) == ("expired", ["fired", "expired"])
    assert alert.actions == ["trigger", "resolve"]
    assert "silent" in alert.detail("unconfirmed")["reason"]


@scene(prometheus_a=[Rule("RuleRemoved")])
def rule_is_removed(stage: Stage) -> None:
    """A reload takes the rule away: Prometheus never resolves what it fired."""
    stage.conditions.begin("RuleRemoved")
    stage.until_repeated("RuleRemoved", 2)
    prometheus = stage.senders["prometheus-a"]
    rules = Path(stage.ask("prometheus-a", "/api/v1/rules")["data"]["groups"][0]["file"])
    lines = [line for line in rules.read_text().splitlines() if "RuleRemoved" not in line]
    rules.write_text("\n".join(lines) + "\n")
    os.kill(prometheus.pid, signal.SIGHUP)
    stage.until_state("RuleRemoved", "unconfirmed")
    stage.until_state("RuleRemoved", "resolved")


def test_an_alert_whose_rule_was_removed_expires(story: Tell) -> None:
    alert = story(rule_is_removed, "RuleRemoved")
    assert alert.kinds == ["fired", "unconfirmed", "expired"]
    assert (alert.event_kinds, alert.actions) == (["fired", "expired"], ["trigger", "resolve"])


@scene(prometheus_a=[Rule("ValueAsLabel", {"value": "'{{ $value }}'"})])
def value_stands_in_a_label(stage: Stage) -> None:
    """The value changes, so the label does: the old alert is resolved, the new one is another."""
    stage.conditions.begin("ValueAsLabel", value=3)
    stage.until_state("ValueAsLabel", "firing", value="3")
    stage.conditions.begin("ValueAsLabel", value=4)
    stage.until_state("ValueAsLabel", "firing", value="4")
    stage.until_state("ValueAsLabel", "resolved", value="3")
    stage.conditions.end("ValueAsLabel")
    stage.until_state("ValueAsLabel", "resolved", value="4")


@pytest.mark.parametrize("value", ["3", "4"])
def test_an_alert_with_its_value_as_a_label_is_one_alert_a_value(story: Tell, value: str) -> None:
    alert = story(value_stands_in_a_label, "ValueAsLabel", value=value)
    assert (alert.only["ended_by"], alert.event_kinds) == ("resolved", ["fired", "resolved"])
    assert alert.actions == ["trigger", "resolve"]


@scene(
    prometheus_a=[Rule("BothWays", {"way": "plain"})],
    prometheus_b=[Rule("BothWays", {"way": "plain"})],
)
def both_ways(stage: Stage) -> None:
    """A pair posts to us and to an Alertmanager, which tells us too; one of the pair sees the end later."""
    stage.conditions.begin("BothWays")
    stage.until_repeated("BothWays", 12)
    stage.conditions.leave_behind("/prometheus-b", "BothWays")
    stage.conditions.end("BothWays")
    wait_until(lambda: not _fires(stage, "BothWays", at="prometheus-a"), "one has seen the end")
    stage.until_repeated("BothWays", 12)
    stage.conditions.catch_up("/prometheus-b", "BothWays")
    stage.until_state("BothWays", "resolved")


def test_what_comes_from_prometheus_and_from_alertmanager_is_one_page_and_one_resolve(story: Tell) -> None:
    alert = story(both_ways, "BothWays")
    assert (alert.only["ended_by"], alert.event_kinds) == ("resolved", ["fired", "resolved"])
    assert alert.actions == ["trigger", "resolve"]


TWIN_RULES = [Rule("Twins", is_by_clock=True), Rule("TwinBehind", is_by_clock=True)]


@scene(twin_a=TWIN_RULES, twin_b=TWIN_RULES)
def replicas_look_alike(stage: Stage) -> None:
    """A pair with one external URL behind one address fires in step; of one alert the second sees the end later."""
    names = ("Twins", "TwinBehind")
    for name in names:
        stage.until_repeated(name, 12)
    stage.conditions.begin("Twins")
    stage.conditions.leave_behind("/twin-b", "TwinBehind")
    stage.conditions.begin("TwinBehind")
    wait_until(lambda: not _fires(stage, "TwinBehind", at="twin-a"), "one has seen the end")
    stage.until_repeated("TwinBehind", 6)
    stage.conditions.catch_up("/twin-b", "TwinBehind")
    for name in names:
        stage.until_state(name, "resolved")


@pytest.mark.parametrize("alertname", ["Twins", "TwinBehind"])
def test_a_pair_that_cannot_be_told_apart_is_one_page_and_one_resolve(story: Tell, alertname: str) -> None:
    alert = story(replicas_look_alike, alertname)
    assert (alert.only["ended_by"], alert.event_kinds) == ("resolved", ["fired", "resolved"])
    assert alert.actions == ["trigger", "resolve"]


SCENES = [
    replica_pair,
    second_replica_is_killed,
    rule_is_removed,
    value_stands_in_a_label,
    both_ways,
    replicas_look_alike,
]
