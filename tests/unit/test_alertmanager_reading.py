"""Configurations of Alertmanager as they are read: what is inherited, what is refused, what is passed over.

Holds: `domain.alertmanager.reading`, `domain.alertmanager.yaml_tree`, `domain.alertmanager.yaml_fields`,
`domain.alertmanager.interval_text`, `domain.alertmanager.configuration`.
"""

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.alertmanager.configuration import Integration, TimeInterval, everywhere
from alert_history.domain.alertmanager.matchers import matchers_text
from alert_history.domain.alertmanager.reading import read_configuration
from alert_history.domain.alertmanager.yaml_tree import MAX_CHARACTERS
from alert_history.errors import InvalidConfiguration

WHOLE = """
global:
  resolve_timeout: 7m
  smtp_smarthost: mail:25
templates: ['/etc/*.tmpl']
route:
  receiver: everybody
  group_by: [namespace, alertname]
  group_wait: 10s
  routes:
    - matchers: ['team = "db"', "severity=~critical|page"]
      receiver: dba
      group_interval: 1m30s
      repeat_interval: 1d
      continue: true
      mute_time_intervals: [nights]
      routes:
        - match: {kind: disk, env: prod}
          match_re: {host: "db[0-9]+"}
          group_by: ['...']
          routes:
            - group_by: []
    - matchers: ['"odd name"="x"']
      active_time_intervals: [office]
      labels: {runbook: dba}
inhibit_rules:
  - source_match: {severity: critical}
    target_match_re: {severity: "warning|info"}
    equal: [namespace, namespace, alertname]
  - name: newer
    source_matchers: [a=b]
    target_matchers: [c=d]
mute_time_intervals:
  - name: nights
    time_intervals:
      - times: [{start_time: "22:00", end_time: "24:00"}]
        weekdays: ['monday:friday', 'Sunday']
        days_of_month: ['-3:-1', '1']
        months: ['january:march', '12']
        years: ['2026:2030']
        location: Europe/Berlin
time_intervals:
  - name: office
    time_intervals: [{}]
receivers:
  - name: everybody
  - name: dba
    slack_configs: [{channel: x}, {send_resolved: true}]
    webhook_configs: [{url: "http://x"}]
    carrier_pigeon_configs: [{send_resolved: false}]
some_day: {new: field}
"""
SMALL = "route: {receiver: a%s}\nreceivers: [{name: a}]%s"


def test_a_route_takes_what_it_does_not_set_from_the_route_around_it() -> None:
    first, dba, all_labels, none, odd = everywhere(read_configuration(WHOLE).route)
    assert (first.group_by, first.group_wait, first.repeat_interval) == (
        ("alertname", "namespace"),
        timedelta(seconds=10),
        timedelta(hours=4),
    )
    assert (dba.receiver, dba.group_wait, dba.group_interval) == ("dba", timedelta(seconds=10), timedelta(seconds=90))
    assert (all_labels.receiver, all_labels.groups_by_all, all_labels.repeat_interval) == (
        "dba",
        True,
        timedelta(days=1),
    )
    assert (none.groups_by_all, none.group_by) == (False, ())
    assert (odd.receiver, odd.group_by) == ("everybody", ("alertname", "namespace"))


def test_continue_and_time_intervals_are_not_inherited() -> None:
    _, dba, all_labels, *_ = everywhere(read_configuration(WHOLE).route)
    assert (dba.does_continue, dba.mute_time_intervals) == (True, ("nights",))
    assert (all_labels.does_continue, all_labels.mute_time_intervals) == (False, ())


def test_old_and_new_matchers_stand_together_in_order_of_name() -> None:
    _, dba, all_labels, _, odd = everywhere(read_configuration(WHOLE).route)
    assert matchers_text(dba.matchers) == '{severity=~"critical|page",team="db"}'
    assert matchers_text(all_labels.matchers) == '{env="prod",host=~"^(?:db[0-9]+)$",kind="disk"}'
    assert matchers_text(odd.matchers) == '{"odd name"="x"}'


