"""The words that this replica sends to the others, so that they look at once and not a little later."""

import asyncio

from alert_history.engine.switchboard import Word
from alert_history.ports import Signals


class Calls:
    """Sends words one after the other, in the background. A word that waits already is sent once."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals
        self._waiting: dict[Word, None] = {}
        self._has_words = asyncio.Event()

    def send(self, word: Word) -> None:
        """Have `run` send a word."""
        self._waiting[word] = None
        self._has_words.set()

    async def run(self) -> None:
        """Send the words that wait, until cancelled."""
        while True:
            await self._has_words.wait()
            self._has_words.clear()
            words, self._waiting = self._waiting, {}
            for word in words:
                await self._signals.send(word)
