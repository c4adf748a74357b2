"""A span is covered by blocks and days, no day twice and none left out.

Holds: `domain.day_blocks`.
"""

from random import Random

import pytest

from alert_history.domain.day_blocks import Block, block_of, blocks_around, covering, settled_blocks


def days_of(first_day: int, last_day: int, sealed: set[Block]) -> list[int]:
    """All days that a covering reads, however often."""
    made = covering(first_day, last_day, sealed)
    of_blocks = [day for block in made.blocks for day in range(block.first_day, block.last_day + 1)]
    return sorted([*of_blocks, *made.before, *made.between, *made.after])


@pytest.mark.parametrize("seed", range(20))
def test_each_day_of_a_span_is_read_once(seed: int) -> None:
    random = Random(seed)
    blocks = [Block(length, first) for length in (7, 28) for first in range(-56, 140, length)]
    sealed = set(random.sample(blocks, random.randrange(len(blocks) + 1)))
    first_day = random.randrange(-60, 100)
    last_day = first_day + random.randrange(120)
    assert days_of(first_day, last_day, sealed) == list(range(first_day, last_day + 1))


def test_whole_blocks_within_a_span_are_read_instead_of_their_days() -> None:
    sealed = {Block(28, 28), Block(7, 28), Block(7, 56), Block(7, 63), Block(28, 84)}
    made = covering(27, 70, sealed)
    assert made.blocks == {Block(28, 28), Block(7, 56), Block(7, 63)}
    assert (made.before, made.between, made.after) == (range(27, 28), (), range(70, 71))


def test_days_between_blocks_are_read_one_by_one() -> None:
    made = covering(7, 27, {Block(7, 7), Block(7, 21)})
    assert (made.before, made.between, made.after) == (range(7, 7), tuple(range(14, 21)), range(28, 28))


def test_span_without_a_whole_block_is_read_by_days() -> None:
    assert covering(8, 13, {Block(7, 7)}) == (frozenset(), range(8, 14), (), range(0))


def test_blocks_settle_some_days_after_their_end_parts_first() -> None:
    assert settled_blocks([0, 29, 58]) == [Block(7, 0), Block(7, 28), Block(28, 0), Block(28, 28)]
    assert settled_blocks([29, 57]) == [Block(7, 28)]
    assert settled_blocks([]) == []


def test_days_before_1970_have_blocks() -> None:
    assert block_of(-1, 7) == Block(7, -7)


def test_day_is_in_the_sealed_blocks_alone() -> None:
    assert blocks_around([3, 8, 30], {Block(28, 0), Block(7, 0), Block(7, 7)}) == {
        3: [Block(28, 0), Block(7, 0)],
        8: [Block(28, 0), Block(7, 7)],
    }
