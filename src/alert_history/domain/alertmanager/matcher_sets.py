"""Many sets of matchers, asked which of them match a label set: those of silences, or of inhibit rules.

Most sets demand one certain value of some label. So a label set is looked up by its values, and only the few sets
that demand one of them are tried, besides those that demand none.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, TypeVar

from alert_history.domain.alertmanager.matchers import matching
from alert_history.domain.query import Matcher, literal_alternatives

_MAX_VALUES = 64
"""A regex that lists more values is not looked up by them."""

T = TypeVar("T")
Demand = tuple[str, tuple[str, ...]]
"""A label, and the values of which it must have one."""


class MatcherSets(Generic[T]):
    """Items, each with the matchers that must all match. Raises: InvalidQuery where a regex is wrong."""

    def __init__(self, sets: Iterable[tuple[Sequence[Matcher], T]]) -> None:
        pairs = list(sets)
        self._entries = [(matching(matchers), item) for matchers, item in pairs]
        demands = [_demands(matchers) for matchers, _ in pairs]
        counts = Counter((name, value) for each in demands for name, values in each for value in values)
        self._by_value: dict[str, dict[str, list[int]]] = {}
        self._others: list[int] = []
        for position, each in enumerate(demands):
            self._enter(
                position, min(each, key=lambda one: sum(counts[one[0], value] for value in one[1]), default=None)
            )

    def _enter(self, position: int, demand: Demand | None) -> None:
        if demand is None:
            self._others.append(position)
            return
        name, values = demand
        by_value = self._by_value.setdefault(name, {})
        for value in values:
            by_value.setdefault(value, []).append(position)

    def matching(self, labels: Mapping[str, str]) -> list[T]:
        """The items whose matchers match, in the order given."""
        positions = self._others.copy()
        for name, by_value in self._by_value.items():
            positions += by_value.get(labels.get(name, ""), ())
        positions.sort()
        entries = self._entries
        return [item for test, item in map(entries.__getitem__, positions) if test(labels)]


def _demands(matchers: Sequence[Matcher]) -> list[Demand]:
    return [(each.name, values) for each in matchers if (values := _values(each)) and "" not in values]


def _values(matcher: Matcher) -> tuple[str, ...]:
    """The values of which it demands one, if they are few; else none."""
    if matcher.op == "=":
        return (matcher.value,)
    values = literal_alternatives(matcher.value) if matcher.op == "=~" else None
    return values if values is not None and len(values) <= _MAX_VALUES else ()
