"""What a silence matches, and the queries that people can follow from it."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from alert_history.domain.alert import Silence
from alert_history.domain.query import parse_query
from alert_history.domain.silence_matching import SilenceMatching, queries_of, state_of

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def silence(*sets: list[tuple[str, str, str]]) -> Silence:
    matchers = [[{"name": name, "op": op, "value": value} for name, op, value in each] for each in sets]
    return Silence("s-1", matchers, NOW, NOW + HOUR, NOW, "ada", "")


@pytest.mark.parametrize(
    "after, state",
    [(-HOUR, "pending"), (timedelta(), "active"), (HOUR / 2, "active"), (HOUR, "expired"), (9 * HOUR, "expired")],
)
def test_a_silence_is_in_force_from_its_begin_until_before_its_end(after: timedelta, state: str) -> None:
    assert state_of(silence(), NOW + after) == state


@pytest.mark.parametrize(
    "matchers, labels, expected",
    [
        ([("alertname", "=", "DiskFull")], {"alertname": "DiskFull"}, True),
        ([("alertname", "=", "DiskFull")], {"alertname": "DiskFullSoon"}, False),
        ([("alertname", "=~", "Disk.*"), ("pod", "=", "")], {"alertname": "DiskFull"}, True),
        ([("alertname", "=~", "Disk")], {"alertname": "DiskFull"}, False),
        ([("pod", "!=", "a")], {}, True),
        ([("pod", "!~", "a|b")], {"pod": "b"}, False),
        ([("alertname", "=~", "(")], {"alertname": "("}, False),
        ([("alertname", "~", "x")], {"alertname": "x"}, False),
        ([], {"alertname": "x"}, False),
    ],
)
def test_all_matchers_of_a_set_must_match(
    matchers: list[tuple[str, str, str]], labels: dict[str, str], *, expected: bool
) -> None:
    assert SilenceMatching(silence(matchers)).matches(labels) is expected


def test_any_set_of_matchers_suffices() -> None:
    either = SilenceMatching(silence([("a", "=", "1")], [("b", "=", "2")]))
    assert [either.matches(labels) for labels in ({"a": "1"}, {"b": "2"}, {"a": "2", "b": "1"})] == [True, True, False]


@pytest.mark.parametrize("value", ["plain", 'a "quoted" \\ one', "two\nlines", "{}", "ü, é", "'", "`", ""])
@pytest.mark.parametrize("name", ["alertname", "with.dot", "with space", "ünï"])
def test_a_set_of_matchers_is_a_query_that_means_the_same(name: str, value: str) -> None:
    [(text, is_query)] = queries_of(silence([(name, "!=", value), ("b", "=~", "x|y")]))
    assert is_query
    read = [(each.name, each.op, each.value) for each in parse_query(text).matchers]
    assert read == [(name, "!=", value), ("b", "=~", "x|y")]


@pytest.mark.parametrize("matcher", [("", "=", "x"), ("a", "=~", "("), ("a\0", "=", "x"), ("a", "??", "x")])
def test_what_is_no_query_is_shown_and_not_offered(matcher: tuple[str, str, str]) -> None:
    [(text, is_query)] = queries_of(silence([matcher]))
    assert (text.startswith("{"), is_query) == (True, False)


def test_matchers_that_lack_a_field_are_shown_all_the_same() -> None:
    odd = msgspec.structs.replace(silence(), matchers=[[{"name": "a"}]])
    assert queries_of(odd) == [('{a="?"}', False)]
