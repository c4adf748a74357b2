"""Several places where targets are found, as one."""

import asyncio
from collections.abc import Sequence

import msgspec

from alert_history.domain.target import TargetSpec
from alert_history.ports import Discovery, DiscoveryState, TargetsFound

PATIENCE_SECONDS = 10.0

_LOOK_SECONDS = 0.25


class SeveralDiscoveries:
    """See `ports.Discovery`. Where two places hold a target of the same name, the one of the first place counts.

    Nothing is told before all places have been looked at, so that half the targets don't pass for all. One that
    fails is waited for no longer than `patience_seconds`: what the others hold is told without it, and it joins later.
    """

    def __init__(self, discoveries: Sequence[Discovery], *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._discoveries = discoveries
        self._patience_seconds = patience_seconds
        self._held: dict[int, Sequence[TargetSpec]] = {}
        self._is_patient = True
        self._is_told = True

    async def watch(self, found: TargetsFound) -> None:
        """See `ports.Discovery`."""
        self._is_patient = True
        async with asyncio.TaskGroup() as tasks:
            for place, discovery in enumerate(self._discoveries):
                tasks.create_task(discovery.watch(self._teller(place, found)))
            tasks.create_task(self._tell_late(found))

    async def refresh(self) -> None:
        """See `ports.Discovery`."""
        await asyncio.gather(*(discovery.refresh() for discovery in self._discoveries))

    def state(self) -> DiscoveryState:
        """That of the first place; with the fault of the first that has one."""
        states = [discovery.state() for discovery in self._discoveries]
        fault = next((state.fault for state in states if state.fault is not None), None)
        return msgspec.structs.replace(states[0], fault=fault)

    def _is_incomplete(self) -> bool:
        """Whether a place must be waited for that has not told anything yet."""
        return any(
            place not in self._held and (self._is_patient or discovery.state().fault is None)
            for place, discovery in enumerate(self._discoveries)
        )

    def _teller(self, place: int, found: TargetsFound) -> TargetsFound:
        def tell(targets: Sequence[TargetSpec]) -> None:
            self._held[place] = targets
            self._is_told = False
            self._tell(found)

        return tell

    def _tell(self, found: TargetsFound) -> None:
        if self._is_told or self._is_incomplete():
            return
        self._is_told = True
        found(merged([held for _, held in sorted(self._held.items())]))

    async def _tell_late(self, found: TargetsFound) -> None:
        """Places that work may have told all they have while another was waited for; they won't tell it again."""
        await asyncio.sleep(self._patience_seconds)
        self._is_patient = False
        self._tell(found)
        while len(self._held) < len(self._discoveries):
            await asyncio.sleep(_LOOK_SECONDS)
            self._tell(found)


def merged(places: Sequence[Sequence[TargetSpec]]) -> list[TargetSpec]:
    """The targets of all places; of those of one name, that of the first place."""
    return list({spec.name: spec for held in reversed(places) for spec in held}.values())
