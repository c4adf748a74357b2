"""Needs: what the texts of a segment must have, so that one of its occurrences may match a filter.

A need never asks for more than a match has. Values of labels, where they are few, are matched here as the domain
matches them; else the literals of a regex are asked for.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from sqlalchemy import ColumnElement, and_, false, or_, true

from alert_history.domain.grams import needed_grams, places_of
from alert_history.domain.query import Matcher, literal_alternatives, required_literals
from alert_history.ports import HistoryFilter
from alert_history.storage.shared.elements import has_bit, position_of
from alert_history.storage.shared.label_values import values_of
from alert_history.storage.shared.segments import listed
from alert_history.storage.shared.session import Session
from alert_history.storage.shared.tables import search_segments

_MOST_GRAMS = 24
"""Of a longer text so many grams, evenly spread, are asked for."""

_MOST_VALUES = 8
"""Of more values that match, none is asked for: then many segments hold one."""


class Need(msgspec.Struct, frozen=True):
    """One of `texts`, each of which is a list of parts that all are there; or an occurrence without the label."""

    texts: tuple[tuple[str, ...], ...]
    lacked: str | None = None
    """The label that an occurrence may lack."""

    def condition(self) -> ColumnElement[bool]:
        """The condition on a row of `search_segments`."""
        ways: list[ColumnElement[bool]] = [_has_all(parts) for parts in self.texts]
        if self.lacked is not None:
            ways.append(position_of(listed([self.lacked]), search_segments.c.complete) == 0)
        return or_(false(), *ways)


def _has_all(parts: Iterable[str]) -> ColumnElement[bool]:
    grams = list(dict.fromkeys(gram for part in parts for gram in needed_grams(part)))
    some = grams if len(grams) <= _MOST_GRAMS else [grams[n * len(grams) // _MOST_GRAMS] for n in range(_MOST_GRAMS)]
    return and_(true(), *(has_bit(search_segments.c.grams, place) for gram in some for place in places_of(gram)))


async def needs_of(session: Session, wanted: HistoryFilter) -> list[Need]:
    """All of these a segment must meet. It must be read in one snapshot with the segments."""
    equal = [(name, getattr(wanted, name)) for name in ("alertname", "severity", "namespace")]
    matchers = [Matcher(name, "=", value) for name, value in equal if value is not None]
    matchers += wanted.query.matchers
    values = await values_of(session, {matcher.name for matcher in matchers if matcher.op != "="})
    needs = [_need_of(matcher, values) for matcher in matchers]
    return [Need(((word,),)) for word in wanted.query.words] + [need for need in needs if need is not None]


def _need_of(matcher: Matcher, values: Mapping[str, Sequence[str] | None]) -> Need | None:
    """None where nothing is needed."""
    lacked = matcher.name if matcher.matches({}) else None
    if matcher.op == "=":
        return Need(((matcher.value,),) if matcher.value else (), lacked)
    known = values[matcher.name]
    if known is None:
        return _need_of_many(matcher, lacked)
    matching = [value for value in known if matcher.matches({matcher.name: value})]
    if len(matching) <= _MOST_VALUES:
        return Need(tuple((value,) for value in matching), lacked)
    return _need_of_many(matcher, lacked)


def _need_of_many(matcher: Matcher, lacked: str | None) -> Need | None:
    """What is needed where the values that match are many, or unknown."""
    if matcher.op != "=~":
        return None
    listed_values = literal_alternatives(matcher.value)
    if listed_values is not None and len(listed_values) <= _MOST_VALUES:
        return Need(tuple((value,) for value in listed_values if value), lacked)
    literals = required_literals(matcher.value)
    return Need((literals,), lacked) if literals else None
