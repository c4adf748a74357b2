"""Levels: how many alerts fire at a time, reckoned backwards from what fires now and what changed since.

Time is looked at in quarters of an hour, UTC, numbered since 1970; the local hours of all zones of today are whole
quarters. At the end of a quarter an alert fires that began before it and did not end before it. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import msgspec

from alert_history.domain.tally import QUARTER_US

_NOTHING = (0, 0)


class Level(msgspec.Struct, frozen=True, gc=False):
    """What fires now, and the `moves` of a tally, by the number of their quarter since 1970."""

    firing: int
    moves: Mapping[int, tuple[int, int]]


class Firing(msgspec.Struct, frozen=True, gc=False):
    """What fires in each bucket.

    `counts` are how many do at its end, `peaks` the most that do at a quarter of an hour in it, its begin included, and
    `lasted_us` for how long all of them together do, in microseconds.
    """

    counts: Sequence[int]
    peaks: Sequence[int]
    lasted_us: Sequence[int]


def level_of(spans: Iterable[tuple[int, int | None]]) -> Level:
    """The level of occurrences, each with its start and end in microseconds; None while it fires."""
    moves: dict[int, tuple[int, int]] = {}
    firing = 0
    for start_us, end_us in spans:
        _move(moves, start_us, 1)
        if end_us is None:
            firing += 1
        else:
            _move(moves, max(start_us, end_us), -1)
    return Level(firing, moves)


def together(levels: Iterable[Level]) -> Level:
    """The sum of levels."""
    moves: dict[int, tuple[int, int]] = {}
    firing = 0
    for level in levels:
        firing += level.firing
        _add(moves, level.moves, 1)
    return Level(firing, moves)


def without(level: Level, others: Iterable[Level]) -> Level:
    """The level less those that are part of it."""
    moves = dict(level.moves)
    firing = level.firing
    for other in others:
        firing -= other.firing
        _add(moves, other.moves, -1)
    return Level(firing, moves)


def firing_in(level: Level, edges_us: Sequence[int]) -> Firing:
    """What fires in the buckets between these edges, ascending; none where there are fewer than two.

    The first edge is where a quarter begins. A later one that is inside a quarter counts as the end of the quarter, as
    does the present; but what the last bucket has lasted ends at its edge.
    """
    quarters = [-(-edge_us // QUARTER_US) for edge_us in edges_us]
    if len(quarters) <= 1:
        return Firing([], [], [])
    at = level.firing - sum(more for quarter, (more, _) in level.moves.items() if quarter >= quarters[0])
    inside = sorted(quarter for quarter in level.moves if quarters[0] <= quarter < quarters[-1])
    counts, peaks, lasted_us = [], [], []
    place = 0
    for begin, end in pairwise(quarters):
        peak, lasting_us = at, at * (end - begin) * QUARTER_US
        while place < len(inside) and inside[place] < end:
            more, left_us = level.moves[inside[place]]
            lasting_us += more * (end - inside[place] - 1) * QUARTER_US + left_us
            at += more
            peak = max(peak, at)
            place += 1
        counts.append(at)
        peaks.append(peak)
        lasted_us.append(lasting_us)
    lasted_us[-1] -= at * (quarters[-1] * QUARTER_US - edges_us[-1])
    return Firing(counts, peaks, [max(each, 0) for each in lasted_us])


def _move(moves: dict[int, tuple[int, int]], at_us: int, more: int) -> None:
    quarter, into_us = divmod(at_us, QUARTER_US)
    was = moves.get(quarter, _NOTHING)
    moves[quarter] = (was[0] + more, was[1] + more * (QUARTER_US - into_us))


def _add(moves: dict[int, tuple[int, int]], others: Mapping[int, tuple[int, int]], sign: int) -> None:
    for quarter, (more, left_us) in others.items():
        was = moves.get(quarter, _NOTHING)
        moves[quarter] = (was[0] + sign * more, was[1] + sign * left_us)
