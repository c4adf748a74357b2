"""Blocks of days, whose numbers are added up once, so that a year is read as a few blocks and some days.

A block is so many whole days, UTC, and begins at a multiple of its length, counted from 1970. A long block is made of
whole shorter ones. Days are numbers of days since 1970. Pure.
"""

from collections.abc import Collection, Iterable
from itertools import pairwise
from typing import NamedTuple

LENGTHS = (28, 7)
"""How many days blocks have, the longest first; each is a multiple of the next."""

SETTLING_DAYS = 2
"""So many days after the last day of a block few of its numbers change."""


class Block(NamedTuple):
    """So many days, from `first_day` on."""

    days: int
    first_day: int

    @property
    def last_day(self) -> int:
        """Its last day."""
        return self.first_day + self.days - 1

    def holds(self, other: "Block") -> bool:
        """Whether all days of another block are its days."""
        return self.first_day <= other.first_day and other.last_day <= self.last_day


class Covering(NamedTuple):
    """What a span is made of: blocks, the days before and after them, and single days between. No day is there twice.

    Without blocks all days are in `before`.
    """

    blocks: frozenset[Block]
    before: range
    between: tuple[int, ...]
    after: range


def block_of(day: int, days: int) -> Block:
    """The block of that length that holds a day."""
    return Block(days, day - day % days)


def covering(first_day: int, last_day: int, sealed: Collection[Block]) -> Covering:
    """The days from one to another, both included, in the longest of the sealed blocks, and outside of them."""
    end_day = last_day + 1
    chosen: list[Block] = []
    for block in sorted(sealed, key=lambda each: -each.days):
        is_inside = first_day <= block.first_day and block.last_day <= last_day
        if is_inside and not any(longer.holds(block) for longer in chosen):
            chosen.append(block)
    if not chosen:
        return Covering(frozenset(), range(first_day, end_day), (), range(0))
    chosen.sort(key=lambda each: each.first_day)
    between = [day for last, following in pairwise(chosen) for day in range(last.last_day + 1, following.first_day)]
    before, after = range(first_day, chosen[0].first_day), range(chosen[-1].last_day + 1, end_day)
    return Covering(frozenset(chosen), before, tuple(between), after)


def settled_blocks(days: Collection[int]) -> list[Block]:
    """The blocks that hold days with numbers, as far as they are over: the shorter ones first, so parts come first."""
    if not days:
        return []
    last_day = max(days) - SETTLING_DAYS - 1
    blocks = sorted({block_of(day, length) for day in days for length in LENGTHS})
    return [block for block in blocks if block.last_day <= last_day]


def blocks_around(days: Iterable[int], sealed: Collection[Block]) -> dict[int, list[Block]]:
    """The sealed blocks that hold each of these days; days that none holds are left out."""
    around = {day: [block for length in LENGTHS if (block := block_of(day, length)) in sealed] for day in days}
    return {day: blocks for day, blocks in around.items() if blocks}
