"""Who writes to SQLite when: a thread alone, or orders side by side, in the order in which they ask.

Holds `alert_history.storage.sqlite.turns`.
"""

import asyncio

from alert_history.storage.sqlite.turns import Turns


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_orders_go_side_by_side() -> None:
    turns = Turns()
    async with asyncio.timeout(5):
        await turns.join()
        await turns.join()


async def test_who_writes_alone_waits_for_all_orders() -> None:
    turns, log = Turns(), []

    async def alone() -> None:
        async with turns.alone():
            log.append("alone")

    await turns.join()
    await turns.join()
    writing = asyncio.create_task(alone())
    turns.leave()
    await settle()
    assert log == []
    turns.leave()
    await writing
    assert log == ["alone"]


async def test_an_order_waits_for_whoever_asked_to_be_alone_before_it() -> None:
    turns, log = Turns(), []

    async def alone() -> None:
        async with turns.alone():
            log.append("alone")

    async def order() -> None:
        await turns.join()
        log.append("order")
        turns.leave()

    await turns.join()
    tasks = [asyncio.create_task(alone()), asyncio.create_task(order())]
    await settle()
    assert log == []
    turns.leave()
    await asyncio.gather(*tasks)
    assert log == ["alone", "order"]


async def test_a_turn_is_given_back_by_whoever_was_cancelled_in_it() -> None:
    turns = Turns()

    async def alone() -> None:
        async with turns.alone():
            await asyncio.sleep(60)

    writing = asyncio.create_task(alone())
    await settle()
    writing.cancel()
    async with asyncio.timeout(5):
        await turns.join()
