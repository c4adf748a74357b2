"""SQLite: who writes when. One thread of the service writes alone; orders to the process that writes go side by side.

Two that write at once would make SQLite poll for its lock, which costs a commit tens of milliseconds.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """Turns in the order in which they are asked for. Bound to one event loop."""

    def __init__(self) -> None:
        self._order = asyncio.Lock()
        self._shared = 0
        self._is_free = asyncio.Event()
        self._is_free.set()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Nobody else writes inside."""
        async with self._order:
            await self._is_free.wait()
            yield

    async def join(self) -> None:
        """Wait until others may write side by side with whoever has joined; give it back by `leave`."""
        async with self._order:
            self._shared += 1
            self._is_free.clear()

    def leave(self) -> None:
        """Give back what `join` gave."""
        self._shared -= 1
        if self._shared == 0:
            self._is_free.set()
