"""Routing: which routes of a configuration an alert takes.

Each route is a bit. For each label that matchers speak of, `label_tests` says which routes a value leaves possible.
What all labels leave possible are the routes whose own matchers match, so the walk through the tree asks no matcher.
Must not know groups, silences or inhibition. Source of the rule: `Match` in Alertmanager's `dispatch/route.go`.
"""

from collections.abc import Iterator, Mapping, Sequence

from alert_history.domain.alertmanager.configuration import Configuration, Route, everywhere
from alert_history.domain.alertmanager.label_tests import LabelTest
from alert_history.domain.query import Matcher

_MEMORY_BYTES = 16 << 20
"""What may be remembered in all, about: of values seen, and of ways through the tree."""

_ENTRY_BYTES = 300
_FEWEST_ENTRIES = 64


class Routing:
    """The routes of one configuration, prepared. It may be kept: what it remembers has a bound."""

    def __init__(self, configuration: Configuration) -> None:
        """Raises: InvalidQuery where a regex of a matcher is wrong; what `read_configuration` gives has none such."""
        self._routes = tuple(everywhere(configuration.route))
        self._below = _masks_below(configuration.route)
        self._through = sum(1 << place for place, route in enumerate(self._routes) if route.does_continue)
        self._everyone = (1 << len(self._routes)) - 1
        matchers = _by_label(self._routes)
        self._room = max(
            _FEWEST_ENTRIES, _MEMORY_BYTES // (len(matchers) + 1) // (_ENTRY_BYTES + len(self._routes) // 7)
        )
        self._tests = []
        for label, each in matchers.items():
            test = LabelTest(each, everyone=self._everyone, room=self._room)
            self._tests.append((label, test.known.get, test.learn))
        self._ways: dict[int, tuple[Route, ...]] = {}

    def routes_of(self, labels: Mapping[str, str]) -> list[Route]:
        """The routes that an alert takes, in order; at least one, for the first route takes what no other does.

        At each level the first route that matches, and while `continue` is set, the next ones that match. A route is
        taken itself where none below it matches.
        """
        possible = self._everyone
        value_of = labels.get
        for label, known, learn in self._tests:
            value = value_of(label, "")
            mask = known(value)
            possible &= learn(value) if mask is None else mask
        way = self._ways.get(possible)
        return list(self._remembered(possible) if way is None else way)

    def _remembered(self, possible: int) -> tuple[Route, ...]:
        way = tuple(self._routes[place] for place in self._walk(0, possible))
        if len(self._ways) >= self._room:
            self._ways.clear()
        self._ways[possible] = way
        return way

    def _walk(self, place: int, possible: int) -> Iterator[int]:
        """The places of the routes that are taken, of a route that matches and those below it."""
        below = self._below[place] & possible
        if not below:
            yield place
        while below:
            first = below & -below
            yield from self._walk(first.bit_length() - 1, possible)
            below = below ^ first if first & self._through else 0


def _by_label(routes: Sequence[Route]) -> dict[str, list[tuple[int, Matcher]]]:
    """The matchers of each label, each with the place of its route."""
    matchers: dict[str, list[tuple[int, Matcher]]] = {}
    for place, route in enumerate(routes):
        for matcher in route.matchers:
            matchers.setdefault(matcher.name, []).append((place, matcher))
    return matchers


def _masks_below(root: Route) -> list[int]:
    """The routes right below each, as bits, by the place of the route among all."""
    masks: list[int] = []

    def add(route: Route) -> int:
        place = len(masks)
        masks.append(0)
        for each in route.routes:
            masks[place] |= 1 << add(each)
        return place

    add(root)
    return masks
