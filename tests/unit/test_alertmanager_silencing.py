"""Which silences mute a label set at a moment, among few and among very many."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.alert import Silence
from alert_history.domain.alertmanager.behaviour import Behaviour, behaviour_of
from alert_history.domain.alertmanager.matcher_sets import MatcherSets
from alert_history.domain.alertmanager.silencing import Silencing
from alert_history.domain.query import Matcher
from alert_history.domain.silence_matching import SilenceMatching

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def silence(
    name: str,
    *matchers: tuple[str, str, str],
    starts_at: datetime = NOON,
    ends_at: datetime = NOON + HOUR,
    updated_at: datetime = NOON,
) -> Silence:
    sets = [[{"name": label, "op": op, "value": value} for label, op, value in matchers]]
    return Silence(name, sets, starts_at, ends_at, updated_at, "ada", "")


A = ("a", "=", "1")


@pytest.mark.parametrize(
    "after, is_muted", [(-MINUTE, False), (timedelta(), True), (HOUR, True), (HOUR + MINUTE, False)]
)
def test_a_silence_mutes_from_its_start_to_its_end(after: timedelta, *, is_muted: bool) -> None:
    assert bool(Silencing([silence("s", A)]).silenced_by({"a": "1"}, at=NOON + after)) is is_muted


def test_versions_of_a_silence_hold_one_after_the_other() -> None:
    wide = silence("s", A)
    narrow = silence("s", A, ("b", "=", "2"), updated_at=NOON + 10 * MINUTE)
    expired = silence("s", A, ("b", "=", "2"), ends_at=NOON + 20 * MINUTE, updated_at=NOON + 20 * MINUTE)
    silencing = Silencing([narrow, expired, wide])
    minutes = [0, 5, 15, 25]
    assert [bool(silencing.silenced_by({"a": "1"}, at=NOON + each * MINUTE)) for each in minutes] == [
        True,
        True,
        False,
        False,
    ]
    both = {"a": "1", "b": "2"}
    assert [bool(silencing.silenced_by(both, at=NOON + each * MINUTE)) for each in minutes] == [True, True, True, False]


def test_an_expired_silence_of_which_no_older_version_is_known_held_from_its_start() -> None:
    expired = silence("s", A, ends_at=NOON + 20 * MINUTE, updated_at=NOON + 20 * MINUTE)
    assert Silencing([expired]).silenced_by({"a": "1"}, at=NOON + MINUTE) == ("s",)


def test_silences_are_listed_as_their_version_of_alertmanager_does() -> None:
    silences = [silence("b", A), silence("a", A, updated_at=NOON + MINUTE), silence("c", A, updated_at=NOON - MINUTE)]
    orders = [
        Silencing(silences, behaviour=behaviour_of(version)).silenced_by({"a": "1"}, at=NOON)
        for version in ("0.25.0", "0.32.1", "0.33.0", "v0.34.0", "unknown")
    ]
    assert orders == [("a", "b", "c"), ("a", "b", "c"), ("c", "b", "a"), ("c", "b", "a"), ("c", "b", "a")]


def test_a_silence_with_several_sets_is_listed_once() -> None:
    either = silence("s", A)
    either.matchers.append([{"name": "b", "op": "=~", "value": "2|3"}])
    assert Silencing([either]).silenced_by({"a": "1", "b": "2"}, at=NOON) == ("s",)


def test_what_can_not_be_read_mutes_nothing() -> None:
    silences = [
        silence("regex", ("a", "=~", "(")),
        silence("operator", ("a", "~", "1")),
        silence("empty"),
        silence("s", A),
    ]
    assert Silencing(silences).silenced_by({"a": "1"}, at=NOON) == ("s",)


_MATCHERS = st.tuples(
    st.sampled_from("abc"),
    st.sampled_from(["=", "!=", "=~", "!~"]),
    st.sampled_from(["", "1", "2", "1|2", "1|", "[12]", ".*"]),
)
_LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["1", "2", "3"]))


@given(st.lists(st.lists(_MATCHERS, min_size=1, max_size=3), max_size=8), st.lists(_LABELS, max_size=4))
def test_looking_up_finds_what_trying_all_finds(
    sets: list[list[tuple[str, str, str]]], label_sets: list[dict[str, str]]
) -> None:
    silences = [silence(str(number), *each) for number, each in enumerate(sets)]
    silencing = Silencing(silences, behaviour=Behaviour(sorts_silences=True))
    for labels in label_sets:
        tried = sorted(each.id for each in silences if SilenceMatching(each).matches(labels))
        assert list(silencing.silenced_by(labels, at=NOON)) == tried


def test_items_come_in_the_order_given() -> None:
    sets = MatcherSets([([Matcher("a", "!=", "2")], "x"), ([Matcher("a", "=", "1")], "y"), ([], "z")])
    assert sets.matching({"a": "1"}) == ["x", "y", "z"]
