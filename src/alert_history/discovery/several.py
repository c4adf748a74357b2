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

    Nothing is reported before all places have been looked at, so that half the targets don't pass for all. A place
    that fails is waited for no longer than `patience_seconds`: the targets of the other places are then reported
    alone, and those of this place join later.
    """

    def __init__(self, discoveries: Sequence[Discovery], *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._discoveries = discoveries
        self._patience_seconds = patience_seconds
        self._targets_by_place: dict[int, Sequence[TargetSpec]] = {}
        self._is_patient = True
        self._is_reported = True

    async def watch(self, listener: TargetsFound) -> None:
        """See `ports.Discovery`."""
        self._is_patient = True
        async with asyncio.TaskGroup() as tasks:
            for place, discovery in enumerate(self._discoveries):
                tasks.create_task(discovery.watch(self._reporter(place, listener)))
            tasks.create_task(self._report_late(listener))

    async def refresh(self) -> None:
        """See `ports.Discovery`."""
        await asyncio.gather(*(discovery.refresh() for discovery in self._discoveries))

    def state(self) -> DiscoveryState:
        """The state of the first place, with the fault of the first place that has one."""
        states = [discovery.state() for discovery in self._discoveries]
        fault = next((state.fault for state in states if state.fault is not None), None)
        return msgspec.structs.replace(states[0], fault=fault)

    def _is_incomplete(self) -> bool:
        """Whether a place that must be waited for has reported nothing yet."""
        return any(
            place not in self._targets_by_place and (self._is_patient or discovery.state().fault is None)
            for place, discovery in enumerate(self._discoveries)
        )

    def _reporter(self, place: int, listener: TargetsFound) -> TargetsFound:
        def report(targets: Sequence[TargetSpec]) -> None:
            self._targets_by_place[place] = targets
            self._is_reported = False
            self._report(listener)

        return report

    def _report(self, listener: TargetsFound) -> None:
        if self._is_reported or self._is_incomplete():
            return
        self._is_reported = True
        listener(merged([targets for _, targets in sorted(self._targets_by_place.items())]))

    async def _report_late(self, listener: TargetsFound) -> None:
        """Places that work may have reported while another place was waited for; they report no second time."""
        await asyncio.sleep(self._patience_seconds)
        self._is_patient = False
        self._report(listener)
        while len(self._targets_by_place) < len(self._discoveries):
            await asyncio.sleep(_LOOK_SECONDS)
            self._report(listener)


def merged(places: Sequence[Sequence[TargetSpec]]) -> list[TargetSpec]:
    """The targets of all places; of targets with the same name, that of the first place."""
    return list({spec.name: spec for specs in reversed(places) for spec in specs}.values())
