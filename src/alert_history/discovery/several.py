"""Several places where targets are found, as one."""

import asyncio
from collections.abc import Sequence

import msgspec

from alert_history.domain.target import TargetSpec
from alert_history.ports import Discovery, DiscoveryState, TargetsFound


class SeveralDiscoveries:
    """See `ports.Discovery`. Where two places hold a target of the same name, the one of the first place counts."""

    def __init__(self, discoveries: Sequence[Discovery]) -> None:
        self._discoveries = discoveries
        self._held: dict[int, Sequence[TargetSpec]] = {}

    async def watch(self, found: TargetsFound) -> None:
        """See `ports.Discovery`."""
        async with asyncio.TaskGroup() as tasks:
            for place, discovery in enumerate(self._discoveries):
                tasks.create_task(discovery.watch(self._teller(place, found)))

    async def refresh(self) -> None:
        """See `ports.Discovery`."""
        await asyncio.gather(*(discovery.refresh() for discovery in self._discoveries))

    def state(self) -> DiscoveryState:
        """That of the first place; with the fault of the first that has one."""
        states = [discovery.state() for discovery in self._discoveries]
        fault = next((state.fault for state in states if state.fault is not None), None)
        return msgspec.structs.replace(states[0], fault=fault)

    def _is_incomplete(self) -> bool:
        """Whether a place that works has not told anything yet: half the targets must not pass for all."""
        return any(
            place not in self._held and discovery.state().fault is None
            for place, discovery in enumerate(self._discoveries)
        )

    def _teller(self, place: int, found: TargetsFound) -> TargetsFound:
        def tell(targets: Sequence[TargetSpec]) -> None:
            self._held[place] = targets
            if self._is_incomplete():
                return
            merged: dict[str, TargetSpec] = {}
            for _, held in sorted(self._held.items(), reverse=True):
                merged.update({spec.name: spec for spec in held})
            found(list(merged.values()))

        return tell
