"""Whether the targets are known by now: discovery needs a moment after the start."""

import asyncio
from datetime import timedelta

from alert_history.ports import Clock

_LONGEST_WAIT = timedelta(seconds=15)


class AwaitedTargets:
    """Waits for the targets for a short time from now on. Give `are_known` where there is no discovery."""

    def __init__(self, *, are_known: bool, clock: Clock) -> None:
        self._are_known = are_known
        self._clock = clock
        self._made_at = clock()
        self._have_come = asyncio.Event()

    def have_come(self) -> None:
        """Take the targets as known from now on."""
        self._are_known = True
        self._have_come.set()

    def are_lacking(self) -> bool:
        """Whether the targets are unknown and worth waiting for."""
        return not self._are_known and self._clock() - self._made_at < _LONGEST_WAIT

    async def come(self) -> None:
        """Wait until the targets are known; for ever where there is no discovery."""
        await self._have_come.wait()
