"""What DuckDB makes of a query is what the domain says it matches: every corner of the regexes, and every letter.

Holds: `storage.archived.conditions`.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alert_history.domain.query import Matcher, Query
from alert_history.ports import HistoryFilter
from alert_history.storage.archived.conditions import conditions_of
from tests.regexes import REGEXES, VALUES, regexes, values

_LETTERS = [chr(code) for code in range(1, sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0Σ"), max_size=12)
_MAPS = "map_from_entries(unnest(?::STRUCT(key VARCHAR, value VARCHAR)[][]))"


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def found(
    connection: duckdb.DuckDBPyConnection, query: Query, labels: Sequence[Mapping[str, str]], annotation: str = ""
) -> list[bool]:
    """Which of some label sets DuckDB finds."""
    condition = conditions_of(HistoryFilter(query))
    columns = f"{_MAPS} AS labels, unnest(?) AS place, NULL AS joined_into, MAP {{'a': ?}} AS annotations"
    rows = [[{"key": name, "value": value} for name, value in each.items()] for each in labels]
    sql = f"SELECT place FROM (SELECT {columns}) WHERE {condition.sql}"
    answer = connection.execute(sql, [rows, list(range(len(rows))), annotation, *condition.values]).fetchall()
    places = {row[0] for row in answer}
    return [place in places for place in range(len(rows))]


@pytest.mark.parametrize("regex", REGEXES)
def test_a_regex_matches_what_it_matches_in_prometheus(connection: duckdb.DuckDBPyConnection, regex: str) -> None:
    labels: list[dict[str, str]] = [{"x": value} for value in VALUES] + [{}]
    for matcher in (Matcher("x", "=~", regex), Matcher("x", "!~", regex)):
        assert found(connection, Query((matcher,), ()), labels) == [matcher.matches(each) for each in labels]


@given(regex=regexes, some=st.lists(values, min_size=1, max_size=10))
@example(r"\(?<x>|[(?<n>]+|\Q(?<\E|(?<n>a)[]](?<m>b)", ["(<x>", "n", "(?<", "a]b"])
@example(r"[[:alpha:](?<]+", ["a(?<", "b"])
def test_a_regex_of_any_form_matches_what_it_matches_in_prometheus(
    connection: duckdb.DuckDBPyConnection, regex: str, some: list[str]
) -> None:
    matcher, labels = Matcher("x", "=~", regex), [{"x": value} for value in some]
    assert found(connection, Query((matcher,), ()), labels) == [matcher.matches(each) for each in labels]


@given(word=_TEXT.filter(bool), label=_TEXT, annotation=_TEXT)
@example("is", "\u0130s", "")
@example("i\u0307s", "\u0130S", "")
@example("ab", "a", "b")
def test_a_word_is_found_where_the_domain_finds_it(
    connection: duckdb.DuckDBPyConnection, word: str, label: str, annotation: str
) -> None:
    query, labels = Query((), (word,)), {"one": label, "other": "b"}
    assert found(connection, query, [labels], annotation) == [query.matches(labels, {"a": annotation})]


def test_each_letter_has_the_small_one_that_python_knows(connection: duckdb.DuckDBPyConnection) -> None:
    """But for a final sigma, which Python alone tells from another, and `İ`, which the example above is about."""
    answer = connection.execute("SELECT lower(unnest(?))", [_LETTERS]).fetchall()
    others = {letter for letter, (small,) in zip(_LETTERS, answer, strict=True) if letter.lower() != small}
    assert others == {"\u0130"}
