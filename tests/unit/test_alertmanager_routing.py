"""Routing: the routes that an alert takes, against the plain walk that Alertmanager describes; groups and their keys.

Holds: `domain.alertmanager.routing`, `domain.alertmanager.label_tests`, `domain.alertmanager.groups`.
"""

import os
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alert_history.domain.alertmanager import label_tests, routing
from alert_history.domain.alertmanager.configuration import Configuration, Route
from alert_history.domain.alertmanager.groups import group_key, group_labels
from alert_history.domain.alertmanager.matchers import in_order, matching
from alert_history.domain.alertmanager.routing import Routing
from alert_history.domain.query import Matcher

VALUES = ["", "a", "b", "ab", "a\nb", "A", "aab"]
REGEXES = ["a|b", "a.*", ".*", ".+", "", "(a|b)b?", "[ab]{2}", "(?i)a", "a)|(?:b", "(?s)a.b", "b$", "^a", "a|"]
NAMES = ["x", "y", "z"]
MATCHERS = st.one_of(
    st.builds(Matcher, st.sampled_from(NAMES), st.sampled_from(["=", "!="]), st.sampled_from(VALUES)),
    st.builds(Matcher, st.sampled_from(NAMES), st.sampled_from(["=~", "!~"]), st.sampled_from(REGEXES)),
)
LABELS = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES))


def routes(below: st.SearchStrategy[tuple[Route, ...]]) -> st.SearchStrategy[Route]:
    matchers = st.lists(MATCHERS, max_size=4).map(in_order)
    return st.builds(Route, st.just("r"), st.just(""), st.just(""), matchers, does_continue=st.booleans(), routes=below)


TREES = st.lists(
    st.recursive(routes(st.just(())), lambda deeper: routes(st.lists(deeper, max_size=4).map(tuple)), max_leaves=12),
    max_size=6,
).map(lambda below: Route("r", "{}", "{}", routes=tuple(below)))


def walked(route: Route, labels: Mapping[str, str]) -> list[Route]:
    """Depth first, as Alertmanager says it."""
    if not matching(route.matchers)(labels):
        return []
    taken: list[Route] = []
    for below in route.routes:
        more = walked(below, labels)
        taken += more
        if more and not below.does_continue:
            break
    return taken or [route]


@settings(max_examples=int(os.environ.get("ROUTING_CASES", "60")))
@given(TREES, st.lists(LABELS, min_size=1, max_size=6))
def test_the_routes_are_those_of_the_plain_walk(tree: Route, alerts: list[dict[str, str]]) -> None:
    prepared = Routing(Configuration(tree))
    for labels in [*alerts, *alerts]:
        found, expected = prepared.routes_of(labels), walked(tree, labels)
        assert list(map(id, found)) == list(map(id, expected))


def test_what_is_remembered_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "_MEMORY_BYTES", 0)
    monkeypatch.setattr(routing, "_FEWEST_ENTRIES", 3)
    tree = Route("r", "{}", "{}", routes=(Route("s", "", "", (Matcher("x", "=~", "a.*"),)),))
    prepared = Routing(Configuration(tree))
    receivers = [prepared.routes_of({"x": f"{letter}{number}"})[0].receiver for number in range(20) for letter in "ab"]
    assert receivers == ["s", "r"] * 20
    (test,) = prepared.__dict__["_tests"]
    assert len(test[1].__self__) <= 3


def test_regexes_that_have_no_room_together_are_asked_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_tests, "_SET_BYTES", 100)
    below = tuple(Route(f"r{number}", "", "", (Matcher("x", "=~", f"a{number}.{{0,90}}b"),)) for number in range(9))
    prepared = Routing(Configuration(Route("r", "{}", "{}", routes=below)))
    assert [prepared.routes_of({"x": f"a{number}{'y' * 60}b"})[0].receiver for number in (0, 8)] == ["r0", "r8"]


class Exhausted:
    """A set that has run out of memory: it answers as if nothing matched, not even what matches every value."""

    def Match(self, _value: bytes) -> None:  # noqa: N802 — the name that google-re2 gives it
        return None


def test_a_set_that_runs_out_of_memory_while_it_matches_loses_no_route(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_tests, "_as_set", lambda _texts: Exhausted())
    below = tuple(Route(f"r{number}", "", "", (Matcher("x", "=~", f"a{number}.*"),)) for number in range(3))
    prepared = Routing(Configuration(Route("r", "{}", "{}", routes=below)))
    assert [prepared.routes_of({"x": value})[0].receiver for value in ("a2b", "b")] == ["r2", "r"]


def test_a_group_has_those_of_its_labels_that_the_alert_has() -> None:
    labels = {"b": "2", "a": "1"}
    assert group_labels(Route("r", "{}", "{}", group_by=("a", "c")), labels) == {"a": "1"}
    assert list(group_labels(Route("r", "{}", "{}", groups_by_all=True), labels)) == ["a", "b"]
    assert group_labels(Route("r", "{}", "{}"), labels) == {}


def test_a_group_key_is_the_way_of_the_route_and_the_labels_quoted() -> None:
    route = Route("r", '{}/{severity=~"a|b",team!="x"}', "", groups_by_all=True)
    assert group_key(route, {"job": "é\n", "alertname": 'q"u'}) == (
        '{}/{severity=~"a|b",team!="x"}:{alertname="q\\"u", job="é\\n"}'
    )
    assert group_key(Route("r", "{}", "{}"), {}) == "{}:{}"
