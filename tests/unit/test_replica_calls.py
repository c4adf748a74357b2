"""What a replica calls out: nobody waits for it, and a word that waits is sent once. Holds `engine.replica_calls`."""

import asyncio
from collections.abc import Callable

import pytest

from alert_history.engine.replica_calls import Calls
from alert_history.engine.switchboard import Word

pytestmark = pytest.mark.timeout(20)


class SlowSignals:
    """Fulfils `ports.Signals`. A word is on its way until `gate` is open."""

    def __init__(self) -> None:
        self.words: asyncio.Queue[str] = asyncio.Queue()
        self.gate = asyncio.Event()

    async def send(self, word: str) -> None:
        self.words.put_nowait(word)
        await self.gate.wait()

    async def follow(self, heard: Callable[[str], None]) -> None:
        raise AssertionError(heard)

    def state(self) -> str:
        return "ok"


async def test_a_word_that_waits_is_sent_once_and_one_that_is_under_way_again() -> None:
    signals = SlowSignals()
    calls = Calls(signals)
    running = asyncio.create_task(calls.run())
    calls.send("classified")
    assert await signals.words.get() == "classified"
    again: list[Word] = ["classified", "mode", "classified"]
    for word in again:
        calls.send(word)
    signals.gate.set()
    assert [await signals.words.get(), await signals.words.get()] == ["classified", "mode"]
    assert signals.words.empty()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
