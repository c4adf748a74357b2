"""Everything that was sent, and what was not, with the reason: page by page, newest first.

Two lists are merged by time: deliveries, in the order in which they were queued, and occurrences with what was not sent
of them, in the order in which they were received. A page reads each from its cursor on, and stops in time: then it says
how far it came. So its cost does not grow with the history, whatever it looks for.
"""

import asyncio
import base64
import binascii
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from datetime import datetime
from time import monotonic
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from alert_history.domain.delivery import Fate, State
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.occurrence import Key
from alert_history.domain.query import Query
from alert_history.engine.history import key_of
from alert_history.engine.notified_entries import Notification, id_ms, not_sent_entries, sent_entry
from alert_history.engine.reach import narrowed
from alert_history.errors import InvalidQuery
from alert_history.ids import lowest_uuid7
from alert_history.ports import (
    Choice,
    Clock,
    DecidedAlert,
    History,
    HistoryFilter,
    NotificationReads,
    PageRequest,
    Place,
    Queued,
    QueuedChunk,
    Stretch,
)

SEARCH_SECONDS = 1.5
"""After so long a page returns what it has, and says down to when it has looked."""

FEW_OCCURRENCES = 200
"""Where a query matches no more occurrences than that, their deliveries alone are looked at."""

_FILTERED_CHUNK, _DECIDED_CHUNK = 2_000, 1_000
_WHOLE_CHUNK = 100
_LATEST_MS = 253_402_300_799_000  # of the year 9999
_ALL = 1 << 30  # entries of an occurrence

_STATES: dict[Fate, State] = {
    "pending": "pending",
    "held": "pending",
    "leased": "leased",
    "delivered": "delivered",
    "superseded": "superseded",
    "withheld": "superseded",
    "dead": "dead",
}


class Wanted(msgspec.Struct, frozen=True):
    """Which entries, and which page of them. All conditions must hold.

    `outcome`: `pending` includes `held`, `superseded` includes `withheld`. A reason that concerns all targets is found
    with each `target`, unless `is_of_target_alone`. `since` ≤ t < `until`, to the millisecond, where t is the time when
    a delivery was first queued, or when an alert that was not sent was first received.
    """

    query: Query = Query((), ())
    fingerprint: str | None = None
    target: str | None = None
    is_of_target_alone: bool = False
    outcome: Fate | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 50
    cursor: str | None = None

    @property
    def within(self) -> Stretch:
        """Its span."""
        return Stretch(self.since, self.until)


class NotificationPage(msgspec.Struct, frozen=True):
    """A page, newest first. `next_cursor` is None on the last one.

    A page that would take too long stops: down to `searched_until` it has found all, and `next_cursor` goes on from
    there, also behind an empty page.
    """

    notifications: list[Notification]
    next_cursor: str | None
    searched_until: datetime | None = None


class _Position(msgspec.Struct, frozen=True, array_like=True):
    """The place of an entry in both lists. Of one millisecond the deliveries come first.

    A delivery has its `id`; of an occurrence there is its place, and how many of its entries are behind.
    """

    ms: Annotated[int, Meta(ge=0, le=_LATEST_MS)]
    id: str | None = None
    place: list[int | str] | None = None
    entries: Annotated[int, Meta(ge=0, le=_ALL)] = 0

    @property
    def rank(self) -> tuple[int, bool]:
        """Higher is newer, and comes first."""
        return self.ms, self.id is not None

    @property
    def time(self) -> datetime:
        """Its millisecond."""
        return from_us(self.ms * 1_000)


class _Item(NamedTuple):
    """An entry at its position; without one, a position down to which a list was looked at."""

    position: _Position
    entry: Notification | None = None


