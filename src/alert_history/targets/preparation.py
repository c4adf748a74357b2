"""Between discovery and the publisher: targets are handed on once what their formats need is loaded.

Some libraries take half a second to load, in which a service that did nothing else would answer nobody. So they are
loaded in a thread, each once.
"""

import asyncio
from collections.abc import Callable, Sequence

from alert_history.domain.target import TargetSpec
from alert_history.targets.registry import load_format


class Preparation:
    """Called by discovery with all the targets there are, it calls `found` with them: at once, or when `run` is ready.

    Only the newest targets are ever handed on.
    """

    def __init__(
        self, found: Callable[[Sequence[TargetSpec]], None], *, load: Callable[[str], None] = load_format
    ) -> None:
        self._found = found
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
            self._found(targets)

    async def run(self) -> None:
        """Load what is lacking, until cancelled."""
        while True:
            await self._is_lacking.wait()
            self._is_lacking.clear()
            while lacking := self._lacking():
                for name in sorted(lacking):
                    await asyncio.to_thread(self._load, name)
                self._loaded |= lacking
            self._found(self._newest)

    def _lacking(self) -> set[str]:
        return {spec.format for spec in self._newest} - self._loaded
