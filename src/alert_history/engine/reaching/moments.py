"""What fires, what a night brought, and what lies around an occurrence, as far as it exists for who calls."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import msgspec

from alert_history.domain.alertmanager.moment import MomentAlert, MutedBy, SilenceVersion
from alert_history.domain.begins import Begin
from alert_history.domain.episode import Episode
from alert_history.domain.night_facts import FailedDelivery
from alert_history.domain.query import ALL, Query
from alert_history.engine.reach import check_sees_all, is_narrowed, narrowed, within
from alert_history.engine.reaching.keys import ReachedKeys
from alert_history.ports import (
    Analytics,
    FiringGroup,
    FiringReads,
    HistoryFilter,
    Moments,
    NightReads,
    NightRow,
    Post,
    SilenceVersions,
    Surroundings,
)

_AT_ONCE = 8
_MORE_FAILURES = 5


class ReachingFiringReads:
    """See `ports.FiringReads`."""

    def __init__(self, firing: FiringReads, analytics: Analytics) -> None:
        self._firing = firing
        self._analytics = analytics

    async def by_severity(self) -> dict[str, int]:
        """See `ports.FiringReads.by_severity`."""
        if is_narrowed():
            return dict(await self._analytics.firing(within(HistoryFilter()), by="severity"))
        return await self._firing.by_severity()

    async def groups(self, now: datetime, *, query: Query = ALL) -> Sequence[FiringGroup]:
        """See `ports.FiringReads.groups`."""
        return await self._firing.groups(now, query=narrowed(query))


class ReachingNightReads:
    """See `ports.NightReads`."""

    def __init__(self, night: NightReads, analytics: Analytics, keys: ReachedKeys) -> None:
        self._night = night
        self._analytics = analytics
        self._keys = keys

    async def received(self, since: datetime, until: datetime, *, most: int, query: Query = ALL) -> list[NightRow]:
        """See `ports.NightReads.received`."""
        return await self._night.received(since, until, most=most, query=narrowed(query))

    async def open_at(self, at: datetime, *, received_since: datetime, most: int, query: Query = ALL) -> list[NightRow]:
        """See `ports.NightReads.open_at`."""
        return await self._night.open_at(at, received_since=received_since, most=most, query=narrowed(query))

    async def last_seen(self, alertnames: Collection[str], *, before: datetime) -> dict[str, datetime]:
        """See `ports.NightReads.last_seen`: the last time that who calls could see a rule."""
        if not is_narrowed():
            return await self._night.last_seen(alertnames, before=before)
        turn = asyncio.Semaphore(_AT_ONCE)

        async def newest(name: str) -> Sequence[Episode]:
            async with turn:
                return await self._analytics.episodes(within(HistoryFilter(alertname=name, until=before)), most=1)

        newest_rows = await asyncio.gather(*(newest(name) for name in alertnames))
        return {name: rows[0].received_at for name, rows in zip(alertnames, newest_rows, strict=True) if rows}

    async def known(self, fingerprints: Collection[str], *, before: datetime) -> set[str]:
        """See `ports.NightReads.known`. It tells nothing of label sets that the caller does not name."""
        return await self._night.known(fingerprints, before=before)

    async def failed_deliveries(self, since: datetime, until: datetime, *, most: int) -> list[FailedDelivery]:
        """See `ports.NightReads.failed_deliveries`."""
        if not is_narrowed():
            return await self._night.failed_deliveries(since, until, most=most)
        failures = await self._night.failed_deliveries(since, until, most=most * _MORE_FAILURES)
        reached = await self._keys.of_ids({failure.occurrence_id for failure in failures})
        own = [failure for failure in failures if failure.occurrence_id in reached]
        dead = [failure for failure in own if failure.is_dead]
        return [*dead[:most], *[failure for failure in own if not failure.is_dead][:most]]


class ReachingSurroundings:
    """See `ports.Surroundings`."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings

    async def begins(self, wanted: HistoryFilter, *, most: int) -> Sequence[tuple[datetime, Begin]]:
        """See `ports.Surroundings.begins`."""
        return await self._surroundings.begins(within(wanted), most=most)

    async def earlier(self, fingerprint: str, *, before: datetime, most: int, query: Query = ALL) -> Sequence[Episode]:
        """See `ports.Surroundings.earlier`."""
        return await self._surroundings.earlier(fingerprint, before=before, most=most, query=narrowed(query))

    async def alike(self, episode: Episode, *, most: int, query: Query = ALL) -> Sequence[Episode]:
        """See `ports.Surroundings.alike`."""
        return await self._surroundings.alike(episode, most=most, query=narrowed(query))

    async def near(self, episode: Episode, within: timedelta, *, most: int, query: Query = ALL) -> Sequence[Episode]:
        """See `ports.Surroundings.near`."""
        return await self._surroundings.near(episode, within, most=most, query=narrowed(query))

    async def firing(self, at: datetime, *, began_after: datetime, most: int, query: Query = ALL) -> Sequence[Episode]:
        """See `ports.Surroundings.firing`."""
        return await self._surroundings.firing(at, began_after=began_after, most=most, query=narrowed(query))


class ReachingMoments:
    """See `ports.Moments`."""

    def __init__(self, moments: Moments) -> None:
        self._moments = moments

    async def alerts(
        self, at: datetime, *, query: Query = ALL, limit: int, names_witnesses: bool = True
    ) -> Sequence[MomentAlert]:
        """See `ports.Moments.alerts`. What mutes an alert may be an alert of others, so that is left out."""
        query = narrowed(query)
        alerts = await self._moments.alerts(at, query=query, limit=limit, names_witnesses=names_witnesses)
        if not is_narrowed():
            return alerts
        return [msgspec.structs.replace(alert, muted=_without_others(alert.muted)) for alert in alerts]

    async def posts(self, at: datetime, *, within: timedelta, most: int, most_bytes: int) -> Sequence[Post]:
        """See `ports.Moments.posts`. Raises Forbidden where there is a reach."""
        check_sees_all()
        return await self._moments.posts(at, within=within, most=most, most_bytes=most_bytes)

    async def drop(self, before: datetime) -> int:
        """See `ports.Moments.drop`. Raises Forbidden where there is a reach."""
        check_sees_all()
        return await self._moments.drop(before)


def _without_others(muted: MutedBy | None) -> MutedBy | None:
    """What mutes an alert; inhibiting alerts may be those of others, so they are not named."""
    return ("inhibited", ()) if muted is not None and muted[0] == "inhibited" else muted


class ReachingSilenceVersions:
    """See `ports.SilenceVersions`. Like silences, they are asked for by the ids that a caller knows."""

    def __init__(self, versions: SilenceVersions) -> None:
        self._versions = versions

    async def keep(self, versions: Sequence[SilenceVersion]) -> None:
        """See `ports.SilenceVersions.keep`. Raises Forbidden where there is a reach."""
        check_sees_all()
        await self._versions.keep(versions)

    async def at(self, at: datetime, *, ended_since: datetime, limit: int) -> Sequence[SilenceVersion]:
        """See `ports.SilenceVersions.at`. Raises Forbidden where there is a reach."""
        check_sees_all()
        return await self._versions.at(at, ended_since=ended_since, limit=limit)

    async def of(self, ids: Collection[str]) -> Sequence[SilenceVersion]:
        """See `ports.SilenceVersions.of`. Callers know of the ids in the events of their own alerts."""
        return await self._versions.of(ids)