class Notifications:
    """Reads the pages. `page` may raise InvalidQuery, StorageUnavailable or QueryTimeout."""

    def __init__(self, reads: NotificationReads, history: History, *, clock: Clock) -> None:
        self._reads = reads
        self._history = history
        self._clock = clock

    async def page(self, wanted: Wanted) -> NotificationPage:
        """The page behind the cursor of `wanted`."""
        wanted = msgspec.structs.replace(wanted, query=narrowed(wanted.query))
        start = None if wanted.cursor is None else _decoded(wanted.cursor)
        few = await self._few_occurrences(wanted)
        lists: list[AsyncGenerator[_Item, None]] = []
        if wanted.outcome != "not_told":
            lists.append(self._deliveries(wanted, start, few))
        if wanted.outcome in {None, "not_told"}:
            lists.append(self._not_sent(wanted, start, few))
        async with AsyncExitStack() as stack:
            for each in lists:
                await stack.enter_async_context(aclosing(each))
            return await _merged(lists, limit=wanted.limit, deadline=monotonic() + SEARCH_SECONDS)

    async def _few_occurrences(self, wanted: Wanted) -> list[Key] | None:
        """The occurrences that a query matches, where they are few; None where they are many, or there is no query."""
        if not wanted.query.matchers and not wanted.query.words:
            return None
        condition = HistoryFilter(query=wanted.query, fingerprint=wanted.fingerprint, until=wanted.until)
        page = await self._history.page(condition, PageRequest(limit=FEW_OCCURRENCES))
        return None if page.next_cursor is not None else [key_of(alert.id) for alert in page.alerts]

    # --- What was sent ------------------------------------------------------------------------------------------------

    async def _deliveries(
        self, wanted: Wanted, start: _Position | None, few: list[Key] | None
    ) -> AsyncGenerator[_Item, None]:
        state = None if wanted.outcome is None else _STATES[wanted.outcome]
        behind = None if start is None else start.id or lowest_uuid7(start.time)
        while True:
            chunk = await self._chunk(wanted, behind, few)
            rows = [row for row in chunk.rows if state in {None, row.state} and _may_be_wanted(row, wanted)]
            now = self._clock()
            for first in range(0, len(rows), _WHOLE_CHUNK):
                for sent in await self._reads.sent(rows[first : first + _WHOLE_CHUNK]):
                    entry = sent_entry(sent, now=now)
                    if _is_wanted(entry, wanted):
                        yield _Item(_position_of(sent.delivery.id, entry.at), entry)
            if chunk.reached is None:
                return
            behind = chunk.reached
            yield _Item(_position_of(behind, chunk.rows[-1].created_at if chunk.rows else self._clock()))

    async def _chunk(self, wanted: Wanted, behind: str | None, few: list[Key] | None) -> QueuedChunk:
        if few is not None:
            return await self._reads.queued_of(few, wanted.within, behind=behind, most=wanted.limit + 1)
        is_dead = wanted.outcome == "dead"
        choice = Choice(is_dead, wanted.target, wanted.fingerprint) if is_dead or wanted.fingerprint else None
        most = _FILTERED_CHUNK if _is_narrow(wanted) else wanted.limit + 1
        return await self._reads.queued(
            wanted.within, behind=behind, most=most, choice=choice, with_labels=bool(wanted.query.matchers)
        )

    # --- What was not -------------------------------------------------------------------------------------------------

    async def _not_sent(
        self, wanted: Wanted, start: _Position | None, few: list[Key] | None
    ) -> AsyncGenerator[_Item, None]:
        to = None if start is None or start.place is None else tuple(start.place)
        shown = 0 if start is None else start.entries
        within, most = _from(wanted.within, start), wanted.limit + 1
        while True:
            rows = await self._decided(wanted, within, to=to, most=most, few=few)
            for row in rows:
                if start is not None and (_received_ms(row), False) > start.rank:
                    continue
                entries = not_sent_entries(row)
                for number in range(shown if row.place == to else 0, len(entries)):
                    if _is_wanted(entries[number], wanted):
                        yield _Item(_place_of(row, number + 1), entries[number])
            if few is not None or len(rows) < most:
                return
            to, shown, most = rows[-1].place, _ALL, _DECIDED_CHUNK
            yield _Item(_place_of(rows[-1], _ALL))

    async def _decided(
        self, wanted: Wanted, within: Stretch, *, to: Place | None, most: int, few: list[Key] | None
    ) -> Sequence[DecidedAlert]:
        if few is None:
            return await self._reads.decided(within, to=to, most=most, fingerprint=wanted.fingerprint)
        rows = await self._reads.decided_of(few)
        return [row for row in rows if _is_within(row, within) and (to is None or row.place <= to)]