def test_a_route_has_the_key_and_the_id_of_its_way() -> None:
    _, _, all_labels, none, odd = everywhere(read_configuration(WHOLE).route)
    way = '{}/{severity=~"critical|page",team="db"}'
    assert all_labels.key == way + '/{env="prod",host=~"^(?:db[0-9]+)$",kind="disk"}'
    assert none.id == way + '/0/{env="prod",host=~"^(?:db[0-9]+)$",kind="disk"}/0/{}/0'
    assert odd.id == '{}/{"odd name"="x"}/1'


def test_labels_of_routes_are_inherited_one_by_one() -> None:
    text = SMALL % (", labels: {a: x, b: y}, routes: [{labels: {b: z}}]", "")
    assert read_configuration(text).route.routes[0].labels == {"a": "x", "b": "z"}


def test_integrations_come_in_the_order_in_which_alertmanager_notifies() -> None:
    everybody, dba = read_configuration(WHOLE).receivers
    assert everybody.integrations == ()
    assert dba.integrations == (
        Integration("webhook", 0, sends_resolved=True),
        Integration("slack", 0, sends_resolved=False),
        Integration("slack", 1, sends_resolved=True),
        Integration("carrier_pigeon", 0, sends_resolved=False),
    )


def test_inhibit_rules_are_read_old_and_new() -> None:
    old, new = read_configuration(WHOLE).inhibit_rules
    assert (matchers_text(old.sources), matchers_text(old.targets)) == (
        '{severity="critical"}',
        '{severity=~"^(?:warning|info)$"}',
    )
    assert (old.equal, old.name, old.position) == (("namespace", "alertname"), "", 0)
    assert (matchers_text(new.sources), new.name, new.position) == ('{a="b"}', "newer", 1)


def test_time_intervals_of_both_lists_are_known_by_name() -> None:
    intervals = read_configuration(WHOLE).time_intervals
    assert intervals["office"] == (TimeInterval(),)
    assert intervals["nights"] == (
        TimeInterval(
            times=((1320, 1440),),
            weekdays=((1, 5), (0, 0)),
            days_of_month=((-3, -1), (1, 1)),
            months=((1, 3), (12, 12)),
            years=((2026, 2030),),
            location="Europe/Berlin",
        ),
    )


def test_a_text_is_taken_as_it_is_written() -> None:
    text = SMALL % (", routes: [{match: {a: yes, b: 010, c: 1.0, d: ~}}]", "")
    assert matchers_text(read_configuration(text).route.routes[0].matchers) == '{a="yes",b="010",c="1.0",d=""}'


def test_an_empty_regex_is_read_as_the_status_prints_it() -> None:
    text = SMALL % (", routes: [{match_re: {a: null}}]", "")
    assert matchers_text(read_configuration(text).route.routes[0].matchers) == '{a=~"^(?:)$"}'


def test_anchors_and_merge_keys_are_followed() -> None:
    text = SMALL % (", routes: [&x {match: {a: b}, group_wait: 1s}, {<<: *x, group_wait: 2s}]", "")
    first, second = read_configuration(text).route.routes
    assert first.matchers == second.matchers
    assert (first.group_wait, second.group_wait) == (timedelta(seconds=1), timedelta(seconds=2))


