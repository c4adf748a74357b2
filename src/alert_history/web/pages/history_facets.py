"""Facets beside the history: the values that occur, with counts, as links that add or exclude one. Pure."""

from collections.abc import Sequence

import msgspec

from alert_history.domain.narrowing import dropped, only, without
from alert_history.domain.query import Matcher, Query
from alert_history.domain.tally import LONGEST_VALUE
from alert_history.engine.facets import Facet, FacetValue
from alert_history.web.pages.history_state import State

LABELS = ("severity", "alertname", "namespace", "source", "receiver")
TOP = 8
_COLUMNS = ("source", "receiver")


class Choice(msgspec.Struct, frozen=True):
    """A value of a label. `add` and `exclude` are the states behind its links; None where no query can say that.

    `is_chosen`: the query asks for this value alone, and `add` takes that back.
    """

    value: str
    begun: int
    share: float
    add: State | None
    exclude: State | None
    is_chosen: bool


class Excluded(msgspec.Struct, frozen=True):
    """A value that the query excludes; `back` is the state without that condition."""

    value: str
    back: State


class Group(msgspec.Struct, frozen=True):
    """One facet. `others` values are not shown; they have `others_begun` occurrences."""

    label: str
    choices: Sequence[Choice]
    excluded: Sequence[Excluded]
    others: int
    others_begun: int


def labels_of(state: State) -> list[str]:
    """The labels that have a facet: those of all, and the one of choice."""
    return list(dict.fromkeys([*LABELS, *([state.facet] if state.facet else [])]))


def group_of(facet: Facet, state: State, query: Query) -> Group:
    """A facet as links that change a state, whose query is given as it was read."""
    conditions = _conditions(facet.by, state, query)
    excluded = [Excluded(each.value, _back(each, state, query)) for each in conditions if each.op == "!="]
    choices = [_choice(facet.by, value, state, query=query) for value in facet.values if value.begun]
    return Group(facet.by, choices, excluded, facet.other.values, facet.other.begun)


def _conditions(label: str, state: State, query: Query) -> list[Matcher]:
    """What a state says of a label by one value each."""
    matchers = state.filter.came_by if label in _COLUMNS else query.matchers
    return [each for each in matchers if each.name == label and each.op in {"=", "!="}]


def _choice(label: str, value: FacetValue, state: State, *, query: Query) -> Choice:
    chosen = Matcher(label, "=", value.value)
    is_chosen = chosen in _conditions(label, state, query)
    return Choice(
        value=value.value,
        begun=value.begun,
        share=value.share,
        add=_back(chosen, state, query) if is_chosen else _added(chosen, state, query),
        exclude=None if is_chosen else _added(Matcher(label, "!=", value.value), state, query),
        is_chosen=is_chosen,
    )


def _added(condition: Matcher, state: State, query: Query) -> State | None:
    """The state with a condition more; None for a value that was cut, because nothing has it as it is here."""
    name, value = condition.name, condition.value
    if len(value) >= LONGEST_VALUE:
        return None
    if name in _COLUMNS:
        is_lost = condition.op == "!=" and not value  # an empty parameter of many counts as not given
        return None if is_lost else state.with_came_by(name, value, op=condition.op)
    text = only(query, name, value) if condition.op == "=" else without(query, name, value)
    return None if text is None else state.changed(query=text)


def _back(condition: Matcher, state: State, query: Query) -> State:
    """The state without a condition that it has."""
    if condition.name in _COLUMNS:
        return state.without_came_by(condition.name, condition.value, op=condition.op)
    text = dropped(query, condition.name, condition.value, op=condition.op)
    return state if text is None else state.changed(query=text)
