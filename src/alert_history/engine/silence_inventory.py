"""The inventory of silences: which there are, what each muted, and what of it fires now.

However many silences there are, a page reads so many and no more, and what is left out is said.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Literal

import msgspec

from alert_history.domain.alert import Silence
from alert_history.domain.silence_matching import SilenceMatching, State, queries_of, state_of
from alert_history.ports import (
    Clock,
    History,
    HistoryFilter,
    MutedAlerts,
    PageRequest,
    SilenceCounts,
    Silences,
    StoredAlert,
)

View = Literal["active", "soon", "unused", "pending", "expired", "again"]
"""Which silences: of the active ones `soon` end within a day and `unused` muted nothing; `again` of the expired ones
would match what fires now."""

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
    """The alerts that fire now and match a silence: how many, and some of the newest."""

    number: int
    newest: Sequence[StoredAlert]


class Entry(msgspec.Struct, frozen=True):
    """One silence. `queries` has a text for each set of matchers, and whether the history can be asked by it.

    `muted` is None where nobody told that it muted an alert.
    """

    silence: Silence
    state: State
    ends_soon: bool
    queries: Sequence[tuple[str, bool]]
    muted: MutedAlerts | None
    firing: Firing


class Inventory(msgspec.Struct, frozen=True):
    """A page. `is_cut`: more silences than `LOOKED_AT` are there, and only so many were looked at.

    `compares_all` is false where more alerts fire than were compared.
    """

    entries: Sequence[Entry]
    next_cursor: str | None
    is_cut: bool
    compares_all: bool


class SilenceInventory:
    """Answers by the silences and the history of a store."""

    def __init__(self, silences: Silences, history: History, *, clock: Clock) -> None:
        self._silences = silences
        self._history = history
        self._clock = clock

    async def counts(self) -> SilenceCounts:
        """How many silences there are. Raises StorageUnavailable, QueryTimeout."""
        now = self._clock()
        return await self._silences.counts(now, soon=now + SOON)

    async def page(self, view: View, *, cursor: str | None = None) -> Inventory:
        """A page of silences. Raises InvalidQuery for a cursor of another view, StorageUnavailable, QueryTimeout."""
        if view in {"unused", "again"}:
            return await self._looked_at(view)
        now = self._clock()
        ends_before = now + SOON if view == "soon" else None
        page = await self._silences.page(_STATES[view], now, limit=SHOWN, cursor=cursor, ends_before=ends_before)
        firing, compares_all = await self._firing(page.silences)
        entries = await self._entries(page.silences, firing)
        return Inventory(entries, page.next_cursor, is_cut=False, compares_all=compares_all)

    async def one(self, silence_id: str) -> Inventory:
        """A page of the silence with that id; without an entry where none is known. Raises as `page`."""
        silences = await self._silences.named([silence_id])
        firing, compares_all = await self._firing(silences)
        entries = await self._entries(silences, firing)
        return Inventory(entries, None, is_cut=False, compares_all=compares_all)

    async def _looked_at(self, view: View) -> Inventory:
        page = await self._silences.page(_STATES[view], self._clock(), limit=LOOKED_AT)
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

    async def _firing(self, silences: Sequence[Silence]) -> tuple[Sequence[StoredAlert], bool]:
        """The newest alerts that fire, to compare with these silences, and whether these are all."""
        if not silences:
            return [], True
        page = await self._history.page(HistoryFilter(status="firing"), PageRequest(limit=FIRING))
        return page.alerts, page.next_cursor is None

    async def _entries(self, silences: Sequence[Silence], firing: Sequence[StoredAlert]) -> list[Entry]:
        muted = await self._silences.muted([each.id for each in silences], newest=_NEWEST)
        return await asyncio.to_thread(lambda: [self._entry(each, muted.get(each.id), firing) for each in silences])

    def _entry(self, silence: Silence, muted: MutedAlerts | None, firing: Sequence[StoredAlert]) -> Entry:
        now = self._clock()
        state = state_of(silence, now)
        return Entry(
            silence=silence,
            state=state,
            ends_soon=state == "active" and silence.ends_at < now + SOON,
            queries=queries_of(silence),
            muted=muted,
            firing=_matching(silence, firing),
        )


def _matching(silence: Silence, firing: Sequence[StoredAlert]) -> Firing:
    matching = SilenceMatching(silence)
    matched = [alert for alert in firing if matching.matches(alert.labels)]
    return Firing(len(matched), matched[:_NEWEST])
