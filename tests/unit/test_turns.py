"""Turns: one at a time, the more urgent first, and nobody who gives up keeps others waiting."""

import asyncio

import pytest

from alert_history.engine.turns import Turns


class Queue:
    """People who take turns, in the order in which they got theirs."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.served: list[str] = []
        self.at_once = 0

    async def serve(self, name: str, priority: int) -> None:
        async with self.turns.turn(priority):
            self.at_once += 1
            assert self.at_once == 1
            self.served.append(name)
            await asyncio.sleep(0)
            self.at_once -= 1


async def test_higher_priority_goes_first_and_equals_in_the_order_they_came() -> None:
    queue = Queue()
    people = [("holder", 0), ("low", -1), ("first", 0), ("second", 0), ("high", 5)]
    await asyncio.gather(*(queue.serve(name, priority) for name, priority in people))
    assert queue.served == ["holder", "high", "first", "second", "low"]


async def test_who_gives_up_waiting_is_passed_over() -> None:
    queue = Queue()
    async with queue.turns.turn(0):
        leaves = asyncio.create_task(queue.serve("leaves", 9))
        stays = asyncio.create_task(queue.serve("stays", 0))
        await asyncio.sleep(0)
        leaves.cancel()
        await asyncio.wait([leaves])
    await stays
    assert queue.served == ["stays"]


async def test_who_is_cancelled_in_the_moment_of_its_turn_passes_it_on() -> None:
    queue = Queue()
    async with queue.turns.turn(0):
        leaves = asyncio.create_task(queue.serve("leaves", 9))
        stays = asyncio.create_task(queue.serve("stays", 0))
        await asyncio.sleep(0)
    leaves.cancel()
    await asyncio.wait([leaves, stays])
    assert queue.served == ["stays"]


async def test_a_failure_passes_the_turn_on() -> None:
    queue = Queue()
    with pytest.raises(ValueError, match="broken"):
        async with queue.turns.turn(0):
            raise ValueError("broken")
    await queue.serve("next", 0)
    assert queue.served == ["next"]
