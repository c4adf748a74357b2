"""What became of deliveries, by target: how many were settled in a span, and how many wait now."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from alert_history.domain.tally import OUTCOMES, Outcome, Tally
from alert_history.engine.analysis import Analysis, Asked
from alert_history.engine.reach import check_sees_all
from alert_history.ports import DeliveryLog, HistoryFilter, QueueDepth

_MINUTE = timedelta(minutes=1)


class TargetCount(msgspec.Struct, frozen=True):
    """One target: what was settled in the span, and what waits now, the oldest since `waiting_since`.

    `other_dead` is how many dead letters there are now that were given up outside of the span.
    """

    target: str
    delivered: int
    superseded: int
    dead: int
    waiting: int
    waiting_since: datetime | None
    other_dead: int = 0


class DeliveryCounts(msgspec.Struct, frozen=True):
    """All targets that had anything: those with dead letters and with most that waits first.

    Without `is_whole` the numbers lack what was settled before they were kept up.
    """

    targets: Sequence[TargetCount]
    is_whole: bool


class DeliveryCounting:
    """Counts deliveries. Every call may raise StorageUnavailable or QueryTimeout."""

    def __init__(self, analysis: Analysis, deliveries: DeliveryLog) -> None:
        self._analysis = analysis
        self._deliveries = deliveries

    async def by_target(self, asked: Asked) -> DeliveryCounts:
        """What was settled in a span, whose ends are rounded up to whole minutes, and what waits.

        Raises: Forbidden for who sees some alerts only.
        """
        check_sees_all()
        rounded = msgspec.structs.replace(asked, until=asked.until + _MINUTE)
        async with asyncio.TaskGroup() as tasks:
            depth = tasks.create_task(self._deliveries.depth())
            dead = tasks.create_task(self._deliveries.dead())
            settled = {
                outcome: tasks.create_task(self._analysis.in_minutes(rounded, outcome, None)) for outcome in OUTCOMES
            }
        is_whole = await self._analysis.is_rolled_up(HistoryFilter(), by=None)
        numbers = {outcome: _by_target(tallies.result()) for outcome, tallies in settled.items()}
        return DeliveryCounts(_targets(numbers, depth.result(), dead.result()), is_whole)


def _by_target(tallies: Mapping[tuple[int, str], Tally]) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for (_, target), tally in tallies.items():
        numbers[target] = numbers.get(target, 0) + sum(tally.minutes.values())
    return numbers


def _targets(
    numbers: Mapping[Outcome, Mapping[str, int]], depth: Mapping[str, QueueDepth], dead: Mapping[str, int]
) -> list[TargetCount]:
    names = frozenset(depth).union(dead, *(of_outcome for of_outcome in numbers.values()))
    targets = [
        TargetCount(
            name,
            **{outcome: of_outcome.get(name, 0) for outcome, of_outcome in numbers.items()},
            waiting=depth[name].waiting if name in depth else 0,
            waiting_since=depth[name].oldest if name in depth else None,
            other_dead=max(dead.get(name, 0) - numbers["dead"].get(name, 0), 0),
        )
        for name in names
    ]
    return sorted(targets, key=lambda each: (-each.dead, -each.waiting, -each.delivered, each.target))
