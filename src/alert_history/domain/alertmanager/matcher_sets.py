"""Many sets of matchers, asked which of them match a label set: those of silences, or of inhibit rules.

Each set is a bit. For each label that matchers speak of, `label_tests` says which sets a value leaves possible; what
all labels leave possible are the sets that match.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, TypeVar

from alert_history.domain.alertmanager.label_tests import LabelTest
from alert_history.domain.query import Matcher

_ROOM = 1 << 14
"""How many values of each label are remembered."""

T = TypeVar("T")


class MatcherSets(Generic[T]):
    """Items, each with the matchers that must all match. It may be kept: what it remembers has a bound."""

    def __init__(self, sets: Iterable[tuple[Sequence[Matcher], T]]) -> None:
        """Raises: InvalidQuery where a regex is wrong."""
        self._items: list[T] = []
        by_label: dict[str, list[tuple[int, Matcher]]] = {}
        for place, (matchers, item) in enumerate(sets):
            self._items.append(item)
            for matcher in matchers:
                by_label.setdefault(matcher.name, []).append((place, matcher))
        self._everyone = (1 << len(self._items)) - 1
        self._tests = []
        for label, each in by_label.items():
            test = LabelTest(each, everyone=self._everyone, room=_ROOM)
            self._tests.append((label, test.known.get, test.learn))

    def matching(self, labels: Mapping[str, str]) -> list[T]:
        """The items whose matchers match, in the order given."""
        possible = self._everyone
        for label, known, learn in self._tests:
            value = labels.get(label, "")
            mask = known(value)
            possible &= learn(value) if mask is None else mask
        items: list[T] = []
        while possible:
            lowest = possible & -possible
            items.append(self._items[lowest.bit_length() - 1])
            possible ^= lowest
        return items
