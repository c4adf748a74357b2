"""Narrowing: a query that was clicked on means what was clicked, whatever the labels hold.

Holds: `domain.narrowing`.
"""

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from alert_history.domain.narrowing import dropped, only, text_of, without
from alert_history.domain.query import Matcher, Query, parse_query

HOSTILE = [
    '"',
    "\\",
    "'",
    "`",
    "{",
    "}",
    ",",
    "=",
    " ",
    "\n",
    "\t",
    "\r",
    "é",
    "\u2028",
    "\u200b",
    "or",
    "a",
    "<b>",
    "x",
]
TEXTS = st.lists(st.sampled_from(HOSTILE) | st.characters(exclude_categories=["Cs"], exclude_characters="\0")).map(
    "".join
)
NAMES = st.sampled_from(["severity", "pod", "k8s.pod", "größe", 'a"b', "a\\b", "a b", "{", "or"])
LABELS = st.dictionaries(NAMES, TEXTS, max_size=4)
MATCHERS = st.builds(Matcher, NAMES, st.sampled_from(["=", "!="]), TEXTS) | st.builds(
    Matcher, NAMES, st.sampled_from(["=~", "!~"]), st.sampled_from(["a.*", "", "critical|warning", "[^x]+"])
)
WORDS = TEXTS.filter(bool)
QUERIES = st.builds(Query, st.lists(MATCHERS, max_size=4).map(tuple), st.lists(WORDS, max_size=3).map(tuple))


@given(QUERIES)
@example(Query((), ("or",)))
@example(Query((), ("a=b",)))
@example(Query((), ("a", "=", '"', "!=", "c")))
@example(Query((Matcher("a", "=", "\\"),), ("\\",)))
def test_a_query_is_read_from_its_text_as_it_was(query: Query) -> None:
    assert parse_query(text_of(query)) == query


@given(QUERIES, NAMES, TEXTS, LABELS)
def test_only_means_the_query_and_the_value(query: Query, name: str, value: str, labels: dict[str, str]) -> None:
    text = only(query, name, value)
    assert text is not None
    for case in (labels, {**labels, name: value}):
        meant = query.matches(case, {}) and case.get(name, "") == value
        assert parse_query(text).matches(case, {}) == meant


@given(QUERIES, NAMES, TEXTS, LABELS)
def test_without_means_the_query_and_another_value(query: Query, name: str, value: str, labels: dict[str, str]) -> None:
    text = without(query, name, value)
    assert text is not None
    for case in (labels, {**labels, name: value}):
        meant = query.matches(case, {}) and case.get(name, "") != value
        assert parse_query(text).matches(case, {}) == meant


@given(QUERIES, NAMES, TEXTS)
def test_what_was_added_can_be_dropped(query: Query, name: str, value: str) -> None:
    assume(all(each.name != name for each in query.matchers))
    for add, op in ((only, "="), (without, "!=")):
        text = add(query, name, value)
        assert text is not None
        assert dropped(parse_query(text), name, value, op=op) == text_of(query)
    assert dropped(query, name, value) is None


def test_a_value_takes_the_place_of_conditions_that_it_meets() -> None:
    query = parse_query('severity=~"critical|warning" pod!="x" disk')
    assert only(query, "severity", "critical") == '{pod!="x",severity="critical"} "disk"'
    assert only(query, "severity", "info") == '{severity=~"critical|warning",pod!="x",severity="info"} "disk"'


@pytest.mark.parametrize("name", ["__name__", ""])
def test_a_name_that_queries_read_otherwise_is_not_offered(name: str) -> None:
    assert only(Query((), ()), name, "x") is None


def test_a_query_that_would_get_too_long_is_not_offered() -> None:
    assert only(Query((), ()), "a", "x" * 9000) is None
    query = Query(tuple(Matcher("a", "!=", str(number)) for number in range(64)), ())
    assert without(query, "a", "more") is None
