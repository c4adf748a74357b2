"""Remembers what polled Alertmanagers say beside what fires: their configurations, and how silences change.

What came in one round and is as it was in the round before is not written again; a configuration that stays is written
once a minute, so that it is known until when it was in force.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from alert_history.domain.alert import Silence
from alert_history.domain.microseconds import from_us
from alert_history.domain.silence_versions import versions_of
from alert_history.engine.listing import Listing
from alert_history.ports import Configurations, SilenceVersions, StoredConfiguration

_STEP_VERSIONS = 500
_SEEN_EVERY = timedelta(minutes=1)
_SOURCE = "alertmanager/"


class AlertmanagerMemory:
    """Writes what is new to the store."""

    def __init__(self, configurations: Configurations, silence_versions: SilenceVersions) -> None:
        self._configurations = configurations
        self._silence_versions = silence_versions
        self._silences: dict[str, Mapping[str, Silence]] = {}
        self._seen: dict[str, StoredConfiguration] = {}

    async def keep(self, listings: Sequence[Listing]) -> None:
        """Keep what the listings of one round tell. Raises: StorageUnavailable; what was not written comes again."""
        for listing in listings:
            if listing.asked.source.startswith(_SOURCE):
                await self._keep_silences(
                    listing.asked.source.removeprefix(_SOURCE), listing.silences, from_us(listing.asked.asked_us)
                )
        news = [
            listing.configuration
            for listing in listings
            if listing.configuration is not None and self._is_news(listing.configuration)
        ]
        if news:
            await self._configurations.keep(news)
            self._seen |= {configuration.cluster: configuration for configuration in news}

    async def _keep_silences(self, cluster: str, silences: Sequence[Silence], asked_at: datetime) -> None:
        before = self._silences.get(cluster, {})
        news = [silence for silence in silences if before.get(silence.id) != silence]
        versions = versions_of(news, cluster=cluster, known_at=asked_at)
        for begin in range(0, len(versions), _STEP_VERSIONS):
            await self._silence_versions.keep(versions[begin : begin + _STEP_VERSIONS])
        self._silences[cluster] = {silence.id: silence for silence in silences}

    def _is_news(self, seen: StoredConfiguration) -> bool:
        before = self._seen.get(seen.cluster)
        if before is None or seen.seen_at - before.seen_at >= _SEEN_EVERY:
            return True
        return msgspec.structs.replace(seen, since=before.since, seen_at=before.seen_at) != before
