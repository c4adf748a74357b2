"""Who sends, how fresh each sender is, and what was lost or missed.

However many requests come, so many are read and no more: those of the last day, the newest of each hour. What is not
sent any more is remembered by `lapse.Groups` and the watchdog.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from alert_history.domain.freshness import Arrivals, Freshness, rhythm_of, runs_of
from alert_history.domain.group import SeenGroup, stale_after
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.speaker import witness_id
from alert_history.domain.standing import Witnesses
from alert_history.ports import (
    AcceptedRequest,
    Analytics,
    Clock,
    Conflict,
    Reconciling,
    RefusedAlerts,
    Senders,
    Standings,
)

SPAN = timedelta(hours=24)
HOURS = 24
A_HOUR = 200
"""How many requests of each hour are read."""
REFUSED = 2_000
CONFLICTS = 5
ENDED_DAYS = 7
MOST_SENDERS = 100
_DAY_US = 86_400_000_000
_ORDER: Sequence[Freshness] = ("late", "fresh", "idle", "new")


class SenderKey(NamedTuple):
    """What tells senders apart: where the alerts come from, for which receiver, and how the sender names itself."""

    source: str
    receiver: str
    external_url: str


class SenderFacts(msgspec.Struct, frozen=True):
    """A sender that sent within the span. `hours` are its requests by hour, oldest first, as far as they were read.

    `groups` are Alertmanager's groups that it sends, with `firing` alerts in them; `stale_after` is after how long its
    alerts are called unconfirmed.
    """

    key: SenderKey
    scope: str | None
    paths: Sequence[str]
    last_at: datetime
    freshness: Freshness
    usual: timedelta | None
    longest: timedelta | None
    requests: int
    alerts: int
    quarantined: int
    truncated: int
    hours: Sequence[int]
    groups: int
    firing: int
    stale_after: timedelta | None


class SilentSender(msgspec.Struct, frozen=True):
    """Groups of a receiver that were sent before the span, and not since: how many, with so many alerts that fired."""

    receiver: str
    last_at: datetime
    groups: int
    firing: int


class SenderReport(msgspec.Struct, frozen=True):
    """All senders, those that need a look first. `is_exact` is false where an hour had more requests than were read."""

    senders: Sequence[SenderFacts]
    silent: Sequence[SilentSender]
    left_out: int
    is_exact: bool
    posters: Sequence[str]


class LossReport(msgspec.Struct, frozen=True):
    """What was lost or missed: refused alerts, contradictions of senders, and ends that no sender told.

    `ended` counts the alerts that began within `ENDED_DAYS`, by how their end is known.
    """

    refused: Sequence[RefusedAlerts]
    is_refused_exact: bool
    conflicts: Sequence[Conflict]
    open: Mapping[str, int]
    ended: Mapping[str, int]


class SenderOverview:
    """Answers by the receipts of a store, and by what this replica remembers of groups and witnesses."""

    def __init__(
        self,
        senders: Senders,
        *,
        groups: Callable[[], Sequence[SeenGroup]],
        witnesses: Callable[[], Witnesses],
        clock: Clock,
    ) -> None:
        self._senders = senders
        self._groups = groups
        self._witnesses = witnesses
        self._clock = clock

    async def report(self) -> SenderReport:
        """Who sends. Raises StorageUnavailable, QueryTimeout."""
        now = self._clock()
        edges = [now - SPAN + number * SPAN / HOURS for number in range(HOURS + 1)]
        hours = await self._senders.requests(edges, most=A_HOUR)
        groups, witnesses = list(self._groups()), self._witnesses()
        return await asyncio.to_thread(lambda: report_of(hours, groups, witnesses, now=now))


class Losses:
    """Answers what was lost or missed, by what a store keeps."""

    def __init__(
        self, senders: Senders, *, reconciling: Reconciling, standings: Standings, analytics: Analytics, clock: Clock
    ) -> None:
        self._senders = senders
        self._reconciling = reconciling
        self._standings = standings
        self._analytics = analytics
        self._clock = clock

    async def report(self) -> LossReport:
        """What was lost or missed. Raises StorageUnavailable, QueryTimeout."""
        now = self._clock()
        refused = await self._senders.refused(now - SPAN, most=REFUSED)
        return LossReport(
            refused=refused,
            is_refused_exact=sum(each.number for each in refused) < REFUSED,
            conflicts=await self._reconciling.conflicts(now - SPAN, limit=CONFLICTS),
            open=await self._standings.count(),
            ended=await self._ended(now),
        )

    async def _ended(self, now: datetime) -> Mapping[str, int]:
        today = to_us(now) // _DAY_US
        tallies = await self._analytics.tallies("all", first_day=today - ENDED_DAYS + 1, last_day=today, only="lengths")
        ended: Counter[str] = Counter()
        for tally in tallies.values():
            for (ended_by, _), number in tally.lengths.items():
                ended[ended_by] += number
        return ended


def report_of(
    hours: Sequence[Sequence[AcceptedRequest]], groups: Sequence[SeenGroup], witnesses: Witnesses, *, now: datetime
) -> SenderReport:
    """The report of the requests of each hour, newest first in each, and of the groups that were seen."""
    by_key = _by_key(hours)
    most = sorted(by_key, key=lambda key: -sum(map(len, by_key[key])))[:MOST_SENDERS]
    sent = _Sent(groups, witnesses)
    whole = [len(hour) < A_HOUR for hour in hours]
    senders = [_facts(key, by_key[key], whole, sent, now=now) for key in most]
    return SenderReport(
        senders=sorted(senders, key=lambda each: (_ORDER.index(each.freshness), each.key)),
        silent=sent.silent(now - SPAN),
        left_out=len(by_key) - len(most),
        is_exact=all(whole),
        posters=sorted(set(witnesses.posters.values())),
    )


def _by_key(hours: Sequence[Sequence[AcceptedRequest]]) -> dict[SenderKey, list[list[AcceptedRequest]]]:
    """The requests of each sender, by hour, oldest first."""
    by_key: dict[SenderKey, list[list[AcceptedRequest]]] = {}
    for place, hour in enumerate(hours):
        for each in reversed(hour):
            key = SenderKey(each.source, each.receiver, each.external_url)
            by_key.setdefault(key, [[] for _ in hours])[place].append(each)
    return by_key


class _Sent:
    """The groups that were seen, by who sent them."""

    def __init__(self, groups: Sequence[SeenGroup], witnesses: Witnesses) -> None:
        self._witnesses = witnesses
        self._stale = stale_after(groups)
        self._groups: dict[tuple[str, str], list[SeenGroup]] = {}
        for group in groups:
            self._groups.setdefault((witnesses.of(group.sender), group.receiver), []).append(group)

    def by(self, key: SenderKey) -> list[SeenGroup]:
        """The groups of a sender."""
        return self._groups.get((self._whole(key), key.receiver), []) if key.external_url else []

    def scope(self, key: SenderKey) -> str | None:
        """The scope that a sender sends to; None where it names none."""
        return self._witnesses.scope_of([self._whole(key)]) if key.external_url else None

    def stale_after(self, key: SenderKey) -> timedelta | None:
        """After how long without a sign the alerts of a sender are called unconfirmed, where that is learnt."""
        stale_us = self._stale.get(key.receiver) if self.by(key) else None
        return None if stale_us is None else timedelta(microseconds=stale_us)

    def silent(self, since: datetime) -> list[SilentSender]:
        """The receivers of which no group was sent since then; those whose alerts fired then come first."""
        silent = [
            SilentSender(receiver, last_at, len(some), sum(len(group.firing) for group in some))
            for (_, receiver), some in self._groups.items()
            if (last_at := from_us(max(group.last_us for group in some))) < since
        ]
        return sorted(silent, key=lambda each: (each.firing > 0, each.last_at), reverse=True)

    def _whole(self, key: SenderKey) -> str:
        return self._witnesses.of(witness_id(key.external_url))


def _facts(
    key: SenderKey, hours: Sequence[Sequence[AcceptedRequest]], whole: Sequence[bool], sent: _Sent, *, now: datetime
) -> SenderFacts:
    requests = [each for hour in hours for each in hour]
    times = ([each.received_at for each in hour] for hour in hours)
    arrivals = Arrivals(runs_of(zip(times, whole, strict=True)))
    groups = sent.by(key)
    firing = sum(len(group.firing) for group in groups)
    patience = sent.stale_after(key)
    rhythm = rhythm_of(arrivals, now, firing=firing if groups else None, patience=patience)
    return SenderFacts(
        key=key,
        scope=sent.scope(key),
        paths=sorted({each.path for each in requests}),
        last_at=arrivals.last_at,
        freshness=rhythm.freshness,
        usual=rhythm.usual,
        longest=rhythm.longest,
        requests=len(requests),
        alerts=sum(each.received for each in requests),
        quarantined=sum(each.quarantined for each in requests),
        truncated=sum(each.truncated for each in requests),
        hours=[len(hour) for hour in hours],
        groups=len(groups),
        firing=firing,
        stale_after=patience,
    )
