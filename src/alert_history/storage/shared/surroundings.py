"""Reads what lies around occurrences; the same statements on both databases.

Each statement reads in the order of an index, and stops when it has read enough.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, or_, select

from alert_history.domain.begins import Begin
from alert_history.domain.episode import Episode
from alert_history.domain.query import ALL, Query
from alert_history.domain.speaker import SCOPE_MARK
from alert_history.ports.history import HistoryFilter
from alert_history.storage.shared import reads
from alert_history.storage.shared.analytics import EPISODE_COLUMNS, Finding, episode_of
from alert_history.storage.shared.session import Database, Row, Session
from alert_history.storage.shared.tables import alerts

_A = alerts.c
_BEGIN_COLUMNS = (_A.alertname, _A.fingerprint, _A.starts_at, _A.began_at, _A.timestamp, _A.labels)
_TICK = timedelta(microseconds=1)

_read_labels = msgspec.json.Decoder(dict[str, str]).decode


class SharedSurroundings:
    """See `ports.Surroundings`. `newest` is the column in whose order an index has the episodes of a label set."""

    def __init__(self, database: Database, finding: Finding, *, newest: ColumnElement[Any]) -> None:
        self._database = database
        self._finding = finding
        self._newest = newest

    async def begins(self, wanted: HistoryFilter, *, most: int) -> Sequence[tuple[datetime, Begin]]:
        """See `ports.Surroundings.begins`."""
        reads.check_filter(wanted)
        matching = self._finding.matching(select(*_BEGIN_COLUMNS), wanted)
        rows = await self._fetch(matching.order_by(self._finding.time_of(wanted).desc()).limit(most))
        return await asyncio.to_thread(lambda: [(row.timestamp, _begin_of(row)) for row in rows])

    async def earlier(self, fingerprint: str, *, before: datetime, most: int, query: Query = ALL) -> Sequence[Episode]:
        """See `ports.Surroundings.earlier`."""
        wanted = HistoryFilter(query, fingerprint=fingerprint.partition(SCOPE_MARK)[0])
        own = self._matching(wanted).where(_A.fingerprint == fingerprint, _A.starts_at < before)
        return await self._episodes(own.order_by(self._newest.desc()).limit(most))

    async def alike(self, episode: Episode, *, most: int, query: Query = ALL) -> Sequence[Episode]:
        """See `ports.Surroundings.alike`."""
        wanted = HistoryFilter(
            query, alertname=episode.alertname, namespace=episode.namespace, until=episode.received_at
        )
        others = self._matching(wanted).where(_A.fingerprint != episode.fingerprint)
        return await self._episodes(others.order_by(self._finding.time_of(wanted).desc()).limit(most))

    async def near(self, episode: Episode, within: timedelta, *, most: int, query: Query = ALL) -> Sequence[Episode]:
        """See `ports.Surroundings.near`."""
        at = episode.received_at
        earlier = HistoryFilter(query, since=at - within, until=at)
        later = HistoryFilter(query, since=at, until=at + within + _TICK)
        newest = self._matching(earlier).order_by(self._finding.time_of(earlier).desc()).limit(most)
        oldest = self._matching(later).order_by(self._finding.time_of(later)).limit(most)
        return [*await self._episodes(newest), *await self._episodes(oldest)]

    async def firing(self, at: datetime, *, began_after: datetime, most: int, query: Query = ALL) -> Sequence[Episode]:
        """See `ports.Surroundings.firing`."""
        ended = HistoryFilter(query, status="resolved", since=began_after, until=at)
        open_ = HistoryFilter(query, status="firing", until=at)
        over = self._matching(ended).where(or_(_A.ends_at > at, _A.last_received_at > at))
        newest = over.order_by(self._finding.time_of(ended).desc()).limit(most)
        still = self._matching(open_).order_by(self._finding.time_of(open_).desc()).limit(most)
        episodes = [*await self._episodes(newest), *await self._episodes(still)]
        return [each for each in episodes if each.ends_at is None or each.ends_at > at]

    def _matching(self, wanted: HistoryFilter) -> Select[Any]:
        return self._finding.matching(select(*EPISODE_COLUMNS), wanted)

    async def _episodes(self, statement: Select[Any]) -> list[Episode]:
        rows = await self._fetch(statement)
        return [episode_of(row) for row in rows]

    async def _fetch(self, statement: Select[Any]) -> list[Row]:
        return await self._database.read(_fetch_anew, statement)


async def _fetch_anew(session: Session, statement: Select[Any]) -> list[Row]:
    return await session.fetch_anew(statement)


def _begin_of(row: Row) -> Begin:
    return Begin(row.alertname, row.began_at or row.starts_at, _read_labels(row.labels), row.fingerprint)
