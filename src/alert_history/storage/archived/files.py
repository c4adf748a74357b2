"""The files of all archives of a database: which there are of which days, and where DuckDB can open them.

Files in a folder are opened where they lie. Those of a bucket are brought into a folder for a time, as whole files,
because DuckDB has no extension here that speaks S3; what was not used longest goes when the folder is full.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from threading import get_ident
from typing import NamedTuple
from weakref import finalize

from alert_history.domain.archive_tables import ALERTS, EVENTS, Shape, day_folder, day_of_path
from alert_history.domain.archived_days import ArchivedDays
from alert_history.errors import ArchiveFault, QueryTimeout
from alert_history.ports import Shelf
from alert_history.storage.shared.shelf import FolderShelf, open_shelf

MOST_BROUGHT_BYTES = 256 * 1024 * 1024
"""So much of buckets lies here at a time."""

_SUFFIX = ".parquet"
_AT_ONCE = 8
_FEW_DAYS = 8
_PATTERN_LETTERS = frozenset("*?[]{}")
_DAY = timedelta(days=1)

Noted = Callable[[], Awaitable[Sequence[ArchivedDays]]]
"""The archives that the database notes."""


class ArchiveFile(NamedTuple):
    """A file of a day. Files sort by day, then by the run that wrote them."""

    day: date
    base: str
    place: str
    table: str

    @property
    def name(self) -> str:
        """Its name on the shelf."""
        return f"{day_folder(self.table, self.day)}/{self.base}"

    @property
    def run(self) -> str:
        """The run that wrote it: of one run no two files hold the same row."""
        return self.base.rpartition("-")[0]

    @property
    def events(self) -> "ArchiveFile":
        """The file beside it, with the events of its occurrences."""
        return self._replace(table=EVENTS.name)


class Days(NamedTuple):
    """Days from the first to the last; None is no bound."""

    first: date | None = None
    last: date | None = None

    @property
    def listed(self) -> list[date] | None:
        """Each of them, where they are few."""
        if self.first is None or self.last is None or self.last - self.first >= _FEW_DAYS * _DAY:
            return None
        return [self.first + number * _DAY for number in range((self.last - self.first).days + 1)]

    def has(self, day: date) -> bool:
        """Whether a day is one of them."""
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)


class ArchiveFiles:
    """Finds files, and brings them where they can be opened. Every call may raise ArchiveFault."""

    def __init__(self, noted: Noted, environ: Mapping[str, str]) -> None:
        self._noted = noted
        self._environ = environ
        self._shelves: dict[str, Shelf] = {}
        self._bringing = asyncio.Lock()

    async def of(self, shape: Shape, days: Days = Days()) -> list[ArchiveFile]:  # noqa: B008  # it can't be changed
        """The files of a table and of some days in all archives, oldest first."""
        places = [each.place for each in await self._noted() if shape is not ALERTS or _may_hold(each, days)]
        listed = await asyncio.gather(*(self._listed(place, shape, days) for place in places))
        return sorted(file for files in listed for file in files)

    async def opened(self, files: Sequence[ArchiveFile]) -> dict[str, ArchiveFile]:
        """These files, in their order, by the paths at which they can be opened. Raises QueryTimeout for too many."""
        paths = {file: self._path(file) for file in files}
        remote = [file for file, path in paths.items() if path is None]
        brought = await self._bring(remote) if remote else {}
        return {str(path or brought[file]): file for file, path in paths.items()}

    def are_near(self, files: Sequence[ArchiveFile]) -> bool:
        """Whether all of them lie where they can be opened."""
        return all(self._path(file) is not None for file in files)

    def _shelf(self, place: str) -> Shelf:
        if place not in self._shelves:
            self._shelves[place] = open_shelf(place, self._environ)
        return self._shelves[place]

    async def _listed(self, place: str, shape: Shape, days: Days) -> list[ArchiveFile]:
        """What lies in a place. Raises ArchiveFault where nothing of the archive is seen from here."""
        shelf = self._shelf(place)
        if isinstance(shelf, FolderShelf) and not await asyncio.to_thread(shelf.path("").is_dir):
            raise ArchiveFault(f"{place}: the archive is not here; the service must see it under the same path")
        few = days.listed
        folders = [shape.name] if few is None else [day_folder(shape.name, day) for day in few]
        found = await asyncio.gather(*(shelf.names(folder) for folder in folders))
        names = ((day_of_path(name), name) for listed in found for name in listed if name.endswith(_SUFFIX))
        return [
            ArchiveFile(day, name.rpartition("/")[2], place, shape.name)
            for day, name in names
            if day is not None and days.has(day)
        ]

    def _path(self, file: ArchiveFile) -> Path | None:
        """Where a file of a folder lies; None where it has to be brought: a pattern would name others as well."""
        shelf = self._shelf(file.place)
        path = shelf.path(file.name) if isinstance(shelf, FolderShelf) else None
        return None if path is None or _PATTERN_LETTERS & set(str(path)) else path

    # --- what is brought ---

    @cached_property
    def _folder(self) -> Path:
        """A folder that is removed when nobody reads archives any more."""
        folder = mkdtemp(prefix="alert-history-archive-")
        finalize(self, rmtree, folder, ignore_errors=True)
        return Path(folder)

    async def _bring(self, files: Sequence[ArchiveFile]) -> dict[ArchiveFile, Path]:
        """Bring what is not there yet, a few at once, and make room before."""
        folder = self._folder
        paths = {file: folder / f"{_digest(file)}{_SUFFIX}" for file in files}
        async with self._bringing:
            await asyncio.to_thread(_make_room, folder, set(paths.values()))
            pairs = list(paths.items())
            for first in range(0, len(pairs), _AT_ONCE):
                await asyncio.gather(*(self._bring_one(*pair) for pair in pairs[first : first + _AT_ONCE]))
        return paths

    async def _bring_one(self, file: ArchiveFile, path: Path) -> None:
        if await asyncio.to_thread(_touch, path):
            return
        data = await self._shelf(file.place).read(file.name)
        if await asyncio.to_thread(_bytes_in, path.parent) + len(data) > MOST_BROUGHT_BYTES:
            megabytes = MOST_BROUGHT_BYTES // 1024 // 1024
            raise QueryTimeout(f"that takes more than {megabytes} MiB of {file.place}; narrow the time")
        await asyncio.to_thread(_write, path, data)


def days_of(since: datetime | None, until: datetime | None) -> Days:
    """The days that have a time of `since` ≤ time < `until`."""
    first = None if since is None else since.astimezone(UTC).date()
    last = None if until is None else (until.astimezone(UTC) - timedelta(microseconds=1)).date()
    return Days(first, last)


def _may_hold(archived: ArchivedDays, days: Days) -> bool:
    is_before = days.last is not None and days.last < archived.first_day
    return not is_before and not (days.first is not None and days.first > archived.last_day)


def _digest(file: ArchiveFile) -> str:
    return sha256(f"{file.place}\n{file.name}".encode()).hexdigest()


def _make_room(folder: Path, wanted: set[Path]) -> None:
    """Remove what was used longest ago until half of the room is free; what is wanted stays."""
    others = sorted((_used_at(path), path) for path in folder.iterdir() if path not in wanted)
    for _, path in others:
        if _bytes_in(folder) <= MOST_BROUGHT_BYTES // 2:
            return
        path.unlink(missing_ok=True)


def _touch(path: Path) -> bool:
    """Note that a file is used; whether it is there."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def _bytes_in(folder: Path) -> int:
    return sum(_size(path) for path in folder.iterdir())


def _size(path: Path) -> int:
    """How many bytes a file has; 0 where it is gone, because another read has put it in place meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _used_at(path: Path) -> float:
    """When a file was used; 0 where it is gone."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _write(path: Path, data: bytes) -> None:
    partial = path.with_suffix(f".{get_ident()}.partial")  # one that was broken off may be writing the same still
    partial.write_bytes(data)
    partial.replace(path)
