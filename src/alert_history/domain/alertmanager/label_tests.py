"""Tests of one label for many routes at once: which routes a value leaves possible, as bits.

Equal values are looked up; all regexes on the label are asked by one call of RE2. Must not know the tree of routes.
"""

from collections.abc import Iterable, Sequence

import re2

from alert_history.domain.alertmanager.matchers import anchored, compiled_regex, encoded, regex_options
from alert_history.domain.query import Matcher
from alert_history.domain.regex_literals import literal_alternatives

_LONGEST_REMEMBERED = 256
_SET_BYTES = 32 << 20

Placed = Iterable[tuple[int, Matcher]]
"""Matchers, each with the place of its route: the number of its bit."""


class LabelTest:
    """The matchers on one label. `known` has the answers for values seen, as far as they are remembered."""

    def __init__(self, matchers: Placed, *, everyone: int, room: int) -> None:
        """`everyone` are the bits of all routes; `room` is how many values to remember.

        Raises: InvalidQuery where a regex is wrong.
        """
        self.known: dict[str, int] = {}
        self._everyone = everyone
        self._room = room
        self._demands = _Demands()
        self._refused: dict[str, int] = {}
        regexes: dict[str, tuple[int, int]] = {}
        for place, matcher in matchers:
            self._add(1 << place, matcher, regexes)
        self._regexes = _Regexes(regexes) if regexes else None

    def _add(self, bit: int, matcher: Matcher, regexes: dict[str, tuple[int, int]]) -> None:
        values: Sequence[str] | None = (matcher.value,)
        if matcher.op in {"=~", "!~"}:
            compiled_regex(matcher.value)
            values = literal_alternatives(matcher.value)
        if values is None:
            needs, refuses = regexes.get(matcher.value, (0, 0))
            is_wanted = matcher.op == "=~"
            regexes[matcher.value] = (needs | bit, refuses) if is_wanted else (needs, refuses | bit)
        elif matcher.op in {"=", "=~"}:
            self._demands.add(bit, values)
        else:
            for value in values:
                self._refused[value] = self._refused.get(value, 0) | bit

    def learn(self, value: str) -> int:
        """The routes that the value leaves possible; remembered, unless the value is long."""
        impossible = self._demands.unmet(value) | self._refused.get(value, 0)
        if self._regexes is not None:
            impossible |= self._regexes.unmet(value)
        possible = self._everyone & ~impossible
        if len(value) <= _LONGEST_REMEMBERED:
            if len(self.known) >= self._room:
                self.known.clear()
            self.known[value] = possible
        return possible


class _Demands:
    """Routes that each demand one of some values. A route with two demands has them in two layers."""

    def __init__(self) -> None:
        self._layers: list[tuple[int, dict[str, int]]] = []

    def add(self, bit: int, values: Sequence[str]) -> None:
        """The route of this bit demands one of these values, too."""
        depth = next((depth for depth, (bits, _) in enumerate(self._layers) if not bits & bit), len(self._layers))
        if depth == len(self._layers):
            self._layers.append((0, {}))
        bits, table = self._layers[depth]
        for value in values:
            table[value] = table.get(value, 0) | bit
        self._layers[depth] = (bits | bit, table)

    def unmet(self, value: str) -> int:
        """The routes that demand something else."""
        impossible = 0
        for bits, table in self._layers:
            impossible |= bits & ~table.get(value, 0)
        return impossible


class _Regexes:
    """Regexes with the bits of the routes that need each, and of those that refuse what it matches."""

    def __init__(self, regexes: dict[str, tuple[int, int]]) -> None:
        self._needs = [needs for needs, _ in regexes.values()]
        self._refuses = [refuses for _, refuses in regexes.values()]
        self._texts = list(regexes)
        self._layers = _layers(self._needs)
        self._set = _as_set(self._texts)

    def unmet(self, value: str) -> int:
        """The routes whose regexes the value does not meet."""
        impossible = 0
        matched = self._matched(encoded(value))
        for bits, needs in self._layers:
            met = 0
            for place in matched:
                met |= needs[place]
            impossible |= bits & ~met
        for place in matched:
            impossible |= self._refuses[place]
        return impossible

    def _matched(self, value: bytes) -> Sequence[int]:
        """The places of the regexes that match. A set that runs out of memory says so by missing the last."""
        if self._set is not None:
            matched = self._set.Match(value)
            if matched and len(self._texts) in matched:
                return [place for place in matched if place < len(self._texts)]
        return [place for place, text in enumerate(self._texts) if compiled_regex(text).search(value) is not None]


def _layers(needs: Sequence[int]) -> list[tuple[int, list[int]]]:
    """The needs of each regex, in as many layers that no route needs two regexes in one."""
    layers: list[tuple[int, list[int]]] = []
    for place, bits in enumerate(needs):
        rest = bits
        depth = 0
        while rest:
            if depth == len(layers):
                layers.append((0, [0] * len(needs)))
            taken, table = layers[depth]
            table[place] = rest & ~taken
            layers[depth] = (taken | rest, table)
            rest &= taken
            depth += 1
    return layers


def _as_set(texts: Sequence[str]) -> re2.Set | None:
    """All of them, and one that matches every value, as the last. None where RE2 has no room for them together."""
    together = re2.Set.SearchSet(regex_options(_SET_BYTES))
    try:
        for text in texts:
            together.Add(anchored(text))
        together.Add(b"")
        together.Compile()
    except re2.error:
        return None
    return together
