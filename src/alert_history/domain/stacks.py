"""Stacks: counts by value and bucket, so cut that the parts add up to the whole.

Holds which values are shown, how the minutes of tallies fall into buckets, and how the counts of a sample are scaled
up. Pure.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise

import msgspec

from alert_history.domain.tally import DAY_US, MINUTE_US, Tally

_MINUTES_A_DAY = DAY_US // MINUTE_US


class Stack(msgspec.Struct, frozen=True):
    """The counts in each bucket of the values shown, in their order, and of all others together."""

    values: Mapping[str, Sequence[int]]
    others: Sequence[int]

    @property
    def totals(self) -> list[int]:
        """The counts of all values in each bucket."""
        return [sum(counts) for counts in zip(self.others, *self.values.values(), strict=True)]


def ranked(totals: Mapping[str, int], top: int) -> list[str]:
    """The values with most, most first, then by name; none that has nothing."""
    values = [value for value, total in totals.items() if total > 0]
    return sorted(values, key=lambda value: (-totals[value], value))[:top]


def scaled(counts: Iterable[int], share: float | None) -> list[int]:
    """Counts of a sample, for the whole of which the sample is that share; None: they are of the whole.

    Whole numbers, whose sum is the scaled sum, rounded once; so counts that are scaled together add up.
    """
    if share is None:
        return list(counts)
    sums = accumulate(counts, initial=0)
    return [after - before for before, after in pairwise(round(each / share) for each in sums)]


def scaled_cells(cells: Mapping[str, Sequence[int]], share: float | None) -> dict[str, list[int]]:
    """The same of the counts of values in buckets; rows and columns add up to one total."""
    numbers = iter(scaled((count for counts in cells.values() for count in counts), share))
    return {value: [next(numbers) for _ in counts] for value, counts in cells.items()}


def cells_of(tallies: Mapping[tuple[int, str], Tally], begins_us: Sequence[int]) -> dict[str, list[int]]:
    """How many began in each bucket, by value: from the `minutes` of tallies by (day, value).

    `begins_us` are where buckets begin, ascending, at least one. A minute is in the bucket in which it begins; one that
    begins before the first is in the first. The days of `days_cut` need their minutes, for others `begun` will do.
    """
    cells: dict[str, list[int]] = {}
    places: dict[int, list[int] | int] = {}
    for (day, value), tally in tallies.items():
        place = places.get(day)
        if place is None:
            place = places[day] = _places(day, begins_us)
        counts = cells.get(value)
        if counts is None:
            counts = cells[value] = [0] * len(begins_us)
        if isinstance(place, int):
            counts[place] += sum(tally.minutes.values()) or tally.begun
        else:
            for minute, number in tally.minutes.items():
                counts[place[minute]] += number
    return cells


def days_cut(begins_us: Iterable[int]) -> set[int]:
    """The days inside which buckets begin: what began on them falls into several."""
    return {begin_us // DAY_US for begin_us in begins_us if begin_us % DAY_US}


def stacked(cells: Mapping[str, Sequence[int]], values: Sequence[str], *, buckets: int) -> Stack:
    """The counts of these values, and of all others together."""
    shown = frozenset(values)
    others = [counts for value, counts in cells.items() if value not in shown]
    nothing = [0] * buckets
    return Stack({value: cells.get(value, nothing) for value in values}, summed(others, buckets=buckets))


def summed(rows: Iterable[Sequence[int]], *, buckets: int) -> list[int]:
    """The sums of rows of counts, bucket by bucket."""
    return [sum(counts) for counts in zip([0] * buckets, *rows, strict=True)]


def _places(day: int, begins_us: Sequence[int]) -> list[int] | int:
    """The bucket of each minute of a day; one number where it is the same all day."""
    midnight_us = day * DAY_US
    first = max(bisect_right(begins_us, midnight_us) - 1, 0)
    places = [first] * _MINUTES_A_DAY
    for place in range(first + 1, len(begins_us)):
        minute = -((midnight_us - begins_us[place]) // MINUTE_US)
        if minute >= _MINUTES_A_DAY:
            break
        places[minute:] = [place] * (_MINUTES_A_DAY - minute)
    return first if places[-1] == first else places
