"""How an occurrence fares on the routes of a configuration: when, what mutes it, and what would be without that."""

from datetime import UTC, datetime, timedelta
from typing import Any

from alert_history.domain.alert import Silence, fingerprint
from alert_history.domain.alertmanager.reading import read_configuration
from alert_history.domain.alertmanager.route_outcome import RouteOutcome
from alert_history.domain.alertmanager.route_simulation import Fired, World, route_outcomes

START = datetime(2026, 3, 4, 3, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
NOW = START + 6 * HOUR
CONFIGURATION = read_configuration(
    """
route:
  receiver: chat
  group_by: [alertname]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 4h
  routes:
    - matchers: [severity="critical"]
      receiver: pager
      continue: true
    - matchers: [team="night"]
      receiver: chat
      mute_time_intervals: [nights]
receivers:
  - name: chat
    slack_configs: [{channel: x, api_url: http://slack.example.com/, send_resolved: true}]
  - name: pager
    pagerduty_configs: [{routing_key: x}]
inhibit_rules:
  - source_matchers: [alertname="NodeDown"]
    target_matchers: [severity="critical"]
    equal: [node]
time_intervals:
  - name: nights
    time_intervals: [{times: [{start_time: "00:00", end_time: "06:00"}]}]
"""
)


def _fired(
    begin: timedelta = timedelta(), end: timedelta | None = HOUR, *, had: timedelta | None = None, **labels: str
) -> Fired:
    labels = {"alertname": "DiskFull", "severity": "critical", "node": "a"} | labels
    at = START + begin
    return Fired(fingerprint(labels), labels, at, at if had is None else START + had, START + end if end else None)


def _silence(begin: timedelta, end: timedelta, *, updated: timedelta | None = None, **matchers: str) -> Silence:
    pairs = [{"name": name, "op": "=", "value": value} for name, value in (matchers or {"node": "a"}).items()]
    updated_at = START + (begin if updated is None else updated)
    return Silence("7c1f", [pairs], START + begin, START + end, updated_at, "ada", "swap")


def _course(subject: Fired, *others: Fired, **more: Any) -> RouteOutcome:
    return route_outcomes(subject, World(CONFIGURATION, others, **more), now=NOW)[0]


def test_a_receiver_is_notified_after_group_wait_and_of_the_end_when_its_group_is_due() -> None:
    on_route = _course(_fired())
    assert on_route.route.receiver == "pager"
    assert on_route.group == {"alertname": "DiskFull"}
    assert (on_route.due_at, on_route.sent_at) == (START + 30 * SECOND, START + 30 * SECOND)
    assert on_route.end_sent_at == START + 30 * SECOND + 60 * MINUTE
    assert not on_route.looks
    assert not on_route.counterfactuals


def test_an_alert_that_is_older_than_group_wait_is_sent_at_once() -> None:
    on_route = _course(_fired(-MINUTE, had=timedelta()))
    assert on_route.sent_at == START


def test_an_alert_that_comes_to_a_group_waits_for_its_interval() -> None:
    on_route = _course(_fired(), _fired(-7 * MINUTE, None, node="b"))
    assert on_route.sent_at == START + 3 * MINUTE + 30 * SECOND


def test_what_is_over_before_its_group_is_due_is_not_sent() -> None:
    on_route = _course(_fired(end=10 * SECOND))
    assert (on_route.sent_at, on_route.due_at) == (None, START + 30 * SECOND)


def test_a_silence_keeps_it_back_until_it_ends_and_without_it_it_would_have_been_sent() -> None:
    on_route = _course(_fired(), silences=[_silence(-MINUTE, 12 * MINUTE)])
    (look,) = on_route.looks
    assert look.at == START + 30 * SECOND
    assert look.muting is not None
    assert (look.muting.kind, look.muting.until) == ("silenced", START + 12 * MINUTE)
    assert on_route.sent_at == START + 15 * MINUTE + 30 * SECOND
    (would,) = on_route.counterfactuals
    assert (would.without.silences[0].id, would.at) == ("7c1f", START + 30 * SECOND)


def test_a_silence_that_somebody_ended_early_muted_until_then() -> None:
    versions = [_silence(-MINUTE, 2 * HOUR), _silence(-MINUTE, 3 * MINUTE, updated=3 * MINUTE)]
    on_route = _course(_fired(), silences=versions)
    assert on_route.sent_at == START + 5 * MINUTE + 30 * SECOND
    assert on_route.looks[0].muting is not None
    assert on_route.looks[0].muting.until == START + 3 * MINUTE


def test_an_inhibiting_alert_is_named_with_its_rule() -> None:
    on_route = _course(_fired(), _fired(-MINUTE, 2 * HOUR, alertname="NodeDown", severity="warning"))
    muting = on_route.looks[0].muting
    assert muting is not None
    assert (muting.kind, muting.until) == ("inhibited", START + 2 * HOUR)
    assert muting.inhibitors[0].labels["alertname"] == "NodeDown"
    assert muting.inhibitors[0].rule == 'alertname="NodeDown" mutes severity="critical" where node is equal'
    assert on_route.sent_at is None
    assert on_route.counterfactuals[0].at == START + 30 * SECOND


def test_a_time_interval_mutes_its_route_alone() -> None:
    pager, chat = route_outcomes(_fired(end=4 * HOUR, team="night"), World(CONFIGURATION), now=NOW)
    assert pager.sent_at == START + 30 * SECOND
    assert chat.looks[0].muting is not None
    assert (list(chat.looks[0].muting.intervals), chat.looks[0].muting.until) == (
        ["nights"],
        START.replace(hour=6, minute=0),
    )
    assert chat.sent_at == START.replace(hour=6, minute=2, second=30)


def test_where_two_things_mute_it_one_of_them_alone_changes_nothing() -> None:
    on_route = _course(
        _fired(),
        _fired(-MINUTE, 2 * HOUR, alertname="NodeDown", severity="warning"),
        silences=[_silence(-MINUTE, 3 * HOUR)],
    )
    alone, together = on_route.counterfactuals
    assert (alone.without.kind, alone.at) == ("inhibited", None)
    assert (len(together.without.silences), len(together.without.inhibitors)) == (1, 1)
    assert together.at == START + 30 * SECOND


def test_what_fires_again_before_its_end_was_told_is_repeated_only() -> None:
    before = _fired(-20 * MINUTE, -2 * MINUTE)
    on_route = _course(_fired(end=2 * HOUR), before)
    assert on_route.repeat_at == START - 20 * MINUTE + 30 * SECOND + 4 * HOUR
    assert on_route.sent_at is None


def test_in_a_group_of_which_nobody_knows_when_it_is_due_the_time_is_the_latest() -> None:
    on_route = _course(_fired(), unsure=frozenset(route.id for route in CONFIGURATION.route.routes))
    assert on_route.is_at_latest
    assert (on_route.due_at, on_route.sent_at) == (START + 5 * MINUTE, START + 5 * MINUTE)


def test_what_fires_still_is_due_after_now() -> None:
    (on_route,) = route_outcomes(_fired(end=None), World(CONFIGURATION), now=START + 10 * SECOND)
    assert on_route.due_at == START + 30 * SECOND


def test_what_a_receiver_takes_no_more_of_is_cut_off() -> None:
    configuration = read_configuration(
        """
        route: {receiver: hook, group_wait: 30s}
        receivers: [{name: hook, webhook_configs: [{url: "http://hook.example.com/", max_alerts: 1}]}]
        """
    )
    alerts = [_fired(end=None, node="b"), _fired(end=None, node="a")]
    (last,), (first,) = (
        route_outcomes(alerts[each], World(configuration, [alerts[1 - each]]), now=NOW) for each in (0, 1)
    )
    assert (first.sent_at, first.cut_at) == (START + 30 * SECOND, None)
    assert (last.sent_at, last.cut_at) == (None, START + 30 * SECOND)


def test_what_is_silenced_after_it_was_sent_has_an_end_that_is_not() -> None:
    on_route = _course(_fired(), silences=[_silence(MINUTE, 2 * HOUR)])
    assert (on_route.sent_at, on_route.end_sent_at) == (START + 30 * SECOND, None)
    assert on_route.end_look is not None
    assert on_route.end_look.muting is not None
    assert on_route.end_look.muting.kind == "silenced"
    assert not on_route.looks
    assert not on_route.counterfactuals
