"""Between discovery and the publisher: targets are handed on once the libraries of their formats are loaded.

Some libraries take half a second to load, in which the event loop would answer nobody. So they are loaded in a thread,
each once.
"""

import asyncio
from collections.abc import Callable, Sequence

from alert_history.domain.target import TargetSpec
from alert_history.targets.registry import load_format


class Preparation:
    """Discovery hands it all targets, and it hands them to `listener`: at once, or when `run` has loaded formats.

    Only the newest targets are ever handed on.
    """

    def __init__(
        self, listener: Callable[[Sequence[TargetSpec]], None], *, load: Callable[[str], None] = load_format
    ) -> None:
        self._listener = listener
        self._load = load
        self._loaded: set[str] = set()
        self._newest: Sequence[TargetSpec] = ()
        self._is_lacking = asyncio.Event()

    def __call__(self, targets: Sequence[TargetSpec]) -> None:
        """See `ports.TargetsFound`."""
        self._newest = targets
        if self._lacking():
            self._is_lacking.set()
        else:
            self._listener(targets)

    async def run(self) -> None:
        """Load lacking formats, until cancelled."""
        while True:
            await self._is_lacking.wait()
            self._is_lacking.clear()
            while lacking := self._lacking():
                for name in sorted(lacking):
                    await asyncio.to_thread(self._load, name)
                self._loaded |= lacking
            self._listener(self._newest)

    def _lacking(self) -> set[str]:
        return {spec.format for spec in self._newest} - self._loaded
