"""Begins of alerts, and a board of them on which it is quick to count which rules begin near each other.

The windows around the begins of one rule are joined where they overlap, so what lies in them is counted once however
dense the begins are.
"""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from itertools import chain, groupby

import msgspec

from alert_history.domain.microseconds import to_us

_SECOND_US = 1_000_000


class Begin(msgspec.Struct, frozen=True, gc=False):
    """One occurrence began: of which rule, and when, aware UTC.

    `labels` are those by which alerts may belong together: all of them, or a few. `fingerprint` tells the alerts of one
    rule apart, where that matters.
    """

    rule: str
    at: datetime
    labels: Mapping[str, str] = {}
    fingerprint: str = ""


class Counted(msgspec.Struct, frozen=True, gc=False):
    """A number of begins, and of moments: begins of one rule near the first of them are one moment."""

    begins: int
    moments: int


class _Window(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Places around a begin: from `first` until before `last` all is near, from `own` until `own_end` it is as old."""

    first: int
    own: int
    own_end: int
    last: int


class Board:
    """Begins by the values of some labels, then by time; and what is near each of them.

    `begins` come in the order of time. Begins are near if they are at most `within` apart, and equal in each label of
    `same`. Only the `most_rules` rules that began most often are on the board; None: all.
    """

    def __init__(
        self, begins: Sequence[Begin], within: timedelta, same: Sequence[str] = (), *, most_rules: int | None = None
    ) -> None:
        self._same = tuple(same)
        counts = Counter(begin.rule for begin in begins)
        busiest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most_rules]
        self._counts = dict(busiest)
        chosen = [begin for begin in begins if begin.rule in self._counts]
        self._begins = sorted(chosen, key=self._values) if same else chosen  # stable: the order of time stays
        self._times = [to_us(begin.at) for begin in self._begins]
        self._windows = self._measure(round(within.total_seconds() * _SECOND_US))
        self._places = self._place()
        self._near: dict[str, Counter[int]] = {}
        self._soon_after: dict[str, Counter[int]] = {}

    @property
    def rules(self) -> Collection[str]:
        """The rules on the board, the busiest first."""
        return self._counts

    def count(self, rule: str) -> Counted:
        """The begins of a rule, and its moments."""
        return self._sum(rule, self._totals)

    def near(self, rule: str, other: str) -> Counted:
        """Of the begins of a rule those that have a begin of the other near, before or after; and so of its moments."""
        if other not in self._near:
            windows = [self._windows[place] for place in self._places[other]]
            self._near[other] = self._count((window.first, window.last) for window in windows)
        return self._sum(rule, self._near[other])

    def soon_after(self, rule: str, by: str) -> Counted:
        """Of the begins of a rule those that have a begin of `by` near, and not later; and so of its moments."""
        if by not in self._soon_after:
            windows = [self._windows[place] for place in self._places[by]]
            self._soon_after[by] = self._count((window.own, window.last) for window in windows)
        return self._sum(rule, self._soon_after[by])

    def expected(self, rule: str, other: str, part: float) -> float:
        """How many begins of a rule chance would give a begin of the other in a window that is that part of the span.

        The other begins as often as it does, but at any time (Poisson). Values that `same` keeps apart have rates of
        their own.
        """
        rates, begins = self._counts_by_values[other], 0.0
        for values, count in self._counts_by_values[rule].items():
            if rate := rates.get(values):
                begins -= count * math.expm1(-rate * part)
        return begins

    def lags(self, rule: str, other: str) -> list[float]:
        """For each begin of a rule with one of the other near: how many seconds later that is; below 0: earlier.

        Of several that are near the nearest is meant, and of two as near the later.
        """
        lags = (self._lag(place, self._places[other]) for place in self._places[rule])
        return [lag / _SECOND_US for lag in lags if lag is not None]

    def causes(self, rule: str, by: str, *, most: int, most_each: int) -> list[tuple[Begin, list[Begin]]]:
        """The last `most` begins of a rule, each with the begins of `by` that are near and not later, latest first."""
        others = self._places[by]
        cases = []
        for place in self._places[rule][-most:]:
            window = self._windows[place]
            near = others[bisect_left(others, window.first) : bisect_left(others, window.own_end)]
            cases.append((self._begins[place], [self._begins[other] for other in reversed(near[-most_each:])]))
        return cases

    def _values(self, begin: Begin) -> tuple[str, ...]:
        return tuple(begin.labels.get(name, "") for name in self._same)

    def _place(self) -> dict[str, list[int]]:
        places: dict[str, list[int]] = {rule: [] for rule in self._counts}
        for place, begin in enumerate(self._begins):
            places[begin.rule].append(place)
        return places

    def _measure(self, within_us: int) -> list[_Window]:
        windows: list[_Window] = []
        for _, group in groupby(self._begins, key=self._values):
            start = len(windows)
            windows.extend(_windows(self._times, start, start + sum(1 for _ in group), within_us))
        return windows

    @cached_property
    def _counts_by_values(self) -> dict[str, Counter[tuple[str, ...]]]:
        if not self._same:
            return {rule: Counter({(): count}) for rule, count in self._counts.items()}
        return {rule: Counter(self._values(self._begins[place]) for place in own) for rule, own in self._places.items()}

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """Each rule has an even number; the odd one above it is for those of its begins that are first in a moment."""
        return {rule: 2 * place for place, rule in enumerate(self._counts)}

    @cached_property
    def _tags(self) -> list[int]:
        """The number of each begin."""
        tags = [self._numbers[begin.rule] for begin in self._begins]
        for own in self._places.values():
            for place in self._firsts(own):
                tags[place] += 1
        return tags

    @cached_property
    def _totals(self) -> Counter[int]:
        return Counter(self._tags)

    def _sum(self, rule: str, tags: Counter[int]) -> Counted:
        number = self._numbers[rule]
        firsts = tags.get(number + 1, 0)
        return Counted(tags.get(number, 0) + firsts, firsts)

    def _firsts(self, places: Iterable[int]) -> Iterator[int]:
        moment = -1
        for place in places:
            if moment < self._windows[place].first:
                moment = place
                yield place

    def _count(self, ranges: Iterable[tuple[int, int]]) -> Counter[int]:
        """What lies in these ranges, each begin once; the ranges come in the order of their starts and ends."""
        return Counter(chain.from_iterable(self._tags[start:end] for start, end in _joined(ranges)))

    def _lag(self, place: int, others: Sequence[int]) -> int | None:
        window, at = self._windows[place], bisect_left(others, place)
        near = [other for other in others[max(at - 1, 0) : at + 1] if window.first <= other < window.last]
        lags = [self._times[other] - self._times[place] for other in near]
        return min(lags, key=lambda lag: (abs(lag), -lag), default=None)


def _joined(ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The same places in ranges that don't overlap."""
    start = end = 0
    for first, last in ranges:
        if first > end:
            yield start, end
            start = first
        end = last
    yield start, end


def _windows(times: Sequence[int], start: int, end: int, within_us: int) -> Iterator[_Window]:
    """The windows of the begins from `start` until before `end`, which are sorted by time."""
    first = own = own_end = last = start
    for place in range(start, end):
        time = times[place]
        while times[first] < time - within_us:
            first += 1
        while times[own] < time:
            own += 1
        while own_end < end and times[own_end] <= time:
            own_end += 1
        while last < end and times[last] <= time + within_us:
            last += 1
        yield _Window(first, own, own_end, last)
