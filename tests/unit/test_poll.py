"""How far the word of a poll goes, and what peers of one cluster say together."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alert_history.domain.alert import Silence
from alert_history.domain.poll import (
    AlertmanagerPoll,
    ClusterPeer,
    PolledAlert,
    PrometheusPoll,
    may_correct,
    merged,
)

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=3)
MINUTE = timedelta(minutes=1)


def alertmanager(**fields: Any) -> AlertmanagerPoll:
    given: dict[str, Any] = {
        "name": "am",
        "asked_at": NOW,
        "started_at": LONG_AGO,
        "version": "0.25.0",
        "cluster_status": "ready",
        "cluster_peers": [],
        "alerts": [],
        "silences": [],
        "answered": ["http://a"],
    }
    return AlertmanagerPoll(**(given | fields))


def prometheus(**fields: Any) -> PrometheusPoll:
    given: dict[str, Any] = {
        "name": "prom",
        "server": "http://p",
        "asked_at": NOW,
        "started_at": LONG_AGO,
        "reloaded_at": LONG_AGO,
        "version": "2.42.0",
        "alerts": [],
        "faulty_rules": frozenset(),
        "longest_for": timedelta(),
        "longest_interval": timedelta(seconds=15),
        "resend_delay": MINUTE,
        "external_labels": {},
        "alert_relabel_configs": [],
        "unnamed_because": None,
    }
    return PrometheusPoll(**(given | fields))


def alert(fingerprint: str, *, updated_at: datetime, state: Any = "active") -> PolledAlert:
    return PolledAlert(
        fingerprint=fingerprint,
        labels={"alertname": fingerprint},
        annotations={},
        starts_at=LONG_AGO,
        ends_at=NOW,
        updated_at=updated_at,
        generator_url="",
        receivers=[],
        state=state,
        silenced_by=[],
        inhibited_by=[],
        muted_by=[],
    )


def silence(*, updated_at: datetime, comment: str) -> Silence:
    return Silence("s1", [], LONG_AGO, NOW, updated_at, "ada", comment)


def test_an_alertmanager_that_runs_for_long_may_correct() -> None:
    assert may_correct(alertmanager(), NOW) is None


@pytest.mark.parametrize("minutes,may", [(-1, False), (0, False), (4.9, False), (5, True)])
def test_an_alertmanager_may_not_correct_for_five_minutes_after_its_start(minutes: float, *, may: bool) -> None:
    poll = alertmanager(started_at=NOW - minutes * MINUTE)
    assert (may_correct(poll, NOW) is None) == may


def test_a_cluster_that_settles_may_not_correct() -> None:
    assert may_correct(alertmanager(cluster_status="settling"), NOW) == "its cluster is settling"


def test_an_alertmanager_without_peers_may_correct() -> None:
    assert may_correct(alertmanager(cluster_status="disabled"), NOW) is None


@pytest.mark.parametrize(
    "longest_for,interval,minutes,may",
    [
        (0, 0.25, 1.9, False),
        (0, 0.25, 2, True),
        (10, 0.25, 11.9, False),
        (10, 0.25, 12, True),
        (10, 5, 19.9, False),  # evaluated more rarely than it sends
        (10, 5, 20, True),
    ],
)
def test_a_prometheus_may_not_correct_before_all_that_fires_can_have_been_sent(
    longest_for: float, interval: float, minutes: float, *, may: bool
) -> None:
    poll = prometheus(
        started_at=NOW - minutes * MINUTE, longest_for=longest_for * MINUTE, longest_interval=interval * MINUTE
    )
    assert (may_correct(poll, NOW) is None) == may


def test_the_reason_says_how_long_it_takes() -> None:
    reason = may_correct(prometheus(started_at=NOW - MINUTE), NOW)
    assert reason == "it started 60 s ago, and needs 120 s to know all that fires"


def test_a_prometheus_that_was_just_reloaded_may_not_correct() -> None:
    reason = may_correct(prometheus(reloaded_at=NOW - MINUTE, longest_for=timedelta(hours=1)), NOW)
    assert reason == "it was reloaded 60 s ago, and needs 120 s to know all that fires"
    assert may_correct(prometheus(reloaded_at=NOW - 2 * MINUTE, longest_for=timedelta(hours=1)), NOW) is None


def test_who_does_not_say_when_it_started_may_not_correct() -> None:
    assert may_correct(prometheus(started_at=None, reloaded_at=None), NOW) == "it does not say when it started"


def test_who_can_not_name_its_alerts_may_not_correct() -> None:
    poll = prometheus(external_labels=None, unnamed_because="it does not show its configuration")
    assert may_correct(poll, NOW) == "it does not show its configuration"


def test_an_alert_that_one_peer_holds_is_held_by_the_cluster() -> None:
    empty, holding = (
        alertmanager(answered=["http://a"]),
        alertmanager(answered=["http://b"], alerts=[alert("f", updated_at=NOW)]),
    )
    poll = merged([empty, holding], {"http://c": "down"})
    assert [alert.fingerprint for alert in poll.alerts] == ["f"]
    assert (poll.answered, poll.silent) == (["http://a", "http://b"], {"http://c": "down"})


@pytest.mark.parametrize("is_newer_first", [True, False])
def test_of_an_alert_that_peers_hold_the_newest_update_counts(*, is_newer_first: bool) -> None:
    polls = [
        alertmanager(alerts=[alert("f", updated_at=NOW, state="suppressed")]),
        alertmanager(alerts=[alert("f", updated_at=NOW - MINUTE)]),
    ]
    (only,) = merged(polls if is_newer_first else polls[::-1], {}).alerts
    assert only.state == "suppressed"


def test_of_a_silence_that_peers_list_the_newest_update_counts() -> None:
    old, new = silence(updated_at=LONG_AGO, comment="old"), silence(updated_at=NOW, comment="new")
    (only,) = merged([alertmanager(silences=[new]), alertmanager(silences=[old])], {}).silences
    assert only.comment == "new"


def test_a_cluster_is_as_old_as_its_oldest_peer_that_answers() -> None:
    young = alertmanager(started_at=NOW, cluster_status="settling", asked_at=NOW - MINUTE)
    poll = merged([young, alertmanager()], {})
    assert (poll.started_at, poll.cluster_status, poll.asked_at) == (LONG_AGO, "ready", NOW - MINUTE)
    assert may_correct(poll, NOW) is None


def test_a_cluster_has_the_members_that_any_peer_names() -> None:
    first, second = ClusterPeer("01A", "a:9094"), ClusterPeer("01B", "b:9094")
    assert merged([alertmanager(cluster_peers=[second]), alertmanager(cluster_peers=[first])], {}).cluster_peers == [
        first,
        second,
    ]
