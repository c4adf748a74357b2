"""What fires now, for whoever looks: how many by severity on each page, and the rules behind them on one.

Numbers are remembered for a moment, so that many pages cost one look, and a page never waits long or fails for them.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
import structlog

from alert_history.domain.query import Query
from alert_history.domain.severity import urgency
from alert_history.engine.caller import reach
from alert_history.errors import AlertHistoryError
from alert_history.ports import Clock, FiringGroup, FiringReads, Mute

REMEMBERED = timedelta(seconds=2)
PATIENCE_SECONDS = 0.5

_log = structlog.get_logger()


class FiringCount(msgspec.Struct, frozen=True):
    """Open occurrences of one severity, or of one rule. The numbers overlap but for `number`, which is of all.

    `loud` are those that nothing mutes, `severity` the worst. `oldest_at` is the earliest begin.
    """

    name: str
    severity: str
    number: int
    loud: int
    unconfirmed: int
    silenced: int
    inhibited: int
    oldest_at: datetime
    newest_at: datetime
    acknowledged: int = 0


class FiringView(msgspec.Struct, frozen=True):
    """All that fires: severities, the worst first; rules: what nothing mutes, the worst, the newest first."""

    severities: Sequence[FiringCount]
    rules: Sequence[FiringCount]
    whole: FiringCount | None


class _Remembered(msgspec.Struct, frozen=True):
    by_severity: Mapping[str, int] | None
    counted_at: datetime


class FiringNow:
    """Answers what fires now."""

    def __init__(self, reads: FiringReads, *, clock: Clock) -> None:
        self._reads = reads
        self._clock = clock
        self._turn = asyncio.Lock()
        self._remembered: dict[Query | None, _Remembered] = {}

    async def by_severity(self) -> Mapping[str, int] | None:
        """How many fire, the worst severity first, no older than `REMEMBERED`; None where that can't be known now."""
        if (numbers := self._fresh()) is not None:
            return numbers.by_severity
        async with self._turn:
            if (numbers := self._fresh()) is None:
                numbers = _Remembered(await self._counted(), self._clock())
                self._remember(numbers)
        return numbers.by_severity

    async def view(self) -> FiringView:
        """All that fires, by severity and by rule. May raise StorageUnavailable or QueryTimeout."""
        groups = await self._reads.groups(self._clock())
        return await asyncio.to_thread(view_of, groups)

    def _fresh(self) -> "_Remembered | None":
        """What is remembered for who calls: the numbers of one reach are told to nobody with another."""
        numbers = self._remembered.get(reach())
        return None if numbers is None or self._clock() - numbers.counted_at >= REMEMBERED else numbers

    def _remember(self, numbers: "_Remembered") -> None:
        now = self._clock()
        fresh = {query: each for query, each in self._remembered.items() if now - each.counted_at < REMEMBERED}
        self._remembered = {**fresh, reach(): numbers}

    async def _counted(self) -> Mapping[str, int] | None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                numbers = await self._reads.by_severity()
        except (AlertHistoryError, TimeoutError) as error:
            _log.debug("firing_not_counted", reason=str(error))
            return None
        return {name: numbers[name] for name in sorted(numbers, key=_worst_first)}


def view_of(groups: Sequence[FiringGroup]) -> FiringView:
    """Groups, added up."""
    severities = _added_up(groups, lambda group: group.severity)
    rules = _added_up(groups, lambda group: group.alertname)
    severities.sort(key=lambda count: _worst_first(count.name))
    rules.sort(key=lambda count: (count.loud == 0, -urgency(count.severity), -count.newest_at.timestamp(), count.name))
    whole = _added_up(groups, lambda _: "")
    return FiringView(severities, rules, whole[0] if whole else None)


def _added_up(groups: Iterable[FiringGroup], name_of: Callable[[FiringGroup], str]) -> list[FiringCount]:
    together: dict[str, list[FiringGroup]] = {}
    for group in groups:
        together.setdefault(name_of(group), []).append(group)
    return [_count(name, own) for name, own in together.items()]


def _count(name: str, groups: Sequence[FiringGroup]) -> FiringCount:
    return FiringCount(
        name=name,
        severity=min((group.severity for group in groups), key=_worst_first),
        number=sum(group.number for group in groups),
        loud=_muted(groups, None),
        unconfirmed=sum(group.number for group in groups if group.is_unconfirmed),
        silenced=_muted(groups, "silenced"),
        inhibited=_muted(groups, "inhibited"),
        oldest_at=min(group.oldest_at for group in groups),
        newest_at=max(group.newest_at for group in groups),
        acknowledged=sum(group.number for group in groups if group.is_acknowledged),
    )


def _muted(groups: Iterable[FiringGroup], mute: Mute | None) -> int:
    return sum(group.number for group in groups if group.muted == mute)


def _worst_first(severity: str) -> tuple[int, str]:
    return -urgency(severity), severity
