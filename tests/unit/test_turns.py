"""Turns: one at a time, the more urgent first, and nobody who gives up keeps others waiting."""

import asyncio

import pytest

from alert_history.engine.turns import PATIENCE_SECONDS, Turns


class Queue:
    """People who take turns, in the order in which they got theirs."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.turns = Turns(lambda: self.seconds)
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


async def test_urgent_work_without_end_stops_nobody() -> None:
    """Two that are served a hundred times, a turn taking an eighth of the patience, and one that is not urgent."""
    queue = Queue()

    async def work(name: str) -> None:
        for _ in range(100):
            async with queue.turns.turn(9):
                queue.served.append(name)
                queue.seconds += PATIENCE_SECONDS / 8
                await asyncio.sleep(0)

    await asyncio.gather(work("a"), work("b"), queue.serve("low", 0))
    assert queue.served.index("low") == 1 + 8  # it came in the first turn, and waited for eight


async def test_those_whose_patience_is_at_an_end_go_first_by_how_long_they_waited() -> None:
    queue = Queue()
    async with queue.turns.turn(0):
        tasks = [asyncio.create_task(queue.serve(name, priority)) for name, priority in [("low", -1), ("high", 1)]]
        await asyncio.sleep(0)
        queue.seconds += PATIENCE_SECONDS
        tasks.append(asyncio.create_task(queue.serve("late and urgent", 9)))
        await asyncio.sleep(0)
    await asyncio.wait(tasks)
    assert queue.served == ["low", "high", "late and urgent"]


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
