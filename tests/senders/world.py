"""A world: conditions that hold from time to time, a clock, and whatever is due at a time."""

from collections.abc import Callable, Iterable, Mapping
from heapq import heappop, heappush
from itertools import count

import msgspec

FOREVER = float("inf")

Action = Callable[[], None]


class Firing(msgspec.Struct, frozen=True):
    """A condition that holds from `begin` until `end`: one firing as it truly is."""

    begin: float
    end: float


class World:
    """What is true of each member of a group, and what happens when."""

    def __init__(self, truth: Mapping[str, Iterable[Firing]]) -> None:
        self.now = 0.0
        self.truth = {member: sorted(firings, key=lambda firing: firing.begin) for member, firings in truth.items()}
        self._due: list[tuple[float, int, Action]] = []
        self._numbers = count()

    def number_of(self, member: str, at: float) -> int | None:
        """Which of its firings a member is in at that time, from 0; None if it does not fire."""
        for number, firing in enumerate(self.truth[member]):
            if firing.begin <= at < firing.end:
                return number
        return None

    def begin(self, member: str) -> None:
        """From now on its condition holds."""
        self.truth[member].append(Firing(self.now, FOREVER))

    def end(self, member: str) -> None:
        """Its condition holds no more."""
        last = self.truth[member].pop()
        self.truth[member].append(Firing(last.begin, self.now))

    def at(self, time: float, action: Action) -> None:
        """Do something at that time."""
        heappush(self._due, (time, next(self._numbers), action))

    def run(self, until: float) -> None:
        """Do all that is due until then."""
        while self._due and self._due[0][0] <= until:
            self.now, _, action = heappop(self._due)
            action()
        self.now = until
