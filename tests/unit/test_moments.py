"""`engine.moments` and what it is made of: what each Alertmanager held, and what of it exists for who calls."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from alert_history.domain.alertmanager.moment import SilenceVersion
from alert_history.domain.grant import EVERYBODY, Grant, reach_of
from alert_history.domain.permission import Permission
from alert_history.domain.standing import Witnesses
from alert_history.engine.caller import set_caller
from alert_history.engine.listing import api_sender
from alert_history.engine.moment_state import MomentState
from alert_history.errors import InvalidQuery, NotFound
from tests.held import CONFIGURATION, NOW, HeldThen, held, silence

CRITICAL = held("Down", severity="critical", instance="i1", team="db")
WARNING = held("Slow", severity="warning", instance="i1", team="web")
OTHER = held("Odd", severity="info", instance="i2", team="web")
MAIN = {"main": CONFIGURATION}


@contextmanager
def reaching(query: str) -> Iterator[None]:
    """Who calls sees the alerts that match alone."""
    set_caller(Grant(permissions=frozenset({Permission.READ}), reach=reach_of(query)))
    try:
        yield
    finally:
        set_caller(EVERYBODY)


def _states(state: MomentState) -> dict[str, str]:
    return {alert.labels["alertname"]: status.state for alert, status in state.alerts}


async def test_each_alert_has_the_receivers_of_its_routes() -> None:
    state = await HeldThen([CRITICAL, WARNING], MAIN).states().state(None)
    receivers = {alert.labels["alertname"]: status.receivers for alert, status in state.alerts}
    assert receivers == {"Down": ("db", "pager"), "Slow": ("default",)}


async def test_alerts_are_inhibited_by_the_configuration_of_then() -> None:
    state = await HeldThen([CRITICAL, WARNING], MAIN).states().state(None)
    (slow,) = [status for alert, status in state.alerts if alert.labels["alertname"] == "Slow"]
    assert (slow.state, slow.inhibited_by) == ("suppressed", (CRITICAL.fingerprint,))


async def test_alerts_stand_by_fingerprint() -> None:
    state = await HeldThen([CRITICAL, WARNING, OTHER], MAIN).states().state(None)
    fingerprints = [alert.fingerprint for alert, _ in state.alerts]
    assert fingerprints == sorted(fingerprints)


async def test_the_store_is_asked_for_the_moment() -> None:
    then = HeldThen([], MAIN)
    state = await then.states().state(NOW - timedelta(hours=3))
    assert (then.asked, state.at, state.is_now) == ([NOW - timedelta(hours=3)], NOW - timedelta(hours=3), False)


async def test_time_to_come_is_refused() -> None:
    with pytest.raises(InvalidQuery, match="still to come"):
        await HeldThen().states().state(NOW + timedelta(minutes=2))


async def test_clock_that_is_a_little_ahead_asks_for_now() -> None:
    state = await HeldThen().states().state(NOW + timedelta(seconds=20))
    assert state.at == NOW


async def test_cluster_that_is_not_known_is_named_with_those_that_are() -> None:
    with pytest.raises(NotFound, match="no Alertmanager is called 'nosuch'; there are main"):
        await HeldThen().states().state(None, cluster="nosuch")


# --- several ----------------------------------------------------------------------------------------------------------


def _known_to(name: str) -> str:
    return api_sender(name)


async def test_alert_is_in_the_clusters_that_told_of_it() -> None:
    eu = msgspec.structs.replace(CRITICAL, witnesses=(_known_to("eu"),))
    states = HeldThen([eu]).states(names=["eu", "us"])
    assert len((await states.state(None, cluster="eu")).alerts) == 1
    us = await states.state(None, cluster="us")
    assert not us.alerts
    assert us.unknown[-1] == "whether us held 1 alert, too, of which another told, is not known"


async def test_alert_is_in_the_cluster_of_a_peer_that_told_of_it() -> None:
    peer = msgspec.structs.replace(CRITICAL, witnesses=("peer",))
    witnesses = Witnesses().joined(_known_to("eu"), "peer")
    states = HeldThen([peer]).states(names=["eu", "us"], witnesses=witnesses)
    assert not (await states.state(None, cluster="us")).alerts


async def test_alert_that_nobody_can_attribute_is_in_each_cluster_and_that_is_said() -> None:
    states = HeldThen([CRITICAL], {"eu": CONFIGURATION, "us": CONFIGURATION}).states(names=["eu", "us"])
    for name in ("eu", "us"):
        state = await states.state(None, cluster=name)
        assert len(state.alerts) == 1
        assert state.unknown == ["nobody can say which Alertmanager held 1 alert, so each lists it"]


async def test_all_clusters_together_list_an_alert_once() -> None:
    state = await HeldThen([CRITICAL]).states(names=["eu", "us"]).state(None)
    assert len(state.alerts) == 1


async def test_alert_that_one_cluster_does_not_mute_is_active() -> None:
    muting = SilenceVersion(silence(1, ("team", "=", "db")), "eu", NOW)
    states = HeldThen([CRITICAL], silences=[muting]).states(names=["eu", "us"])
    assert _states(await states.state(None, cluster="eu")) == {"Down": "suppressed"}
    assert _states(await states.state(None)) == {"Down": "active"}


async def test_cluster_of_which_nothing_is_known_has_no_say_where_another_has() -> None:
    muting = SilenceVersion(silence(1, ("team", "=", "db")), "eu", NOW)
    then = HeldThen([CRITICAL], {"eu": CONFIGURATION}, silences=[muting])
    state = await then.states(names=["eu", "down"]).state(None)
    [(_, status)] = state.alerts
    assert (status.state, "not-known" in status.receivers) == ("suppressed", False)


async def test_alertmanager_that_has_not_answered_for_long_is_named() -> None:
    seen_at = NOW - timedelta(minutes=10)
    state = await HeldThen([CRITICAL], {"eu": CONFIGURATION}, seen_at=seen_at).states(names=["eu"]).state(None)
    [sentence] = state.unknown
    assert (
        sentence
        == f"eu last answered at {seen_at:%Y-%m-%dT%H:%M:%SZ}: its configuration and silences are those of then"
    )


async def test_alert_that_each_cluster_mutes_is_muted_by_all() -> None:
    silences = [SilenceVersion(silence(n, ("team", "=", "db")), name, NOW) for n, name in enumerate(["eu", "us"])]
    state = await HeldThen([CRITICAL], silences=silences).states(names=["eu", "us"]).state(None)
    assert state.alerts[0][1].silenced_by == (silences[0].silence.id, silences[1].silence.id)


async def test_what_grafana_sent_is_in_no_alertmanager_but_among_all() -> None:
    grafana = msgspec.structs.replace(OTHER, source="grafana", receiver="team-x")
    states = HeldThen([grafana], MAIN).states()
    assert not (await states.state(None, cluster="main")).alerts
    assert [status.receivers for _, status in (await states.state(None)).alerts] == [("team-x",)]


async def test_an_alertmanager_that_has_been_renamed_holds_nothing_any_more() -> None:
    """Its new name has its silences; that it had another one made alerts sound that every Alertmanager mutes."""
    muting = SilenceVersion(silence(1, ("team", "=", "db")), "eu", NOW)
    then = HeldThen([CRITICAL], {"old": CONFIGURATION, "eu": CONFIGURATION}, silences=[muting])
    state = await then.states(names=["eu"]).state(None)
    assert state.names == ["eu"]
    assert [status.state for _, status in state.alerts] == ["suppressed"]
    earlier = await then.states(names=["eu"]).state(NOW - timedelta(minutes=1))
    assert set(earlier.names) == {"eu", "old"}


async def test_a_silence_that_peers_share_is_one() -> None:
    same = silence(1, ("team", "=", "db"))
    states = HeldThen(silences=[SilenceVersion(same, name, NOW) for name in ("a", "b")]).states(names=["a", "b"])
    assert [version.silence for version in (await states.state(None)).silences] == [same]
    assert len((await states.state(None, cluster="b")).silences) == 1


# --- what can't be known ----------------------------------------------------------------------------------------------


async def test_without_an_alertmanager_it_says_so() -> None:
    state = await HeldThen([CRITICAL]).states(names=[]).state(None)
    (sentence,) = state.unknown
    assert sentence.startswith("no Alertmanager is asked (ALERTMANAGER_URLS), so routes, groups and inhibitions are")
    assert sentence.endswith("and silences only as far as events told of them")


async def test_configuration_that_was_not_known_then_is_named() -> None:
    state = await HeldThen([CRITICAL], MAIN).states().state(NOW - timedelta(days=2))
    (sentence,) = state.unknown
    assert sentence.startswith("the configuration of main is not known for then, nor are its routes, groups and inh")
    assert sentence.endswith("and its silences only as far as it told of them later")


async def test_configuration_that_can_not_be_read_is_named() -> None:
    state = await HeldThen([CRITICAL], {"main": "route: ["}).states().state(None)
    assert state.unknown[0].startswith("the configuration of main can't be read: ")


async def test_times_that_are_bounds_are_counted() -> None:
    unsure = msgspec.structs.replace(CRITICAL, unknown=("endsAt",))
    state = await HeldThen([unsure], MAIN).states().state(None)
    assert state.unknown == ["endsAt of 1 alert is the nearest that is known"]


async def test_first_time_there_is_can_be_asked_for() -> None:
    state = await HeldThen([], MAIN).states().state(datetime(1, 1, 1, tzinfo=UTC))
    assert state.at == datetime(1970, 1, 1, tzinfo=UTC)


async def test_time_before_what_is_kept_is_told() -> None:
    state = await HeldThen([], MAIN).states().state(NOW - timedelta(days=31))
    assert state.unknown[0].startswith("history from before 2026-10-28 is not kept (RETENTION_DAYS)")


# --- reach ------------------------------------------------------------------------------------------------------------


async def test_reader_sees_the_alerts_within_reach() -> None:
    with reaching('{team="web"}'):
        state = await HeldThen([CRITICAL, WARNING, OTHER], MAIN).states().state(None)
    assert set(_states(state)) == {"Slow", "Odd"}
    assert {alert.labels["alertname"] for part in state.parts for alert, _ in part.alerts} == {"Slow", "Odd"}


async def test_alert_that_is_out_of_reach_inhibits_without_being_named() -> None:
    with reaching('{team="web"}'):
        state = await HeldThen([CRITICAL, WARNING], MAIN).states().state(None)
    assert [(status.state, status.inhibited_by, status.inhibit_rules) for _, status in state.alerts] == [
        ("suppressed", (), ())
    ]


async def test_reader_sees_silences_that_match_what_they_see() -> None:
    silences = [
        SilenceVersion(silence(1, ("team", "=", "db")), "main", NOW),
        SilenceVersion(silence(2, ("severity", "=", "info")), "main", NOW),
    ]
    states = HeldThen([CRITICAL, OTHER], MAIN, silences).states()
    with reaching('{team="web"}'):
        state = await states.state(None)
        hidden, _ = await states.silence(silences[0].silence.id, None)
    assert [version.silence.id for version in state.silences] == [silences[1].silence.id]
    assert hidden is None


async def test_reader_sees_no_configuration() -> None:
    with reaching('{team="web"}'):
        state = await HeldThen([OTHER], MAIN).states().state(None)
    assert [(version.original, version.configuration) for version in state.clusters] == [("", None)]


# --- one silence ------------------------------------------------------------------------------------------------------


async def test_silence_is_found_as_it_stood() -> None:
    first = silence(1, ("team", "=", "db"))
    edited = msgspec.structs.replace(first, updated_at=NOW - timedelta(minutes=5), comment="longer")
    states = HeldThen(silences=[SilenceVersion(first, "main", NOW)]).states()
    assert (await states.silence(first.id, None))[0] == SilenceVersion(first, "main", NOW)
    later = HeldThen(silences=[SilenceVersion(edited, "main", NOW)]).states()
    assert (await later.silence(first.id, NOW - timedelta(hours=1)))[0] is None


async def test_silence_that_alertmanager_has_forgotten_is_found() -> None:
    old = silence(1, ("team", "=", "db"), begins=-300, hours=-200)
    found, state = await HeldThen(silences=[SilenceVersion(old, "main", NOW)]).states().silence(old.id, None)
    assert found is None or found.silence == old
    assert not state.silences
