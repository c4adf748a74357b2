"""Searches for words and regexes, newest first: only where a segment may hold a match, and where no segment is.

A search is read piece by piece until the page is full. Each piece is so small that a search can stop in time: then it
says how far it came, and the next page goes on from there.
"""

import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec
from sqlalchemy import ColumnElement, and_, select, true

from alert_history.ports import HistoryFilter, PageRequest
from alert_history.storage.shared import reads
from alert_history.storage.shared.segment_needs import needs_of
from alert_history.storage.shared.session import Session
from alert_history.storage.shared.tables import search_segments, search_strays

SEARCH_SECONDS = 3.0
"""After so long a search returns what it has; a read of the database would fail after 5 s."""

HOLE_ROWS = 8_192
"""So many rows, at most, are looked at at once where no segment is."""

_LEAST_COUNT_SECONDS = 0.03
"""So long a count may take, however long the search took."""

_MOST_STRAYS = 5_000
"""So many strays are looked at; while somebody restores old history there may be more for a time."""

_FIRST_SEGMENTS, _NEXT_SEGMENTS = 32, 4_096
_TICK = timedelta(microseconds=1)
_SLACK = timedelta(milliseconds=1)  # an id may be so much ahead of its time


class Piece(msgspec.Struct, frozen=True):
    """Occurrences of `first` ≤ time < `until` to look at; None is no bound."""

    first: datetime | None
    until: datetime | None
    is_hole: bool = False
    """Whether no segment says how many rows there are."""

    starts: tuple[datetime, datetime] | None = None
    """The lowest and highest `starts_at`, where they are known."""

    strays: tuple[datetime, ...] = ()
    """If there are any, only the occurrences of these times are to be looked at."""


class Scan(Protocol):
    """Reads occurrences of one filter, as each database does it."""

    async def rows(self, piece: Piece, *, limit: int) -> list[Any]:
        """The newest rows of a piece that match and lie behind the cursor of the page."""
        ...

    async def count(self, piece: Piece, *, limit: int | None) -> int:
        """How many rows of a piece match, up to a limit, wherever the cursor is."""
        ...

    async def cut(self, piece: Piece, *, rows: int) -> datetime | None:
        """The time of the row after the newest so many rows of a piece, whether they match or not; None if none."""
        ...


class Search(msgspec.Struct):
    """The rows of a search. `stopped_at` is the time from which on it has looked; None if it came to its end."""

    rows: list[Any]
    stopped_at: datetime | None = None
    seconds: float = 0.0
    """How long it took."""


def is_text_search(wanted: HistoryFilter, sort: reads.Sort) -> bool:
    """Whether the filter asks for what no index finds: a word, or labels other than one value."""
    if sort.text != "-timestamp" or wanted.fingerprint is not None:
        return False
    return bool(wanted.query.words) or any(m.op != "=" or not m.value for m in wanted.query.matchers)


class Pieces:
    """Where matches may be, newest first, found out as far as a search comes; to be read in one snapshot."""

    def __init__(self, session: Session, wanted: HistoryFilter) -> None:
        self._session = session
        self._wanted = wanted
        self._pieces: list[Piece] = []
        self._may_match: ColumnElement[bool] | None = None
        self._strays: list[datetime] = []
        self._known_since: datetime | None = None
        self._until: datetime | None = None
        self._is_complete = False

    async def get(self, place: int) -> Piece | None:
        """The piece at a place, from 0 on; None behind the last."""
        while place >= len(self._pieces) and not self._is_complete:
            await self._look_further()
        return self._pieces[place] if place < len(self._pieces) else None

    async def _look_further(self) -> None:
        """Ask the next segments; at first a few, because most searches end there."""
        limit = _NEXT_SEGMENTS
        if self._may_match is None:
            limit = _FIRST_SEGMENTS
            self._may_match = and_(true(), *(need.condition() for need in await needs_of(self._session, self._wanted)))
            self._strays = [row.at for row in reversed(await self._session.fetch(_STRAYS))]
            self._known_since = self._strays[0] if len(self._strays) >= _MOST_STRAYS else None
        columns = [c for c in search_segments.c if c.name not in {"grams", "complete", "row_count"}]
        older = true() if self._until is None else search_segments.c.first_at < self._until
        newest = select(*columns, self._may_match.label("may_match")).where(older)
        segments = await self._session.fetch_anew(newest.order_by(search_segments.c.first_at.desc()).limit(limit))
        for row in segments:
            self._add_segment(row)
        if len(segments) < limit:
            self._is_complete = True
            self._add(Piece(None, self._until, is_hole=True))

    def _add_segment(self, row: Any) -> None:
        if self._until is None or row.until_at < self._until:
            self._add(Piece(row.until_at, self._until, is_hole=True))
        self._until = row.first_at
        strays = self._strays_in(row)
        if self._known_since is not None and row.first_at <= self._known_since:
            self._add(Piece(row.first_at, row.until_at))  # it may have strays that are not known
        elif row.may_match:
            starts = None if strays else (row.starts_from, row.starts_to)
            self._add(Piece(row.first_at, row.until_at, starts=starts))
        elif strays:
            self._add(Piece(row.first_at, row.until_at, strays=tuple(strays)))

    def _strays_in(self, row: Any) -> list[datetime]:
        while self._strays and self._strays[-1] >= row.until_at:
            self._strays.pop()
        strays: list[datetime] = []
        while self._strays and self._strays[-1] >= row.first_at:
            strays.append(self._strays.pop())
        return strays

    def _add(self, piece: Piece) -> None:
        """Add a piece, if the time range of the filter touches it."""
        since, until = self._wanted.since, self._wanted.until
        is_before = since is not None and piece.until is not None and piece.until <= since - _SLACK
        is_behind = until is not None and piece.first is not None and piece.first >= until + _SLACK
        if not is_before and not is_behind:
            self._pieces.append(piece)