def _is_narrow(wanted: Wanted) -> bool:
    """Whether some of the deliveries may be left out, so that more of them are looked at in one go."""
    return bool(wanted.target or wanted.outcome or wanted.query.matchers or wanted.query.words)


def _may_be_wanted(row: Queued, wanted: Wanted) -> bool:
    """Whether it is worth reading the whole of a delivery."""
    if wanted.target not in {None, row.target}:
        return False
    return row.labels is None or all(matcher.matches(row.labels) for matcher in wanted.query.matchers)


def _is_wanted(entry: Notification, wanted: Wanted) -> bool:
    concerns_all = entry.target is None and not wanted.is_of_target_alone
    if wanted.target is not None and entry.target != wanted.target and not concerns_all:
        return False
    if wanted.outcome in {"held", "withheld"} and entry.outcome != wanted.outcome:
        return False
    return wanted.query.matches(entry.alert.labels, entry.alert.annotations)


def _is_within(row: DecidedAlert, within: Stretch) -> bool:
    since, until = within.since, within.until
    return (since is None or row.received_at >= since) and (until is None or row.received_at < until)


def _from(within: Stretch, start: _Position | None) -> Stretch:
    """Where to look for occurrences behind a delivery: those of its own millisecond come after it."""
    if start is None or start.id is None or start.ms == _LATEST_MS:
        return within
    until = from_us((start.ms + 1) * 1_000)
    return Stretch(within.since, until if within.until is None else min(until, within.until))


def _received_ms(row: DecidedAlert) -> int:
    return to_us(row.received_at) // 1_000


def _place_of(row: DecidedAlert, entries: int) -> _Position:
    return _Position(_received_ms(row), None, list(row.place), entries)


def _position_of(delivery_id: str, at: datetime) -> _Position:
    ms = id_ms(delivery_id)
    return _Position(to_us(at) // 1_000 if ms is None else ms, delivery_id)


# --- Both lists as one ------------------------------------------------------------------------------------------------


async def _merged(lists: Sequence[AsyncGenerator[_Item, None]], *, limit: int, deadline: float) -> NotificationPage:
    """The newest entries of all lists; the page ends when it is full, at the end of the lists, or in time."""
    heads = await _heads(lists)
    entries: list[Notification] = []
    last: _Position | None = None
    while (newest := _newest(heads)) is not None:
        item = heads[newest]
        if item is None:
            break
        if item.entry is None and monotonic() > deadline:
            return NotificationPage(entries, _encoded(item.position), item.position.time)
        if item.entry is not None and len(entries) == limit:
            return NotificationPage(entries, None if last is None else _encoded(last))
        if item.entry is not None:
            entries.append(item.entry)
            last = item.position
        heads[newest] = await anext(lists[newest], None)
    return NotificationPage(entries, None)


async def _heads(lists: Sequence[AsyncGenerator[_Item, None]]) -> list[_Item | None]:
    """The first item of each list; all are read at the same time, and none is left half-read where one fails."""
    heads = await asyncio.gather(*(anext(each, None) for each in lists), return_exceptions=True)
    for head in heads:
        if isinstance(head, BaseException):
            raise head
    return [head for head in heads if not isinstance(head, BaseException)]


def _newest(heads: Sequence[_Item | None]) -> int | None:
    """The number of the list whose head comes first."""
    ranks = [(head.position.rank, -number) for number, head in enumerate(heads) if head is not None]
    return -max(ranks)[1] if ranks else None


def _encoded(position: _Position) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def _decoded(cursor: str) -> _Position:
    """Raises InvalidQuery."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return msgspec.json.decode(raw, type=_Position)
    except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise InvalidQuery("cursor: not a next_cursor of an earlier answer") from error
