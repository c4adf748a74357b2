"""Which alerts inhibit which, by Alertmanager's rules, and whom each of its versions names."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.alert import fingerprint
from alert_history.domain.alertmanager.behaviour import NEWEST, Behaviour, behaviour_of
from alert_history.domain.alertmanager.configuration import InhibitRule
from alert_history.domain.alertmanager.inhibition import Inhibition, Inhibitor, Source
from alert_history.domain.query import Matcher

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
OLD = behaviour_of("0.29.0")


def rule(sources: str, targets: str, *equal: str, position: int = 0) -> InhibitRule:
    return InhibitRule(position, _matchers(sources), _matchers(targets), equal)


def _matchers(text: str) -> tuple[Matcher, ...]:
    """`a=1,b=2`."""
    return tuple(Matcher(name, "=", value) for name, _, value in (each.partition("=") for each in text.split(",")))


def firing(
    rules: list[InhibitRule],
    *sources: Mapping[str, str],
    behaviour: Behaviour = NEWEST,
    ends: Iterable[datetime] = (),
) -> Inhibition:
    inhibition = Inhibition(rules, behaviour=behaviour)
    for labels, ends_at in zip(sources, ends or [NOON + MINUTE] * len(sources), strict=True):
        inhibition.put(Source(fingerprint(dict(labels)), ends_at), inhibition.sides(labels))
    return inhibition


def inhibitor(inhibition: Inhibition, labels: dict[str, str]) -> Inhibitor | None:
    return inhibition.inhibitor(inhibition.sides(labels), at=NOON)


def inhibitors(inhibition: Inhibition, labels: dict[str, str]) -> list[tuple[str, int]]:
    return [(each.fingerprint, each.rule.position) for each in inhibition.inhibitors(inhibition.sides(labels), at=NOON)]


def print_of(labels: dict[str, str]) -> str:
    return fingerprint(labels)


CRITICAL, WARNING = {"s": "critical", "host": "a"}, {"s": "warning", "host": "a"}


@pytest.mark.parametrize(
    "source, target, is_muted",
    [
        (CRITICAL, WARNING, True),
        (CRITICAL, {**WARNING, "host": "b"}, False),
        ({"s": "critical"}, {"s": "warning"}, True),
        ({"s": "critical"}, WARNING, False),
        (CRITICAL, CRITICAL, False),
        (WARNING, WARNING, False),
    ],
)
def test_a_source_mutes_targets_with_the_same_equal_labels(
    source: dict[str, str], target: dict[str, str], *, is_muted: bool
) -> None:
    inhibition = firing([rule("s=critical", "s=warning", "host")], source)
    assert (inhibitor(inhibition, target) is not None) is is_muted


def test_an_alert_of_both_sides_is_muted_neither_by_itself_nor_by_its_twin() -> None:
    one, twin, plain = {"a": "1", "n": "1"}, {"a": "1", "n": "2"}, {"a": "1", "n": "3"}
    inhibition = firing([rule("a=1", "a=1")], one, twin, plain)
    assert [inhibitor(inhibition, each) for each in (one, twin, plain)] == [None] * 3


def test_a_source_of_one_side_mutes_an_alert_of_both() -> None:
    both, source = {"a": "1", "b": "1"}, {"a": "1"}
    inhibition = firing([rule("a=1", "b=1")], source)
    assert inhibitor(inhibition, both) == Inhibitor(print_of(source), rule("a=1", "b=1"))


def test_from_0_30_on_a_later_source_of_both_sides_hides_the_others() -> None:
    source, both, target = {"a": "1"}, {"a": "1", "b": "1", "n": "1"}, {"a": "1", "b": "1", "n": "2"}
    ends = [NOON + MINUTE, NOON + 2 * MINUTE]
    new, old = (firing([rule("a=1", "b=1")], source, both, ends=ends, behaviour=each) for each in (NEWEST, OLD))
    assert inhibitor(new, target) is None
    assert inhibitor(old, target) == Inhibitor(print_of(source), rule("a=1", "b=1"))


def test_a_source_that_has_ended_mutes_nothing() -> None:
    inhibition = firing([rule("s=critical", "s=warning")], CRITICAL, ends=[NOON])
    assert inhibitor(inhibition, WARNING) is None
    assert inhibitors(inhibition, WARNING) == []


def test_the_first_rule_names_its_source_that_ends_last() -> None:
    rules = [
        rule("s=critical", "s=info"),
        rule("s=critical", "s=warning", position=1),
        rule("x=1", "s=warning", position=2),
    ]
    sources = [{"s": "critical", "n": str(number)} for number in range(3)]
    inhibition = firing(rules, {"x": "1"}, *sources, ends=[NOON + each * MINUTE for each in (9, 1, 3, 2)])
    assert inhibitor(inhibition, WARNING) == Inhibitor(print_of(sources[1]), rules[1])


def test_all_inhibitors_are_named_by_rule_and_fingerprint() -> None:
    rules = [rule("s=critical", "s=warning"), rule("host=a", "s=warning", position=1)]
    other = {"s": "critical", "host": "b"}
    inhibition = firing(rules, CRITICAL, other)
    assert inhibitors(inhibition, WARNING) == [
        *((each, 0) for each in sorted([print_of(CRITICAL), print_of(other)])),
        (print_of(CRITICAL), 1),
    ]


def test_a_source_that_is_removed_or_ends_sooner_than_said_leaves_the_next_one() -> None:
    first, second = {"s": "critical", "n": "1"}, {"s": "critical", "n": "2"}
    inhibition = firing([rule("s=critical", "s=warning")], first, second, ends=[NOON + MINUTE, NOON + 2 * MINUTE])
    names = [inhibitor(inhibition, WARNING)]
    inhibition.put(Source(print_of(second), NOON), inhibition.sides(second))
    names.append(inhibitor(inhibition, WARNING))
    inhibition.remove(print_of(first), inhibition.sides(first))
    names.append(inhibitor(inhibition, WARNING))
    inhibition.remove(print_of(second), inhibition.sides(second))
    assert [each and each.fingerprint for each in names] == [print_of(second), print_of(first), None]
    assert inhibitor(inhibition, WARNING) is None


def test_where_all_posts_are_known_an_ended_source_hides_others_until_one_is_posted_again() -> None:
    first, second = {"s": "critical", "n": "1"}, {"s": "critical", "n": "2"}
    inhibition = Inhibition([rule("s=critical", "s=warning")], followed_since=NOON - 7 * MINUTE)
    names = []
    for labels, ends in ((first, 2), (second, 3), (second, 0), (first, 2)):
        inhibition.put(Source(print_of(labels), NOON + ends * MINUTE), inhibition.sides(labels))
        found = inhibitor(inhibition, WARNING)
        names.append(found and found.fingerprint)
    assert names == [print_of(first), print_of(second), None, print_of(first)]


def test_where_all_posts_are_known_the_choice_is_forgotten_with_any_ended_source() -> None:
    ended, lasting = {"s": "critical", "n": "1"}, {"s": "critical", "n": "2"}
    inhibition = Inhibition([rule("s=critical", "s=warning")], followed_since=NOON - 14 * MINUTE)
    for labels, ends in ((ended, -1), (lasting, 60)):
        inhibition.put(Source(print_of(labels), NOON + ends * MINUTE), inhibition.sides(labels))
    sides = inhibition.sides(WARNING)
    assert [inhibition.inhibitor(sides, at=NOON + each * MINUTE) is not None for each in (0, 1)] == [True, False]


_LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), min_size=1)
_TEXTS = st.sampled_from(["a=1", "a=2", "b=1", "c=1", "a=1,b=2"])
_RULES = st.lists(st.tuples(_TEXTS, _TEXTS, st.lists(st.sampled_from("abc"), unique=True, max_size=2)), max_size=4)


@given(_RULES, st.lists(_LABELS, max_size=6, unique_by=str), _LABELS)
def test_all_inhibitors_are_those_that_the_definition_gives(
    texts: list[tuple[str, str, list[str]]], alerts: list[dict[str, str]], target: dict[str, str]
) -> None:
    rules = [rule(*each[:2], *each[2], position=number) for number, each in enumerate(texts)]
    defined = {
        (print_of(source), each.position)
        for each in rules
        for source in alerts
        if _matches(each.targets, target) and _matches(each.sources, source)
        if all(source.get(name, "") == target.get(name, "") for name in each.equal)
        if not (_matches(each.sources, target) and _matches(each.targets, source))
    }
    inhibition = firing(rules, *alerts, behaviour=OLD)
    assert set(inhibitors(inhibition, target)) == defined
    assert (inhibitor(inhibition, target) is not None) is bool(defined)


def _matches(matchers: Iterable[Matcher], labels: dict[str, str]) -> bool:
    return all(each.matches(labels) for each in matchers)
