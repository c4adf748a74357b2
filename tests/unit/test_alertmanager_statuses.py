"""What becomes of the alerts of a moment, with a configuration and without, and the order in which alerts stand."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from alert_history.domain.alert import Silence, fingerprint
from alert_history.domain.alertmanager.alert_order import alert_order, label_order
from alert_history.domain.alertmanager.behaviour import behaviour_of
from alert_history.domain.alertmanager.moment import AlertStatus, MomentAlert
from alert_history.domain.alertmanager.reading import read_configuration
from alert_history.domain.alertmanager.statuses import inhibitors_of, status_in_group, statuses

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

CONFIGURATION = read_configuration("""
route:
  receiver: rest
  routes:
    - {matchers: [severity=critical], receiver: pager, continue: true, mute_time_intervals: [lunch]}
    - {matchers: [severity=critical], receiver: chat}
    - {matchers: [severity=critical], receiver: never}
receivers: [{name: rest}, {name: pager}, {name: chat}, {name: never}]
inhibit_rules:
  - {source_matchers: [severity=critical], target_matchers: [severity=warning], equal: [host]}
  - {source_matchers: [host=a], target_matchers: [severity=warning]}
time_intervals:
  - {name: lunch, time_intervals: [{times: [{start_time: "12:00", end_time: "13:00"}]}]}
""")


def alert(severity: str, *, ends_at: datetime | None = NOON + MINUTE, receiver: str = "", **labels: str) -> MomentAlert:
    all_labels = {"severity": severity, **labels}
    name = fingerprint(all_labels)
    return MomentAlert("1", name, "", all_labels, {}, NOON, ends_at, NOON, "", "alertmanager", receiver=receiver)


def silence(name: str, label: str, value: str) -> Silence:
    return Silence(name, [[{"name": label, "op": "=", "value": value}]], NOON, NOON + MINUTE, NOON, "ada", "")


def status_of(alerts: Sequence[MomentAlert], *silences: Silence) -> list[AlertStatus]:
    return statuses(alerts, silences=silences, configuration=CONFIGURATION, at=NOON)


CRITICAL, WARNING, OTHER = alert("critical", host="a"), alert("warning", host="a"), alert("warning", host="b")


def test_each_alert_has_its_receivers_in_the_order_of_its_routes() -> None:
    assert [each.receivers for each in status_of([CRITICAL, WARNING])] == [("pager", "chat"), ("rest",)]


def test_an_inhibited_alert_names_one_inhibitor_and_its_rule() -> None:
    critical, warning = status_of([CRITICAL, WARNING])
    assert (critical.state, critical.inhibited_by) == ("active", ())
    assert (warning.state, warning.inhibited_by, warning.inhibit_rules) == ("suppressed", (CRITICAL.fingerprint,), (0,))


def test_an_alert_whose_end_is_not_known_inhibits() -> None:
    [_, warning] = status_of([alert("critical", host="a", ends_at=None), WARNING])
    assert warning.state == "suppressed"


def test_a_silenced_alert_names_its_silences() -> None:
    [status] = status_of(
        [CRITICAL], silence("s-2", "host", "a"), silence("s-1", "severity", "critical"), silence("s-3", "host", "b")
    )
    assert (status.state, status.silenced_by) == ("suppressed", ("s-1", "s-2"))


def test_all_inhibitors_are_named_where_an_explanation_needs_them() -> None:
    inhibitors = inhibitors_of(OTHER, [CRITICAL, WARNING, OTHER], configuration=CONFIGURATION, at=NOON)
    assert [(each.fingerprint, each.rule.position) for each in inhibitors] == [
        (name, 1) for name in sorted([CRITICAL.fingerprint, WARNING.fingerprint])
    ]


def test_a_time_interval_mutes_in_the_group_alone() -> None:
    [status] = status_of([CRITICAL])
    pager, chat, _ = CONFIGURATION.route.routes
    assert (status.state, status.muted_by) == ("active", ())
    muted = status_in_group(status, pager, configuration=CONFIGURATION, at=NOON)
    assert (muted.state, muted.muted_by) == ("suppressed", ("lunch",))
    assert status_in_group(status, chat, configuration=CONFIGURATION, at=NOON) == status


@pytest.mark.parametrize(
    "muted, expected",
    [
        (None, ("active", (), ())),
        (("silenced", ("x", "s-1")), ("suppressed", ("x",), ())),
        (("silenced", ("s-1",)), ("active", (), ())),
        (("inhibited", ("f",)), ("suppressed", (), ("f",))),
    ],
)
def test_without_a_configuration_events_say_what_muted_an_alert(
    muted: tuple[str, tuple[str, ...]] | None, expected: tuple[str, tuple[str, ...], tuple[str, ...]]
) -> None:
    said = msgspec.structs.replace(alert("critical", receiver="pager"), muted=muted)
    known = silence("s-1", "host", "elsewhere")
    [status] = statuses([said], silences=[known], configuration=None, at=NOON)
    assert (status.state, status.silenced_by, status.inhibited_by) == expected
    assert status.receivers == ("pager",)


def test_without_a_configuration_known_silences_mute() -> None:
    [status] = statuses(
        [CRITICAL], silences=[silence("s", "host", "a")], configuration=None, at=NOON, behaviour=behaviour_of("0.25")
    )
    assert (status.state, status.silenced_by, status.receivers) == ("suppressed", ("s",), ())


def test_alerts_stand_by_job_and_instance_and_sets_by_size_and_the_first_label_that_differs() -> None:
    ordered = [{"z": "1"}, {"b": "1", "c": "1"}, {"a": "1", "c": "1"}, {"a": "1", "b": "1"}, {"a": "2", "b": "0"}]
    assert sorted((ordered[place] for place in (3, 0, 4, 2, 1)), key=label_order) == ordered
    alerts = [
        {"job": "a", "instance": "2", "x": "1"},
        {"job": "a", "y": "1"},
        {"job": "b"},
        {"instance": "1"},
        {"x": "1"},
    ]
    assert sorted((alerts[place] for place in (3, 0, 4, 2, 1)), key=alert_order) == alerts
