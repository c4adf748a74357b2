"""Bringing history back from an archive. A restore may be repeated, also after it broke off: existing rows stay."""

import asyncio
import itertools
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import PurePosixPath

import structlog

from alert_history.domain.archive_tables import (
    ALERTS,
    BODIES,
    EVENTS,
    SHAPES,
    Entry,
    Row,
    Shape,
    day_folder,
    day_of_path,
    ended_at_last_sign,
)
from alert_history.engine.archive import REST_SECONDS, Observer
from alert_history.engine.day_files import read_manifests
from alert_history.engine.upkeep import Hold
from alert_history.errors import ArchiveFault, NotFound, WouldBeForgotten
from alert_history.ports import Archivable, Clock, RowFormat, Shelf, StoredSettings

_PUT_ROWS = 200
_DAY = timedelta(days=1)

_log = structlog.get_logger()


class Restorer:
    """One restore. `rest_seconds` is the pause between two steps of bringing back."""

    def __init__(
        self,
        store: Archivable,
        settings: StoredSettings,
        *,
        shelf: Shelf,
        format_: RowFormat,
        clock: Clock,
        observe: Observer = lambda _shape, _rows: None,
        rest_seconds: float = REST_SECONDS,
    ) -> None:
        self._store = store
        self._settings = settings
        self._shelf = shelf
        self._format = format_
        self._clock = clock
        self._observe = observe
        self._rest_seconds = rest_seconds
        self._sums: dict[str, str] = {}

    async def run(
        self, *, start: datetime | None, end: datetime | None, retention: timedelta, keep: timedelta | None
    ) -> dict[str, tuple[int, int]]:
        """Bring back the rows from `start` up to `end`; by table, how many rows are new here, and how many were read.

        `retention` is how long the service keeps history; `keep` makes it spare these rows for so long.

        Raises: WouldBeForgotten if `keep` is needed and missing; NotFound if the archive has no such rows; Busy,
        StorageUnavailable, ArchiveFault.
        """
        paths = {shape: await self._paths(shape, start=start, end=end) for shape in (*SHAPES, BODIES)}
        days = [day for by_day in paths.values() for day in by_day]
        if not days:
            raise NotFound("the archive holds nothing of that time")
        await self._make_time(min(days), retention=retention, keep=keep)
        self._sums = {
            note.path: note.sha256 for manifest in await read_manifests(self._shelf) for note in manifest.files
        }
        counts = {}
        async with self._store.alone():
            for shape, by_day in paths.items():
                if by_day:
                    counts[shape.name] = await self._restore(shape, by_day, start=start, end=end)
        _log.info("restored", **{name: new for name, (new, _) in counts.items()})
        return counts

    async def rows(self, *, start: datetime | None, end: datetime | None) -> dict[str, int]:
        """About how many rows the archive has, by table, as the manifests of its runs say."""
        rows: dict[str, int] = {}
        for manifest in await read_manifests(self._shelf):
            for note in manifest.files:
                day = day_of_path(note.path)
                if day is not None and note.table != EVENTS.name and _overlaps(day, start, end):
                    rows[note.table] = rows.get(note.table, 0) + note.rows
        return rows

    async def _make_time(self, oldest: date, *, retention: timedelta, keep: timedelta | None) -> None:
        """Make retention spare the restored rows, as far as it would drop them at once."""
        now, since = self._clock(), _midnight(oldest)
        if since >= now - retention:
            return
        if keep is None:
            raise WouldBeForgotten(
                f"history from {oldest} on is older than RETENTION_DAYS={retention.days} and would be dropped "
                "within a minute; raise RETENTION_DAYS, narrow it with --start, or say how long with --keep-days"
            )
        await Hold(since=since, until=now + keep).widen(self._settings, now)

    async def _paths(self, shape: Shape, *, start: datetime | None, end: datetime | None) -> dict[date, list[str]]:
        """The files of each day, oldest day first; of a day the newest first, because the row archived last counts."""
        days: dict[date, list[str]] = {}
        for name in reversed(await self._shelf.names(shape.name)):
            day = day_of_path(name)
            if day is not None and name.endswith(self._format.suffix) and _overlaps(day, start, end):
                days.setdefault(day, []).append(name)
        return dict(sorted(days.items()))

    async def _restore(
        self, shape: Shape, days: dict[date, list[str]], *, start: datetime | None, end: datetime | None
    ) -> tuple[int, int]:
        new = read = 0
        for day, names in days.items():
            await self._store.make_room(shape, day)
            for name in names:
                for entries in _batches(await self._entries(shape, name)):
                    wanted = [entry for entry in entries if _is_within(_time(shape, entry), start, end)]
                    if shape is ALERTS:
                        wanted = [ended_at_last_sign(entry, self._clock()) for entry in wanted]
                    new += await self._store.put(shape, wanted)
                    read += len(wanted)
                    self._observe(shape, len(entries))
                    await asyncio.sleep(self._rest_seconds)
        return new, read

    async def _entries(self, shape: Shape, name: str) -> Iterator[Entry]:
        """The entries of a file, each occurrence with its events."""
        data = await self._read(name)
        rows = self._format.decode(shape, data)
        if shape is not ALERTS:
            return map(Entry, rows)
        day = day_of_path(name)
        assert day is not None  # noqa: S101  # `_paths` chose it by that
        beside = f"{day_folder(EVENTS.name, day)}/{PurePosixPath(name).name}"
        return _joined(rows, self._format.decode(EVENTS, await self._read(beside)))

    async def _read(self, name: str) -> bytes:
        data = await self._shelf.read(name)
        if name in self._sums and sha256(data).hexdigest() != self._sums[name]:
            raise ArchiveFault(f"{name}: damaged, it is not what its manifest says; take it from a copy, or away")
        return data


def _joined(rows: Iterable[Row], events: Iterator[Row]) -> Iterator[Entry]:
    """Each occurrence with its events: both files have the same order, and an occurrence counts its events."""
    for row in rows:
        count: int = row[ALERTS.places["events"]]
        own = tuple(itertools.islice(events, count))
        key = ALERTS.values(row, ALERTS.key)
        if len(own) < count or any(event[:2] != key for event in own):
            raise ArchiveFault(f"the events beside occurrence {key[0]} are not its own; the file was changed")
        yield Entry(row, own)


def _batches(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    while batch := list(itertools.islice(entries, _PUT_ROWS)):
        yield batch


def _time(shape: Shape, entry: Entry) -> datetime:
    time: datetime = entry.row[shape.places[shape.time]]
    return time


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _is_within(time: datetime, start: datetime | None, end: datetime | None) -> bool:
    return (start is None or time >= start) and (end is None or time < end)


def _overlaps(day: date, start: datetime | None, end: datetime | None) -> bool:
    since = _midnight(day)
    return (end is None or since < end) and (start is None or since + _DAY > start)
