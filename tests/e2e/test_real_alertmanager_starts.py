"""A real Alertmanager and the starts that it names: joined, flapping, restarted, clustered, resolved without one."""

from typing import Any

import pytest

from tests.e2e.history import ONCE, Tell
from tests.e2e.senders import Rule
from tests.e2e.stage import Stage, scene, seconds_ago
from tests.processes import wait_until

pytestmark = pytest.mark.timeout(300)

PLAIN = {"way": "plain"}


def alert(alertname: str, *, way: str = "plain", **times: str) -> dict[str, Any]:
    """What a script posts; `times` are `startsAt` and `endsAt`."""
    labels = {"alertname": alertname, "member": "db-1", "way": way}
    return {"labels": labels, "annotations": {"summary": "posted by a script"}, **times}


@scene()
def starts_are_joined(stage: Stage) -> None:
    """An earlier start is posted after a later one: the firing webhook named the later, the resolve the earlier."""
    first, earlier = seconds_ago(30), seconds_ago(90)
    stage.post("alertmanager", alert("StartsJoined", startsAt=first))
    stage.until_state("StartsJoined", "firing")
    stage.post("alertmanager", alert("StartsJoined", startsAt=earlier, endsAt=seconds_ago(1)))
    stage.until_state("StartsJoined", "resolved")


def test_a_resolve_that_names_an_earlier_start_ends_what_fires(story: Tell) -> None:
    joined = story(starts_are_joined, "StartsJoined")
    assert (joined.only["ended_by"], "start_moved" in joined.kinds) == ("resolved", True)
    assert (joined.event_kinds, joined.actions) == ONCE


@scene()
def flaps_within_a_group_interval(stage: Stage) -> None:
    """It resolves and fires again before its group is looked at: nobody is told; then it resolves."""
    first = seconds_ago(5)
    stage.post("alertmanager", alert("Flaps", way="slow", startsAt=first))
    stage.until_state("Flaps", "firing")
    stage.post("alertmanager", alert("Flaps", way="slow", startsAt=first, endsAt=seconds_ago(2)))
    second = seconds_ago(1)
    stage.post("alertmanager", alert("Flaps", way="slow", startsAt=second))
    stage.until_repeated("Flaps", 1)
    stage.post("alertmanager", alert("Flaps", way="slow", startsAt=second, endsAt=seconds_ago(0)))
    stage.until_state("Flaps", "resolved")


def test_a_flap_within_one_group_interval_closes_the_page_that_it_opened(story: Tell) -> None:
    flapped = story(flaps_within_a_group_interval, "Flaps")
    assert (flapped.only["ended_by"], flapped.event_kinds, flapped.actions) == ("resolved", *ONCE)


@scene()
def replicas_end_apart(stage: Stage) -> None:
    """One replica resolves, the other still fires, the first sends its end again, the other resolves."""
    first, second, end = seconds_ago(20), seconds_ago(19), seconds_ago(5)
    promise = {"startsAt": second, "endsAt": seconds_ago(-300)}
    stage.post("alertmanager", alert("EndsApart", startsAt=first))
    stage.until_state("EndsApart", "firing")
    stage.post("alertmanager", alert("EndsApart", startsAt=first, endsAt=end))
    stage.until_state("EndsApart", "resolved")
    stage.post("alertmanager", alert("EndsApart", **promise))
    stage.until_state("EndsApart", "firing")
    stage.post("alertmanager", alert("EndsApart", startsAt=first, endsAt=end))
    stage.until_state("EndsApart", "resolved")
    stage.post("alertmanager", alert("EndsApart", startsAt=second, endsAt=seconds_ago(0)))


def test_a_pair_behind_alertmanager_that_ends_apart_closes_each_page_that_it_opened(story: Tell) -> None:
    apart = story(replicas_end_apart, "EndsApart")
    assert (apart.only["state"], apart.only["ended_by"]) == ("resolved", "resolved")
    assert apart.event_kinds == ["fired", "resolved", "refired", "resolved"]
    assert apart.actions == ["trigger", "resolve", "trigger", "resolve"]


