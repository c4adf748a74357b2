"""Numbers and episodes, as far as they exist for who calls: from occurrences alone, as rollups add up all alerts.

Who sees some alerts only is answered from all of these, and not from a sample: its share would tell how many alerts
there are in all.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from alert_history.domain.episode import Episode
from alert_history.domain.levels import Level
from alert_history.domain.tally import Dimension, Tally, TallyMap
from alert_history.engine.reach import check_sees_all, is_narrowed, within
from alert_history.ports import Analytics, HistoryFilter, LabelSet, Lasting, Recount, Statistics, Sums, ValueCounts
from alert_history.ports.analytics import ALL

_MOST_EPISODES = 500_000
_LATEST = timedelta(days=1)


class ReachingAnalytics:
    """See `ports.Analytics`."""

    def __init__(self, analytics: Analytics) -> None:
        self._analytics = analytics

    async def tallies(
        self,
        dimension: Dimension,
        *,
        first_day: int,
        last_day: int,
        values: Sequence[str] | None = None,
        only: TallyMap | None = None,
        mapped: Collection[int] | None = None,
    ) -> Mapping[tuple[int, str], Tally]:
        """See `ports.Analytics.tallies`. Raises Forbidden where there is a reach."""
        check_sees_all()
        return await self._analytics.tallies(
            dimension, first_day=first_day, last_day=last_day, values=values, only=only, mapped=mapped
        )

    async def sums(self, dimension: Dimension, *, first_day: int, last_day: int) -> Mapping[str, Sums]:
        """See `ports.Analytics.sums`. Raises Forbidden where there is a reach."""
        check_sees_all()
        return await self._analytics.sums(dimension, first_day=first_day, last_day=last_day)

    async def recount(self, wanted: HistoryFilter, *, by: str | None, most: int) -> Recount:
        """See `ports.Analytics.recount`."""
        return await self._analytics.recount(within(wanted), by=by, most=ALL if is_narrowed() else most)

    async def firing(self, wanted: HistoryFilter, *, by: str | None) -> Mapping[str, int]:
        """See `ports.Analytics.firing`."""
        return await self._analytics.firing(within(wanted), by=by)

    async def episodes(self, wanted: HistoryFilter, *, most: int) -> Sequence[Episode]:
        """See `ports.Analytics.episodes`."""
        return await self._analytics.episodes(within(wanted), most=most)

    async def again(self, *, first_day: int, last_day: int, least: int) -> Mapping[str, int]:
        """See `ports.Analytics.again`. Raises Forbidden where there is a reach."""
        check_sees_all()
        return await self._analytics.again(first_day=first_day, last_day=last_day, least=least)

    async def episodes_of(
        self, fingerprints: Sequence[str], *, since: datetime, until: datetime
    ) -> Mapping[str, Sequence[Episode]]:
        """See `ports.Analytics.episodes_of`."""
        if not is_narrowed():
            return await self._analytics.episodes_of(fingerprints, since=since, until=until)
        newest = await self.episodes(HistoryFilter(since=since, until=until), most=_MOST_EPISODES)
        episodes: dict[str, list[Episode]] = {fingerprint: [] for fingerprint in fingerprints}
        for episode in sorted(newest, key=lambda each: each.starts_at):
            if episode.fingerprint in episodes and episode.starts_at >= since - _LATEST:
                episodes[episode.fingerprint].append(episode)
        return episodes


class ReachingStatistics:
    """See `ports.Statistics`."""

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics

    async def levels(
        self, dimension: Dimension, *, first_day: int, values: Sequence[str] | None = None
    ) -> Mapping[str, Level]:
        """See `ports.Statistics.levels`. Raises Forbidden where there is a reach."""
        check_sees_all()
        return await self._statistics.levels(dimension, first_day=first_day, values=values)

    async def lasting(self, wanted: HistoryFilter, *, by: str | None, fired_since: datetime, most: int) -> Lasting:
        """See `ports.Statistics.lasting`."""
        return await self._statistics.lasting(within(wanted), by=by, fired_since=fired_since, most=most)

    async def value_counts(self, wanted: HistoryFilter, *, by: Sequence[str], share: float) -> ValueCounts:
        """See `ports.Statistics.value_counts`."""
        share = 1.0 if is_narrowed() else share
        return await self._statistics.value_counts(within(wanted), by=by, share=share)

    async def label_sets(self, wanted: HistoryFilter) -> Sequence[LabelSet]:
        """See `ports.Statistics.label_sets`."""
        return await self._statistics.label_sets(within(wanted))
