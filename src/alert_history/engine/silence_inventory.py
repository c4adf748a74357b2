"""The inventory of silences: which there are, what each muted, and what of it fires; now, or at a past moment.

However many silences there are, a page reads so many and no more, and what is left out is said.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from alert_history.domain.alert import Silence
from alert_history.domain.alertmanager.moment import SilenceVersion
from alert_history.domain.silence_changes import SilenceChange, changes_of
from alert_history.domain.silence_matching import SilenceMatching, State, queries_of, state_of
from alert_history.engine.as_of import history_as_of
from alert_history.engine.firing_alerts import FiringAlert, of_now, of_then
from alert_history.engine.silence_mutings import Mutings, SilenceMutings
from alert_history.engine.silences_as_of import SilencesAsOf
from alert_history.errors import NotFound
from alert_history.ports import (
    Clock,
    History,
    HistoryFilter,
    Moments,
    MutedAlerts,
    PageRequest,
    SilenceCounts,
    Silences,
    SilenceVersions,
)

View = Literal["active", "soon", "unused", "pending", "expired", "again"]
"""Which silences: of the active ones `soon` end within a day and `unused` muted nothing; `again` of the expired ones
would match what fires."""

SOON = timedelta(hours=24)
SHOWN = 20
LOOKED_AT = 200
"""How many silences are looked at for `unused` and `again`, which no index answers."""
FIRING = 1_000
"""How many of the newest alerts that fire are compared with silences."""
_NEWEST = 5
_STATES: Mapping[View, State] = {
    "active": "active",
    "soon": "active",
    "unused": "active",
    "pending": "pending",
    "expired": "expired",
    "again": "expired",
}


class Firing(msgspec.Struct, frozen=True):
    """The alerts that fire and match a silence: how many, and some of the newest."""

    number: int
    newest: Sequence[FiringAlert]


class Entry(msgspec.Struct, frozen=True):
    """One silence. `queries` has a text for each set of matchers, and whether the history can be asked by it.

    `muted` is None where nobody told that it muted an alert. `changes` are its versions, the oldest first.
    """

    silence: Silence
    state: State
    ends_soon: bool
    queries: Sequence[tuple[str, bool]]
    muted: MutedAlerts | None
    firing: Firing
    changes: Sequence[SilenceChange] = ()


class Inventory(msgspec.Struct, frozen=True):
    """A page. `is_cut`: more silences than `LOOKED_AT` are there, and only so many were looked at.

    `compares_all` is false where more alerts fire than were compared.
    """

    entries: Sequence[Entry]
    next_cursor: str | None
    is_cut: bool
    compares_all: bool


class OneSilence(msgspec.Struct, frozen=True):
    """A silence with its history: what it muted, from when to when."""

    entry: Entry
    mutings: Mutings
    compares_all: bool


class SilenceReads(msgspec.Struct, frozen=True):
    """The ports of a store that the inventory reads."""

    silences: Silences
    versions: SilenceVersions
    history: History
    moments: Moments


class SilenceInventory:
    """Answers by the silences and the history of a store. With `at`, as of that moment."""

    def __init__(self, reads: SilenceReads, *, clock: Clock) -> None:
        self._reads = reads
        self._clock = clock

    async def counts(self, *, at: datetime | None = None) -> SilenceCounts:
        """How many silences there are. Raises StorageUnavailable, QueryTimeout."""
        return await self._look(at).counts()

    async def page(self, view: View, *, cursor: str | None = None, at: datetime | None = None) -> Inventory:
        """A page of silences. Raises InvalidQuery for a cursor of another view, StorageUnavailable, QueryTimeout."""
        look = self._look(at)
        return await (look.looked_at(view) if view in {"unused", "again"} else look.page(view, cursor))

    async def one(self, silence_id: str, *, at: datetime | None = None) -> OneSilence:
        """The silence with that id, and its history. Raises NotFound, StorageUnavailable, QueryTimeout."""
        return await self._look(at).one(silence_id)

    def _look(self, at: datetime | None) -> "_Look":
        return _Look(self._reads, at, now=at or self._clock())


class _Look:
    """One look at the silences of a moment; `at` is None for now."""

    def __init__(self, reads: SilenceReads, at: datetime | None, *, now: datetime) -> None:
        self._versions = reads.versions
        self._history = history_as_of(reads.history, at)
        self._silences = reads.silences if at is None else SilencesAsOf(reads.silences, reads.versions, at)
        self._moments = reads.moments
        self._at = at
        self._now = now

    async def counts(self) -> SilenceCounts:
        """See `SilenceInventory.counts`."""
        return await self._silences.counts(self._now, soon=self._now + SOON)

    async def page(self, view: View, cursor: str | None) -> Inventory:
        """A page of a view that an index answers."""
        ends_before = self._now + SOON if view == "soon" else None
        page = await self._silences.page(_STATES[view], self._now, limit=SHOWN, cursor=cursor, ends_before=ends_before)
        firing, compares_all = await self._firing(page.silences)
        entries = await self._entries(page.silences, firing)
        return Inventory(entries, page.next_cursor, is_cut=False, compares_all=compares_all)

    async def looked_at(self, view: View) -> Inventory:
        """A page of those among many that muted nothing, or would match."""
        page = await self._silences.page(_STATES[view], self._now, limit=LOOKED_AT)
        firing, compares_all = await self._firing(page.silences)
        if view == "again":
            matching = await asyncio.to_thread(
                lambda: [each for each in page.silences if _matching(each, firing).number]
            )
        else:
            muted = await self._silences.muted([each.id for each in page.silences], newest=1)
            matching = [each for each in page.silences if each.id not in muted]
        entries = await self._entries(matching[:SHOWN], firing)
        is_cut = page.next_cursor is not None or len(matching) > SHOWN
        return Inventory(entries, None, is_cut=is_cut, compares_all=compares_all)

    async def one(self, silence_id: str) -> OneSilence:
        """See `SilenceInventory.one`."""
        silences = await self._silences.named([silence_id])
        if not silences:
            raise NotFound(f"no silence {silence_id!r} is known{'' if self._at is None else ' of then'}")
        firing, compares_all = await self._firing(silences)
        (entry,) = await self._entries(silences, firing)
        versions = [each.silence for each in await self._versions.of([silence_id]) if self._is_made(each.silence)]
        mutings = await SilenceMutings(self._silences, self._history).of(versions or silences, now=self._now)
        return OneSilence(entry, mutings, compares_all)

    def _is_made(self, silence: Silence) -> bool:
        return self._at is None or silence.updated_at <= self._at

    async def _firing(self, silences: Sequence[Silence]) -> tuple[Sequence[FiringAlert], bool]:
        """The newest alerts that fire, to compare with these silences, and whether these are all."""
        if not silences:
            return [], True
        if self._at is None:
            page = await self._history.page(HistoryFilter(status="firing"), PageRequest(limit=FIRING))
            return [of_now(alert) for alert in page.alerts], page.next_cursor is None
        alerts = await self._moments.alerts(self._at, limit=FIRING)
        newest = sorted(map(of_then, alerts), key=lambda alert: alert.starts_at, reverse=True)
        return newest[:FIRING], len(newest) <= FIRING

    async def _entries(self, silences: Sequence[Silence], firing: Sequence[FiringAlert]) -> list[Entry]:
        ids = [each.id for each in silences]
        if not ids:
            return []
        muted, versions = await asyncio.gather(self._silences.muted(ids, newest=_NEWEST), self._versions.of(ids))
        made = [each for each in versions if self._is_made(each.silence)]
        changes = {
            each.id: changes_of([version for version in made if version.silence.id == each.id] or [_alone(each)])
            for each in silences
        }
        return await asyncio.to_thread(
            lambda: [
                _entry(each, self._now, muted=muted.get(each.id), firing=firing, changes=changes[each.id])
                for each in silences
            ]
        )


def _alone(silence: Silence) -> SilenceVersion:
    """The one version of a silence of which no other is kept."""
    return SilenceVersion(silence, "", silence.updated_at)


def _entry(
    silence: Silence,
    now: datetime,
    *,
    muted: MutedAlerts | None,
    firing: Sequence[FiringAlert],
    changes: Sequence[SilenceChange],
) -> Entry:
    state = state_of(silence, now)
    return Entry(
        silence=silence,
        state=state,
        ends_soon=state == "active" and silence.ends_at < now + SOON,
        queries=queries_of(silence),
        muted=muted,
        firing=_matching(silence, firing),
        changes=changes,
    )


def _matching(silence: Silence, firing: Sequence[FiringAlert]) -> Firing:
    matching = SilenceMatching(silence)
    matched = [alert for alert in firing if matching.matches(alert.labels)]
    return Firing(len(matched), matched[:_NEWEST])