@scene()
def resolved_without_a_start(stage: Stage) -> None:
    """A script resolves through Alertmanager without saying what it means."""
    stage.post("alertmanager", alert("NoStart", startsAt=seconds_ago(30)))
    stage.until_state("NoStart", "firing")
    stage.post("alertmanager", alert("NoStart", endsAt=seconds_ago(0)))
    stage.until_state("NoStart", "resolved")


def test_a_resolve_without_a_start_through_alertmanager_ends_what_fires(story: Tell) -> None:
    ended = story(resolved_without_a_start, "NoStart")
    assert (ended.only["ended_by"], ended.event_kinds, ended.actions) == ("resolved", *ONCE)


@scene()
def amtool_adds_and_resolves(stage: Stage) -> None:
    """Somebody adds an alert with amtool at Alertmanager, without any time, and resolves it the same way."""
    url = stage.senders["alertmanager"].url
    stage.amtool(url, "alert", "add", "AddedThere", "way=plain", "member=db-1")
    stage.until_repeated("AddedThere", 1)
    stage.amtool(url, "alert", "add", "AddedThere", "way=plain", "member=db-1", f"--end={seconds_ago(0)}")
    stage.until_state("AddedThere", "resolved")


def test_what_amtool_adds_and_resolves_at_alertmanager_is_one_occurrence(story: Tell) -> None:
    added = story(amtool_adds_and_resolves, "AddedThere")
    assert (added.only["ended_by"], added.event_kinds, added.actions) == ("resolved", *ONCE)


@scene(prometheus_d=[Rule("RestartAlone", PLAIN), Rule("RestartTogether", PLAIN)])
def alertmanager_restarts(stage: Stage) -> None:
    """First alone, its Prometheus posts on; then together with its Prometheus; one alert was posted by a script."""
    names = ["RestartAlone", "RestartTogether"]
    stage.post("restarting", alert("SenderSilent", startsAt=seconds_ago(1)))
    for name in names:
        stage.conditions.begin(name)
    for name in [*names, "SenderSilent"]:
        stage.until_state(name, "firing")
    alertmanager, prometheus = stage.senders["restarting"], stage.senders["prometheus-d"]
    alertmanager.terminate()
    alertmanager.start()
    for name in names:
        stage.until_repeated(name, 1)
    stage.conditions.end("RestartAlone")
    stage.until_state("RestartAlone", "resolved")
    alertmanager.terminate()
    prometheus.kill()
    alertmanager.start()
    prometheus.start()
    wait_until(
        lambda: _lists(stage, "RestartTogether", at="restarting"),
        "Prometheus told the new Alertmanager",
        timeout_seconds=60,
    )
    stage.conditions.end("RestartTogether")
    stage.until_state("RestartTogether", "resolved")
    stage.until_state("SenderSilent", "unconfirmed")
    stage.until_state("SenderSilent", "resolved")


def _lists(stage: Stage, alertname: str, *, at: str) -> bool:
    return any(entry["labels"]["alertname"] == alertname for entry in stage.ask(at, "/api/v2/alerts"))


def test_an_alertmanager_that_restarts_is_no_second_page(story: Tell) -> None:
    restarted = story(alertmanager_restarts, "RestartAlone")
    assert restarted.kinds == ["fired", "resolved"]
    assert (restarted.only["ended_by"], restarted.event_kinds, restarted.actions) == ("resolved", *ONCE)


def test_a_resolve_with_a_start_that_nobody_was_told_of_ends_what_fires(story: Tell) -> None:
    restarted = story(alertmanager_restarts, "RestartTogether")
    assert (restarted.only["ended_by"], restarted.event_kinds, restarted.actions) == ("resolved", *ONCE)


def test_an_alert_that_a_restarted_alertmanager_forgot_is_unconfirmed_and_ends_as_inferred(story: Tell) -> None:
    forgotten = story(alertmanager_restarts, "SenderSilent")
    assert forgotten.kinds == ["fired", "unconfirmed", "inferred"]
    assert (forgotten.only["ended_by"], forgotten.event_kinds) == ("inferred", ["fired", "inferred"])
    assert forgotten.actions == ["trigger", "resolve"]


