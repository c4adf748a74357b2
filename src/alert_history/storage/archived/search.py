"""Searches of archives: which occurrences match, in an order, and how many."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from alert_history.domain.archive_tables import ALERTS
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.occurrence import Key
from alert_history.errors import InvalidQuery, QueryTimeout
from alert_history.ports import ArchivedRows, HistoryFilter, Position, StoredAlert
from alert_history.storage.archived.conditions import FILES, ROW, Part, columns_of, conditions_of, joined, rows_of
from alert_history.storage.archived.doubles import Day, Doubles, Place, days_in, only, without
from alert_history.storage.archived.duck import Duck, Question
from alert_history.storage.archived.files import ArchiveFile, ArchiveFiles, Days, days_of
from alert_history.storage.shared.reads import Sort, check_filter, parse_sort
from alert_history.storage.shared.rows import alert_of
from alert_history.storage.shared.searching import SEARCH_SECONDS

_FIRST_FILES, _MOST_FILES, _MOST_BROUGHT = 8, 512, 32
"""So many files are looked at first, and at most at once; of buckets at most so many."""
_QUICK_SECONDS = 0.3
_EXPORTED_ROWS = 5_000
_TIMES = frozenset({"timestamp", "starts_at", "last_received_at"})
_NUMBERS = frozenset({"repeat_count"})
_DAY = timedelta(days=1)


class _Match(msgspec.Struct, frozen=True, order=True):
    """A row that matches, with what it is sorted by."""

    value: Any
    fingerprint: str
    starts_us: int
    place: Place


class DuckArchivedSearch:
    """See `ports.ArchivedSearch`."""

    def __init__(self, files: ArchiveFiles, duck: Duck, doubles: Doubles) -> None:
        self._files = files
        self._duck = duck
        self._doubles = doubles

    async def rows(
        self, wanted: HistoryFilter, *, sort: str, limit: int, after: Position | None = None
    ) -> ArchivedRows:
        """See `ports.ArchivedSearch.rows`."""
        order = parse_sort(sort)
        check_filter(wanted)
        check_position(after, order)
        files = await self._matching_files(wanted)
        return await self._rows(files, wanted, order=order, limit=limit, after=after)

    async def count(self, wanted: HistoryFilter, *, seconds: float, among: Collection[Key] | None = None) -> int | None:
        """See `ports.ArchivedSearch.count`."""
        check_filter(wanted)
        conditions = conditions_of(wanted)
        if among is not None:
            conditions = joined([conditions, _is_one_of(among)], " AND ")
        try:
            async with asyncio.timeout(seconds):
                groups = self._groups(days_in(await self._matching_files(wanted)), first=_MOST_FILES)
                return sum([await self._count(group, conditions, seconds=seconds) for group in groups])
        except (TimeoutError, QueryTimeout):
            return None

    async def span(self, wanted: HistoryFilter) -> tuple[datetime, datetime] | None:
        """See `ports.ArchivedSearch.span`."""
        files = await self._matching_files(wanted)
        return (_midnight(files[0].day), _midnight(files[-1].day) + _DAY) if files else None

    async def export(self, wanted: HistoryFilter, *, batch_size: int = 1000) -> AsyncIterator[list[StoredAlert]]:
        """See `ports.ArchivedSearch.export`."""
        check_filter(wanted)
        files, order, after = await self._matching_files(wanted), parse_sort("timestamp"), None
        while True:
            rows = await self._rows(files, wanted, order=order, limit=_EXPORTED_ROWS, after=after)
            for first in range(0, len(rows.alerts), batch_size):
                yield list(rows.alerts[first : first + batch_size])
            if rows.is_last:
                return
            after = position_of(rows.alerts[-1], order)

    async def _matching_files(self, wanted: HistoryFilter) -> list[ArchiveFile]:
        """The files that may hold matches: nothing that is archived fires."""
        days = days_of(wanted.since, wanted.until)
        return [] if wanted.status == "firing" else await self._files.of(ALERTS, days)

    async def _rows(
        self, files: Sequence[ArchiveFile], wanted: HistoryFilter, *, order: Sort, limit: int, after: Position | None
    ) -> ArchivedRows:
        """Look at days in the order of the sort until the page is full, or at all where days say nothing of it."""
        started, stopped_at = time.monotonic(), None
        conditions = joined([conditions_of(wanted), *_behind(after, order)], " AND ")
        matches: list[_Match] = []
        is_by_day = order.name == "timestamp"
        groups = self._groups(_days_behind(files, order, after), first=_FIRST_FILES if is_by_day else _MOST_FILES)
        for group in groups:
            if time.monotonic() - started > SEARCH_SECONDS:
                stopped_at = _stop(group, order)
                break
            more = await self._matches(group, conditions, order=order, limit=limit + 1)
            matches = sorted([*matches, *more], reverse=order.is_descending)[: limit + 1]
            if is_by_day and len(matches) > limit:
                break
        alerts = await self._alerts([match.place for match in matches[:limit]])
        if len(matches) > limit:
            stopped_at = None
        return ArchivedRows(alerts, stopped_at is None and len(matches) <= limit, stopped_at)

    def _groups(self, days: Sequence[Day], *, first: int) -> Iterator[list[ArchiveFile]]:
        """Whole days, a few files first, then more while they are read quickly."""
        most, started = first, time.monotonic()
        group: list[ArchiveFile] = []
        for day in days:
            bound = most if self._files.are_near(day) else min(most, _MOST_BROUGHT)
            if group and len(group) + len(day) > bound:
                yield group
                if time.monotonic() - started < _QUICK_SECONDS:
                    most = min(most * 4, _MOST_FILES)
                group, started = [], time.monotonic()
            group.extend(day)
        if group:
            yield group

    async def _matches(
        self, files: Sequence[ArchiveFile], conditions: Part, *, order: Sort, limit: int
    ) -> list[_Match]:
        """The first matches of an order in some files."""
        doubles = await self._doubles.among(_by_day(files))
        paths = await self._files.opened(files)
        rows = without(rows_of(ALERTS, list(paths)), doubles, {file: path for path, file in paths.items()})
        direction = "DESC" if order.is_descending else "ASC"
        selected = f'epoch_us("{order.name}")' if order.name in _TIMES else f'"{order.name}"'
        columns = ", ".join(f'"{name}" {direction}' for name in (order.name, "fingerprint", "starts_at"))
        sql = (
            f"SELECT {selected}, fingerprint, epoch_us(starts_at), {FILES}, {ROW} "
            f"FROM ({rows.sql}) WHERE {conditions.sql} ORDER BY {columns} LIMIT {limit:d}"
        )
        answer = await self._duck.ask(Question(sql, [*rows.values, *conditions.values], list(paths)))
        return [
            _Match(value, fingerprint, starts_us, Place(paths[path], row))
            for value, fingerprint, starts_us, path, row in answer
        ]

    async def _alerts(self, places: Sequence[Place]) -> list[StoredAlert]:
        """The occurrences of some places, in their order."""
        if not places:
            return []
        paths = await self._files.opened(list(dict.fromkeys(place.file for place in places)))
        rows = only(rows_of(ALERTS, list(paths)), places, {file: path for path, file in paths.items()})
        sql = f"SELECT {FILES}, {ROW}, {columns_of(ALERTS)} FROM ({rows.sql})"
        answer = await self._duck.ask(Question(sql, rows.values, list(paths)))
        alerts = {Place(paths[path], row): archived_alert(values) for path, row, *values in answer}
        return [alerts[place] for place in places]

    async def _count(self, files: Sequence[ArchiveFile], conditions: Part, *, seconds: float) -> int:
        doubles = await self._doubles.among(_by_day(files))
        paths = await self._files.opened(files)
        rows = without(rows_of(ALERTS, list(paths)), doubles, {file: path for path, file in paths.items()})
        sql = f"SELECT count(*) FROM ({rows.sql}) WHERE {conditions.sql}"
        question = Question(sql, [*rows.values, *conditions.values], list(paths))
        [(number,)] = await self._duck.ask(question, seconds=seconds)
        return int(number)


def archived_alert(values: Sequence[Any]) -> StoredAlert:
    """The occurrence of a row of `columns_of`."""
    row = dict(zip(ALERTS.places, values, strict=True))
    return msgspec.structs.replace(alert_of(row), is_archived=True)


def position_of(alert: StoredAlert, order: Sort) -> Position:
    """The place behind an occurrence."""
    fingerprint, _, starts_us = alert.id.rpartition("-")
    value = int(starts_us) if order.name == "starts_at" else getattr(alert, order.name)
    return Position(to_us(value) if isinstance(value, datetime) else value, (fingerprint, int(starts_us)))


def check_position(position: Position | None, order: Sort) -> None:
    """Raises InvalidQuery for a place in another order, which only a wrong cursor names."""
    if position is None:
        return
    kind = int if order.name in _TIMES | _NUMBERS else str
    try:
        if type(position.value) is not kind:
            raise InvalidQuery("cursor: not a next_cursor of an earlier answer")
        _value(position, order)
        from_us(position.key[1] if position.key else 0)
    except OverflowError:
        raise InvalidQuery("cursor: not a next_cursor of an earlier answer") from None


def _value(position: Position, order: Sort) -> Any:
    return from_us(int(position.value)) if order.name in _TIMES else position.value


def _behind(position: Position | None, order: Sort) -> list[Part]:
    """The condition for rows behind a place: see `ports.Position`."""
    if position is None:
        return []
    value = _value(position, order)
    if position.key is None:
        return [Part(f'"{order.name}" {"<=" if order.is_descending else ">"} ?', [value])]
    sign = "<" if order.is_descending else ">"
    fingerprint, starts_us = position.key
    whole = f'("{order.name}", fingerprint, starts_at) {sign} (?, ?, ?)'
    return [Part(f'"{order.name}" {sign}= ?', [value]), Part(whole, [value, fingerprint, from_us(starts_us)])]


def _days_behind(files: Sequence[ArchiveFile], order: Sort, after: Position | None) -> list[Day]:
    """The days that may hold rows behind a place, in the order of the sort as far as it is by day."""
    if order.name != "timestamp":
        return days_in(files)
    day = None if after is None else from_us(int(after.value)).date()
    days = Days(last=day) if order.is_descending else Days(first=day)
    behind = days_in(file for file in files if days.has(file.day))
    return behind[::-1] if order.is_descending else behind


def _stop(group: Sequence[ArchiveFile], order: Sort) -> datetime:
    """The time from which on all was looked at, where the days of a group were not. Raises QueryTimeout."""
    if order.text != "-timestamp":
        raise QueryTimeout(f"the archive was searched for {SEARCH_SECONDS:g} s without an end; narrow the time")
    return _midnight(max(file.day for file in group)) + _DAY


def _is_one_of(keys: Collection[Key]) -> Part:
    fingerprints, starts = [key[0] for key in keys], [to_us(key[1]) for key in keys]
    pairs = "SELECT unnest(?::VARCHAR[]), unnest(?::BIGINT[])"
    return Part(f"(fingerprint, epoch_us(starts_at)) IN ({pairs})", [fingerprints, starts])


def _by_day(files: Sequence[ArchiveFile]) -> list[ArchiveFile]:
    return sorted(files)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