_STRAYS = select(search_strays.c.at).distinct().order_by(search_strays.c.at.desc()).limit(_MOST_STRAYS)


class _Reader:
    """Takes piece after piece, and of a large hole one part after the other."""

    def __init__(self, scan: Scan, pieces: Pieces, *, behind: datetime | None = None) -> None:
        self._scan = scan
        self._pieces = pieces
        self._behind = behind
        self._place = 0
        self._rest: Piece | None = None

    async def next(self) -> Piece | None:
        """The next piece that has rows at the time `behind`, or before it."""
        piece, self._rest = self._rest, None
        while piece is None:
            piece = await self._pieces.get(self._place)
            if piece is None:
                return None
            self._place += 1
            if self._behind is not None and piece.first is not None and piece.first > self._behind:
                piece = None
        return await self._part(piece) if piece.is_hole else piece

    async def _part(self, hole: Piece) -> Piece:
        until = hole.until
        if self._behind is not None and (until is None or until > self._behind):
            until = self._behind + _TICK
        middle = await self._scan.cut(Piece(hole.first, until), rows=HOLE_ROWS)
        middle = None if middle is None else middle + _TICK  # the row at the cut may be one of several at its time
        if middle is None or (until is not None and middle >= until):
            return Piece(hole.first, until, is_hole=True)
        self._rest = Piece(hole.first, middle, is_hole=True)
        return Piece(middle, until, is_hole=True)


async def search(scan: Scan, pieces: Pieces, page: PageRequest, *, behind: datetime | None) -> Search:
    """The rows from the start of the order to the row after the page; `behind` is the time of the cursor."""
    begin = time.monotonic()
    wanted = page.offset + page.limit + 1
    reader = _Reader(scan, pieces, behind=behind)
    result = Search([])
    while len(result.rows) < wanted and (piece := await reader.next()):
        result.rows += await scan.rows(piece, limit=wanted - len(result.rows))
        is_late = time.monotonic() - begin > SEARCH_SECONDS
        if is_late and len(result.rows) < wanted and piece.first is not None:
            result.stopped_at = piece.first
            break
    result.seconds = time.monotonic() - begin
    return result


async def count(scan: Scan, pieces: Pieces, *, bound: int | None, seconds: float | None) -> tuple[int, bool]:
    """How many rows match, and whether that is all: up to one more than `bound`, and as far as so many seconds go."""
    begin, longest = time.monotonic(), 0.0
    reader = _Reader(scan, pieces)
    counted = 0
    while bound is None or counted <= bound:
        at = time.monotonic()
        if seconds is not None and at - begin + longest > seconds:
            return counted, False
        piece = await reader.next()
        if piece is None:
            return counted, True
        counted += await scan.count(piece, limit=None if bound is None else bound + 1 - counted)
        longest = max(longest, time.monotonic() - at)
    return counted, False


async def total_of(
    scan: Scan, pieces: Pieces, result: Search, *, page: PageRequest, is_small: Callable[[], Awaitable[bool]]
) -> tuple[int, bool]:
    """How many match, and whether that is exact: see `reads.COUNT_BOUND`. A search that stopped knows no more."""
    matches = len(result.rows)
    if result.stopped_at is not None:
        return matches, False
    if page.cursor is None and matches <= page.offset + page.limit:
        return matches, True
    if not page.wants_exact_total:
        seconds = max(reads.COUNT_SOME_MS / 1000 - result.seconds, _LEAST_COUNT_SECONDS)
        counted, is_all = await count(scan, pieces, bound=reads.COUNT_BOUND, seconds=seconds)
        if is_all and counted <= reads.COUNT_BOUND:
            return counted, True
        if not await is_small():
            return max(matches, min(counted, reads.COUNT_BOUND)), False
    return await count(scan, pieces, bound=None, seconds=None)