@scene(prometheus_c=[Rule("Clustered", {"way": "cluster"})])
def first_peer_is_killed(stage: Stage) -> None:
    """Of two clustered Alertmanagers the one that told of the firing is killed; the other tells of the end."""
    stage.conditions.begin("Clustered")
    stage.until_repeated("Clustered", 2)
    stage.senders["am-0"].kill()
    stage.until_repeated("Clustered", 2)
    stage.conditions.end("Clustered")
    stage.until_state("Clustered", "resolved")


def test_a_pair_of_alertmanagers_of_which_one_dies_is_one_page_and_one_resolve(story: Tell) -> None:
    clustered = story(first_peer_is_killed, "Clustered")
    assert (clustered.only["ended_by"], clustered.event_kinds, clustered.actions) == ("resolved", *ONCE)


@scene()
def told_twice_by_continue(stage: Stage) -> None:
    """Two receivers of ours are told of one alert: the first records only."""
    first = seconds_ago(1)
    stage.post("alertmanager", alert("Twice", way="twice", startsAt=first))
    stage.until_repeated("Twice", 2)
    stage.post("alertmanager", alert("Twice", way="twice", startsAt=first, endsAt=seconds_ago(0)))
    stage.until_state("Twice", "resolved")


def test_two_receivers_by_continue_are_one_page_and_one_resolve(story: Tell) -> None:
    twice = story(told_twice_by_continue, "Twice")
    assert (twice.only["ended_by"], twice.actions) == ("resolved", ["trigger", "resolve"])
    assert twice.event_kinds in (["fired", "resolved"], ["published", "resolved"])


@scene()
def two_clusters_contradict_each_other(stage: Stage) -> None:
    """Two Alertmanagers that are no peers know the same labels; one ends it three times while the other does not."""
    stage.post("am-1", alert("TwoClusters", way="contradicted", startsAt=seconds_ago(90), endsAt=seconds_ago(-300)))
    stage.until("TwoClusters", lambda occurrences: len(occurrences) == 1, "is known to fire there")
    for _ in range(3):
        first = seconds_ago(1)
        stage.post("alertmanager", alert("TwoClusters", way="contradicted", startsAt=first))
        stage.until_repeated("TwoClusters", 3)
        stage.post("alertmanager", alert("TwoClusters", way="contradicted", startsAt=first, endsAt=seconds_ago(0)))
        wait_until(lambda: not _lists(stage, "TwoClusters", at="alertmanager"), "it is over there")
        stage.until_repeated("TwoClusters", 2)


def test_two_clusters_with_one_label_set_are_one_occurrence(story: Tell) -> None:
    alert = story(two_clusters_contradict_each_other, "TwoClusters")
    assert (alert.only["state"], alert.actions) == ("firing", ["trigger"])


@scene()
def two_clusters_in_scopes(stage: Stage) -> None:
    """The same with a scope in each URL: one goes on when the other ends."""
    first = seconds_ago(1)
    for sender in ("alertmanager", "am-1"):
        stage.post(sender, alert("TwoScopes", way="scoped", startsAt=first, endsAt=seconds_ago(-300)))
    stage.until("TwoScopes", lambda occurrences: len(occurrences) == 2, "is there twice")
    stage.post("alertmanager", alert("TwoScopes", way="scoped", startsAt=first, endsAt=seconds_ago(0)))
    stage.until(
        "TwoScopes",
        lambda occurrences: any(occurrence["state"] == "resolved" for occurrence in occurrences),
        "is over in one scope",
    )


def test_a_scope_keeps_apart_what_only_looks_alike(story: Tell) -> None:
    apart = story(two_clusters_in_scopes, "TwoScopes")
    ends = {occurrence["scope"]: occurrence["ended_by"] for occurrence in apart.occurrences}
    assert set(ends) == {"eu-1", "us-1"}
    assert ends["eu-1"] == "resolved"
    assert apart.event_kinds[:2] == ["fired", "fired"]


SCENES = [
    starts_are_joined,
    flaps_within_a_group_interval,
    replicas_end_apart,
    resolved_without_a_start,
    amtool_adds_and_resolves,
    alertmanager_restarts,
    first_peer_is_killed,
    told_twice_by_continue,
    two_clusters_contradict_each_other,
    two_clusters_in_scopes,
]
