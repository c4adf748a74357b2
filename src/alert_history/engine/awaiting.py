"""Whether the targets are known by now: after the start, discovery takes a moment to find them."""

import asyncio
from datetime import timedelta

from alert_history.ports import Clock

_LONGEST_WAIT = timedelta(seconds=15)


class AwaitedTargets:
    """Targets that are waited for from now on, but not for long; `are_known` where nobody looks for any."""

    def __init__(self, *, are_known: bool, clock: Clock) -> None:
        self._are_known = are_known
        self._clock = clock
        self._made_at = clock()
        self._have_come = asyncio.Event()

    def have_come(self) -> None:
        """They are known from now on."""
        self._are_known = True
        self._have_come.set()

    def are_lacking(self) -> bool:
        """Whether it is worth waiting for them."""
        return not self._are_known and self._clock() - self._made_at < _LONGEST_WAIT

    async def come(self) -> None:
        """Wait until they have been found; for ever where nobody looks for any."""
        await self._have_come.wait()
