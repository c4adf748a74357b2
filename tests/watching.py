"""A discovery at work: its watch runs beside the test, which waits for what it should find."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from alert_history.domain.target import TargetSpec
from alert_history.ports import Discovery, DiscoveryState

SOON_SECONDS = 30.0
"""How soon a change must take effect."""

_POLL_SECONDS = 0.01


@dataclass
class Watcher:
    """What a discovery has found, time after time."""

    discovery: Discovery
    finds: list[dict[str, TargetSpec]] = field(default_factory=list)

    def __call__(self, targets: Sequence[TargetSpec]) -> None:
        self.finds.append({spec.name: spec for spec in targets})

    @property
    def targets(self) -> dict[str, TargetSpec]:
        """The last of them."""
        return self.finds[-1] if self.finds else {}

    async def until(self, claim: Callable[[dict[str, TargetSpec]], bool], *, seconds: float = SOON_SECONDS) -> None:
        """Returns once the targets are so. Raises: AssertionError if they aren't in time."""
        await self._until(lambda: bool(self.finds) and claim(self.targets), seconds, lambda: f"{self.finds[-3:]}")

    async def until_state(self, claim: Callable[[DiscoveryState], bool], *, seconds: float = 10) -> None:
        """The same for the state. Faults may take longer than finds."""
        await self._until(lambda: claim(self.discovery.state()), seconds, lambda: f"{self.discovery.state()}")

    async def _until(self, claim: Callable[[], bool], seconds: float, last_state: Callable[[], str]) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not claim():  # a state says nothing when it changes
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise AssertionError(f"not within {seconds:g} s; last: {last_state()}") from None


@asynccontextmanager
async def watching(discovery: Discovery) -> AsyncIterator[Watcher]:
    """Watches until the block ends. Raises: whatever ended the watch before that."""
    watcher = Watcher(discovery)
    task = asyncio.create_task(discovery.watch(watcher))
    try:
        yield watcher
        assert not task.done() or task.result() is None, "the watch ended by itself"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
