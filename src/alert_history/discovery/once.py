"""One look at all places where targets are found, for callers that follow no changes. Must not call a target."""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from alert_history.discovery.several import merged
from alert_history.domain.target import TargetSpec
from alert_history.ports import Discovery, DiscoveryState, Target

_POLL_SECONDS = 0.05


class Found(NamedTuple):
    """The state of each place, and all targets by name, broken targets with their fault."""

    states: list[DiscoveryState]
    targets: list[TargetSpec]


async def look_once(
    places: Sequence[Discovery], *, make: Callable[[TargetSpec], Target], timeout_seconds: float
) -> Found:
    """Look at all places at once. The fault of a place that is too slow is "no answer in time".

    Of two targets with the same name, that of the first place counts, as it does where targets are followed.
    """
    looks = await asyncio.gather(*(_look(place, timeout_seconds=timeout_seconds) for place in places))
    targets = sorted(merged([specs for _, specs in looks]), key=lambda spec: spec.name)
    return Found([state for state, _ in looks], [_tried(spec, make) for spec in targets])


async def _look(place: Discovery, *, timeout_seconds: float) -> tuple[DiscoveryState, Sequence[TargetSpec]]:
    reports: list[Sequence[TargetSpec]] = []

    def listener(targets: Sequence[TargetSpec]) -> None:
        reports.append(targets)

    watching = asyncio.create_task(place.watch(listener))
    try:
        async with asyncio.timeout(timeout_seconds):
            while not (place.state().fault or (reports and place.state().is_available)):  # noqa: ASYNC110  # a state announces nothing
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        return replace(place.state(), fault="no answer in time"), ()
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    return place.state(), reports[-1] if reports else ()


def _tried(spec: TargetSpec, make: Callable[[TargetSpec], Target]) -> TargetSpec:
    """The spec, with the fault that shows when its target is made."""
    if spec.fault is not None:
        return spec
    try:
        make(spec)
    except ValueError as error:
        return replace(spec, fault=str(error))
    return spec
