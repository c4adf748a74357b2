"""Chance that is the same on every machine and in every Python: only `random()` of a seeded generator is used."""

import math
from collections.abc import Sequence
from datetime import timedelta
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Chance:
    """A stream of chance, named by words: other words give another stream, and the same words the same."""

    def __init__(self, *words: object) -> None:
        self._draw = Random(":".join(map(str, words))).random  # noqa: S311  # nothing is kept secret by it

    def happens(self, share: float) -> bool:
        """True in this share of the cases."""
        return self._draw() < share

    def between(self, least: float, most: float) -> float:
        """A number, each as likely."""
        return least + (most - least) * self._draw()

    def count(self, mean: float) -> int:
        """A whole number next to `mean`, which is the mean of many."""
        return int(mean + self._draw())

    def pick(self, things: Sequence[T]) -> T:
        """One of the things, each as likely."""
        return things[int(len(things) * self._draw())]

    def favour(self, things: Sequence[T]) -> T:
        """One of the things, the earlier the likelier: of ten, the first comes in a third of the cases."""
        return things[int(len(things) * self._draw() ** 2)]

    def weigh(self, weights: Sequence[float]) -> int:
        """A place in `weights`, as likely as its weight."""
        left = sum(weights) * self._draw()
        for place, weight in enumerate(weights):
            left -= weight
            if left < 0:
                return place
        return len(weights) - 1

    def seconds(self, least: float, most: float) -> timedelta:
        """A span of whole milliseconds."""
        return timedelta(milliseconds=int(1000 * self.between(least, most)))

    def minutes(self, median: float, *, spread: float) -> timedelta:
        """A span around `median` minutes: two of three lie within a factor of e to the power of `spread`."""
        normal = math.sqrt(-2 * math.log(1 - self._draw())) * math.cos(2 * math.pi * self._draw())
        return timedelta(seconds=int(60 * median * math.exp(spread * normal)))