FAULTS = [
    ("", "empty"),
    ("receivers: []", "no route"),
    ("[1]", "line 1: is not a mapping"),
    ("route: {}\n", "line 1: route names no receiver"),
    ("route: {receiver: b}\nreceivers: [{name: a}]", "route.receiver 'b' is not among the receivers"),
    (SMALL % (", routes: [{receiver: b}]", ""), "route.routes[0].receiver 'b' is not among"),
    (SMALL % (", matchers: [a=b]", ""), "route.matchers is not allowed in the first route"),
    (SMALL % (", continue: true", ""), "route.continue is not allowed"),
    (SMALL % (", group_wait: soon", ""), "route.group_wait 'soon' is no duration"),
    (SMALL % (", group_interval: 0s", ""), "route.group_interval must be longer than 0"),
    (SMALL % (", group_by: [a, a]", ""), "names a label twice"),
    (SMALL % (", group_by: [a, '...']", ""), "stands alone"),
    (SMALL % (", group_by: a", ""), "route.group_by is not a list"),
    (SMALL % (", routes: [{matchers: ['a=~(']}]", ""), "route.routes[0].matchers[0] the regex ( is not valid RE2"),
    (SMALL % (", routes: [{match: {'a b': c}}]", ""), "use matchers"),
    (SMALL % (", routes: [{mute_time_intervals: [x]}]", ""), "'x', which is not among the time intervals"),
    (SMALL % ("", "\ninhibit_rules: [{source_match_re: {a: '['}}]"), "line 3: inhibit_rules[0].source_match_re.a"),
    (SMALL % ("", "\nreceivers: []"), "line 3: receivers is given twice"),
    (SMALL.replace("[{name: a}]", "[{name: a}, {name: a}]") % ("", ""), "another receiver has already"),
    (SMALL % ("", "\ntime_intervals: [{name: x, time_intervals: [{weekdays: ['friday:monday']}]}]"), "ends before"),
    (
        SMALL % ("", "\ntime_intervals: [{name: x, time_intervals: [{times: [{start_time: '9:00'}]}]}]"),
        "no time of the day",
    ),
    (
        SMALL % ("", "\ntime_intervals: [{name: x, time_intervals: [{days_of_month: ['-1:5']}]}]"),
        "ends after the month",
    ),
    (SMALL % ("", "\ntime_intervals: [{name: x, time_intervals: [{months: ['juni']}]}]"), "'juni' is no range"),
    ("a: [", "line 2: not YAML"),
    ("a: b\n---\na: b", "line 2: a second document begins"),
    ("\ta: b", "not YAML"),
    ("a: \x00", "not YAML"),
    ("a: *b", "not YAML|names nothing"),
    ("a: &b [*b]", "names nothing that is complete"),
]


@pytest.mark.parametrize("text, reason", FAULTS)
def test_a_fault_is_named_with_its_place(text: str, reason: str) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        read_configuration(text)
    assert any(part in str(caught.value) for part in reason.split("|"))


def test_all_faults_are_told_at_once_in_order_of_their_lines() -> None:
    text = "receivers: [{name: a}]\nroute:\n  receiver: a\n  group_wait: x\n  group_interval: y\n"
    with pytest.raises(InvalidConfiguration) as caught:
        read_configuration(text)
    assert [fault.partition(":")[0] for fault in caught.value.faults] == ["line 4", "line 5"]


BOMBS = [
    "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"{c}: &{c} [{','.join([f'*{b}'] * 10)}]\n" for b, c in zip("abcdefgh", "bcdefghi", strict=True)),
    "a: " + "[" * 100_000,
    "a: " + "{a: " * 5_000,
    "a: " + "[" * 50 + "]" * 50,
    "x" * (MAX_CHARACTERS + 1),
    "- a\n" * 100_001,
    "a: '" + "x" * (MAX_CHARACTERS // 2) + "'",
]


@pytest.mark.parametrize("bomb", range(len(BOMBS)))
def test_a_hostile_text_is_refused_soon(bomb: int) -> None:
    with pytest.raises(InvalidConfiguration):
        read_configuration(BOMBS[bomb])


def test_aliases_that_unfold_to_too_much_are_refused() -> None:
    lines = [
        "x0: &x0 {match: {a: b}}",
        *(f"x{n + 1}: &x{n + 1} {{routes: [{', '.join([f'*x{n}'] * 10)}]}}" for n in range(8)),
    ]
    with pytest.raises(InvalidConfiguration, match="unfold"):
        read_configuration("\n".join([*lines, "route: {receiver: a, routes: [*x8]}", "receivers: [{name: a}]"]))


@given(st.text("ab:-[]{}&*<>|!%@`'\"#?,\n \t~0", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    for whole in (text, f"route:\n  receiver: a\n  routes: {text}\nreceivers: [{{name: a}}]"):
        with suppress(InvalidConfiguration):
            read_configuration(whole)
