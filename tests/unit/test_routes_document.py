"""What a routes file may say, and how it is told what is wrong with it."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_history.discovery.routes_document import MAX_NODES, read_routes
from alert_history.domain.routes import Destination, Routes
from alert_history.errors import ConfigurationError

WHOLE = """
time_zone: Europe/Berlin
routes:
  - name: payments
    match: '{team="payments"}'
    targets: [payments-slack, "on-call-*", {format: pagerduty}]
    group_by: [alertname, cluster]
    continue: true
    quiet_hours:
      - days: [mon-wed, fri]
        from: 22:00
        to: 7:00
        unless: '{severity="critical"}'
      - {days: sat-sun, then: drop, time_zone: UTC}
    routes:
      - match: severity=info
        targets: []
      - name: loud
        quiet_hours: []
  - targets: [fallback]
"""


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read_routes(text)
    return caught.value.faults


def fault_of_route(text: str) -> str:
    """The only fault of a file with this route."""
    (only,) = faults(f"routes:\n- {{targets: [a], {text}}}")
    return only.removeprefix("line 2: routes[0].")


def fault_of_hours(text: str) -> str:
    return fault_of_route(f"quiet_hours: [{{{text}}}]").removeprefix("quiet_hours[0]").removeprefix(".")


def whole() -> Routes:
    return read_routes(WHOLE)


def test_a_route_says_whom_and_how() -> None:
    payments = whole()[0]
    assert (payments.name, payments.match_text) == ("payments", '{team="payments"}')
    names = (Destination("payments-slack"), Destination("on-call-*"), Destination(format="pagerduty"))
    assert (payments.destinations, payments.group_by) == (names, ("alertname", "cluster"))
    assert payments.does_continue


def test_quiet_hours_are_read_with_their_zone() -> None:
    nights, weekend = whole()[0].quiet_hours
    assert (str(nights), nights.then) == ("mon-wed,fri 22:00-07:00 Europe/Berlin", "hold")
    assert nights.unless_text == '{severity="critical"}'
    assert (str(weekend), weekend.then) == ("sat-sun 00:00-24:00 UTC", "drop")


def test_an_inner_route_takes_from_the_outer_what_it_does_not_say() -> None:
    outer = whole()[0]
    nobody, loud = outer.routes
    assert (nobody.destinations, nobody.group_by, nobody.quiet_hours) == ((), outer.group_by, outer.quiet_hours)
    assert (loud.destinations, loud.quiet_hours) == (outer.destinations, ())


def test_a_route_without_a_name_is_called_by_its_place() -> None:
    assert [whole()[0].routes[0].name, whole()[1].name] == ["routes[0].routes[0]", "routes[1]"]


def test_every_fault_is_told_at_once_in_the_order_of_lines() -> None:
    text = WHOLE.replace("Berlin", "Berln").replace("match: severity", "math: severity").replace("22:00", "25:00")
    assert [fault.split(" ")[:3] for fault in faults(text)] == [
        ["line", "2:", "time_zone"],
        ["line", "11:", "routes[0].quiet_hours[0].from"],
        ["line", "16:", "routes[0].routes[0].math"],
    ]


@pytest.mark.parametrize(
    "text, fault",
    [
        ("match: '{a='", "match query, character 4: the closing } is missing"),
        ("match: {a: b}", "match is a mapping; put the query in quotes"),
        ("targetss: [a]", "targetss means nothing here; targets is meant?"),
        ("continue: yes", "continue 'yes' is not allowed; give true or false"),
        ("group_by: alertname", "group_by is a text; give a list of labels"),
        ("group_by: [[a]]", "group_by[0] is a list; give a text"),
        ("name: 'routes[3]'", "name 'routes[3]' is not allowed"),
        ("name: a, name: b", "name is given twice"),
        ("quiet_hours: [{}]", "quiet_hours never end"),
        ("routes: {}", "routes is a mapping; give a list of routes"),
    ],
)
def test_a_fault_names_its_place_and_what_is_allowed(text: str, fault: str) -> None:
    assert fault_of_route(text).startswith(fault)


@pytest.mark.parametrize(
    "text, fault",
    [
        ("from: 7", "from '7' is not allowed; give a time from 00:00 to 24:00"),
        ("from: 9:00, to: 09:00", " from and to are the same; a whole day is from 00:00 to 24:00"),
        ("days: [mon-fry]", "days[0] 'mon-fry' is not allowed; give a list of mon, tue, wed"),
        ("days: []", "days is empty; give a list of mon, tue"),
        ("to: 7:00, time_zone: CEST+1", "time_zone 'CEST+1' is no time zone known here"),
        ("to: 7:00, time_zone: ../../etc/passwd", "time_zone '../../etc/passwd' is no time zone known here"),
        ("to: 7:00, time_zone: Europe", "time_zone 'Europe' is no time zone known here"),
        ("to: 7:00, then: hodl", "then 'hodl' is not allowed; give hold (told when they end) or drop (not told)"),
        ("to: 7:00, unless: '{'", "unless query, character 2: the closing } is missing"),
    ],
)
def test_a_fault_in_quiet_hours_names_what_is_allowed(text: str, fault: str) -> None:
    assert fault_of_hours(text).startswith(fault)


def test_two_routes_of_one_name_are_a_fault() -> None:
    (fault,) = faults("routes:\n- {name: a, targets: [x]}\n- {name: a, targets: [y]}\n")
    assert fault == "line 3: routes[1].name 'a' is the name of the route in line 2 already"


@pytest.mark.parametrize(
    "text, fault",
    [
        ("", "it is empty; give routes"),
        ("routes:", "line 1: routes is a text; give a list of routes"),
        ("routes: []", "line 1: routes is empty; give at least one route"),
        ("- a", "line 1: is a list; give a mapping of time_zone, routes"),
        ("{}", "line 1: routes is missing"),
        ("routes: [{}]", "line 1: routes[0] targets is missing"),
        ("routes: [{targets: [{}]}]", "line 1: routes[0].targets[0] is not allowed"),
        ("a: [", "line 1: not YAML: "),
        ("[" * 5000, "not YAML: nested too deeply"),
        ("routes: *a", "line 1: not YAML: found undefined alias"),
        ("routes: &a [{routes: *a}]", "routes are nested deeper than 16"),
        ("a: 1\n---\nb: 2", "line 2: not YAML: but found another document"),
    ],
)
def test_what_is_no_list_of_routes_is_a_fault(text: str, fault: str) -> None:
    assert faults(text)[0].startswith(fault)


def test_a_bomb_of_aliases_is_refused_soon() -> None:
    lines = ["routes:", "- targets: &t [" + ", ".join(["x"] * 1000) + "]"]
    lines += ["- {targets: *t}"] * (MAX_NODES // 1000)
    assert faults("\n".join(lines)) == [
        f"it holds more than {MAX_NODES} values, aliases counted each time they are used"
    ]


@given(st.text(st.sampled_from("routes: \n-[]{}targetsmatch'\"&*a!|>#%0123456789")))
def test_no_text_is_read_in_any_other_way_than_as_routes_or_faults(text: str) -> None:
    with suppress(ConfigurationError):
        assert read_routes(text)
