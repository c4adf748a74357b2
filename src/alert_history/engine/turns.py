"""Turns at a thing that has one user at a time: urgent users go first, and each gets its turn in the end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic

PATIENCE_SECONDS = 1.0


@dataclass(frozen=True, eq=False)
class _Waiting:
    priority: int
    since_seconds: float
    turn: asyncio.Future[None]


class Turns:
    """One holder at a time. Of those that wait, the highest priority is next; among equals, the first that came.

    A waiter that has waited for PATIENCE_SECONDS goes before all priorities, the longest wait first: so urgent work
    without end only delays the others. `clock` counts seconds, and never backwards.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._is_held = False
        self._waiting: list[_Waiting] = []  # in the order in which they came; few, because each target has one worker

    @asynccontextmanager
    async def turn(self, priority: int) -> AsyncIterator[None]:
        """Wait for a turn, and pass it on at the end."""
        await self._take(priority)
        try:
            yield
        finally:
            self._pass_on()

    async def _take(self, priority: int) -> None:
        if not self._is_held:
            self._is_held = True
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(priority, self._clock(), mine))
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():  # the turn came in the same moment
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        self._waiting = [
            waiting for waiting in self._waiting if not waiting.turn.done()
        ]  # without waiters that gave up
        if not self._waiting:
            self._is_held = False
            return
        chosen = self._next()
        self._waiting.remove(chosen)
        chosen.turn.set_result(None)

    def _next(self) -> _Waiting:
        longest = self._waiting[0]
        if self._clock() - longest.since_seconds >= PATIENCE_SECONDS:
            return longest
        return max(self._waiting, key=lambda waiting: waiting.priority)
