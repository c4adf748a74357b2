"""The state of the history page: its URL says all of it, and a click on a facet means what it says.

Holds: `web.pages.history_state`, `web.pages.history_facets`, `web.pages.history_columns`.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.covers import Covers
from alert_history.domain.narrowing import text_of
from alert_history.domain.query import Matcher, parse_query
from alert_history.engine.facets import Facet, FacetValue, OtherFacetValues
from alert_history.errors import InvalidQuery
from alert_history.web.pages.history_columns import DEFAULT, KNOWN, cols_of, columns_of
from alert_history.web.pages.history_facets import group_of, labels_of
from alert_history.web.pages.history_state import State, parse_state
from tests.conformance.samples import NOW
from tests.unit.test_narrowing import LABELS, NAMES, QUERIES, TEXTS

STATES = st.builds(
    State,
    query=QUERIES.map(text_of),
    since=st.sampled_from(["", "-1h", "2026-01-31T12:00:00Z"]),
    status=st.sampled_from(["", "firing"]),
    receiver=st.none() | TEXTS,
    source=st.none() | st.just(""),
    not_receiver=st.lists(TEXTS.filter(bool), max_size=2, unique=True).map(tuple),
    cols=st.lists(TEXTS.filter(str.strip), max_size=3).map(lambda names: (cols_of(columns_of_names(names)),)),
    group=st.sampled_from(["", "rule"]),
    open=st.none() | TEXTS,
    lane=TEXTS.filter(bool),
)


def columns_of_names(names: list[str]) -> list[Any]:
    return [KNOWN[DEFAULT[0]]._replace(name=name, is_label=True) for name in names]


def facet(label: str, *values: str, others: int = 0) -> Facet:
    covers = Covers(since=NOW, until=NOW, fresh_as_of=NOW)
    rows = [FacetValue(value, 3, 0.5) for value in values]
    return Facet(label, 3 * len(rows) + others, rows, OtherFacetValues(others, others, 0.0), covers)


@given(STATES)
def test_a_url_says_the_whole_state(state: State) -> None:
    read = parse_state(state.href.removeprefix("?"))
    assert read.columns == state.columns
    assert read.filter == state.filter
    assert read.pairs() == state.pairs()


def test_what_changes_a_view_leads_to_its_first_page() -> None:
    state = State(query="x", cursor="a", newer="b", open="", part="rows")
    assert state.changed(sort="alertname").href == "?query=x&sort=alertname"


def test_the_condition_on_one_label_set_can_be_taken_back() -> None:
    state = parse_state("fingerprint=0123456789abcdef")
    assert state.filter.fingerprint == "0123456789abcdef"
    assert [back for _, back in state.conditions] == [State()]


def test_a_saved_view_holds_neither_the_page_nor_the_zone_of_its_reader() -> None:
    assert State(query="x", cursor="y", tz="Asia/Tokyo", part="rows").kept == "query=x"


@pytest.mark.parametrize("text", ["view=cards", "status=dead", "query=a&query=b", f"query={'x' * 9000}"])
def test_a_state_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidQuery):
        parse_state(text)


@given(QUERIES, NAMES, TEXTS, LABELS)
def test_the_links_of_a_facet_mean_what_was_clicked(query: Any, name: str, value: str, labels: dict[str, str]) -> None:
    state = State(query=text_of(query), since="-1h", cursor="x")
    (choice,) = group_of(facet(name, value), state, query).choices
    for case in (labels, {**labels, name: value}):
        has = case.get(name, "") == value
        if choice.add is not None and not choice.is_chosen:
            assert parse_query(choice.add.query).matches(case, {}) == (query.matches(case, {}) and has)
        if choice.exclude is not None:
            assert parse_query(choice.exclude.query).matches(case, {}) == (query.matches(case, {}) and not has)
    assert choice.add is None or (choice.add.since, choice.add.cursor) == ("-1h", "")


@given(st.sampled_from(["receiver", "source"]), TEXTS.filter(bool))
def test_receiver_and_source_are_added_excluded_and_taken_back(name: str, value: str) -> None:
    query = parse_query("")
    (choice,) = group_of(facet(name, value), State(), query).choices
    assert choice.add is not None
    assert choice.add.filter.came_by == (Matcher(name, "=", value),)
    assert choice.exclude is not None
    assert choice.exclude.filter.came_by == (Matcher(name, "!=", value),)
    (chosen,) = group_of(facet(name, value), choice.add, query).choices
    assert chosen.is_chosen
    assert chosen.add == State()
    assert chosen.exclude is None
    (excluded,) = group_of(facet(name), choice.exclude, query).excluded
    assert excluded.value == value
    assert excluded.back == State()
    assert [back for _, back in choice.add.conditions] == [State()]


def test_a_value_that_was_cut_leads_nowhere() -> None:
    (choice,) = group_of(facet("alertname", "x" * 400), State(), parse_query("")).choices
    assert (choice.add, choice.exclude) == (None, None)


def test_the_label_of_choice_has_a_facet_once() -> None:
    assert labels_of(State(facet="pod"))[-1] == "pod"
    assert labels_of(State(facet="severity")) == labels_of(State())


def test_columns_are_those_that_are_named_else_the_usual_ones() -> None:
    assert [column.name for column in columns_of("")] == list(DEFAULT)
    assert cols_of(columns_of("")) == ""
    columns = columns_of("began, pod,label:state,a%2Cb,pod")
    assert [(column.name.strip(), column.is_label) for column in columns] == [
        ("began", False),
        ("pod", True),
        ("label:state", True),
        ("a,b", True),
    ]
    assert [column.title for column in columns][2:] == ["state", "a,b"]
    assert columns_of(cols_of(columns)) == columns
    assert len(columns_of(",".join(map(str, range(99))))) == 20
