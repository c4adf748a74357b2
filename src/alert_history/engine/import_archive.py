"""The archive beside an import: what is over for longer than history is kept goes there, and never into the database.

What the archive holds is joined, as what the database holds. Each file is announced to the database before it gets its
place, with what its rows change in the numbers; one transaction counts that, and says so. Whoever dies in between
leaves a file that is there and not counted, which the next run counts; or no file, and the next run decides its rows
anew.
"""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, date, datetime

import msgspec

from alert_history.domain.archive_tables import (
    ACTS,
    ALERTS,
    EVENTS,
    MANIFESTS,
    Entry,
    FileNote,
    Manifest,
    Row,
    run_name,
)
from alert_history.domain.past_firing import PastFiring
from alert_history.domain.setting_aside import HELD_COLUMNS, changes_of, held_of
from alert_history.engine.archives import archives_elsewhere, note_days
from alert_history.engine.day_files import (
    DayFiles,
    chunks,
    clear_up,
    encode_manifest,
    identity,
    is_there,
    read_manifests,
)
from alert_history.errors import ArchiveFault, InvalidRequest
from alert_history.ports import Archivable, Clock, RowFormat, Shelf, StoredSettings
from alert_history.ports.aside_spool import AsideSpool
from alert_history.ports.import_files import Beside, ImportFile, ImportFiles, Parted
from alert_history.ports.imports import ImportRecord

Beat = Callable[[int], Awaitable[None]]
"""Called with how many more occurrences are in the archive, often while the work goes on."""

CHUNK_ROWS = 5_000
"""The most rows of a file. An import holds more beside them than the archiver, so that its files are smaller."""

_PAGE_ROWS = 500


class Maker(msgspec.Struct, frozen=True):
    """What the manifest of a run says about who wrote it."""

    database: str
    schema_version: str
    service_version: str


class ImportArchive(msgspec.Struct, frozen=True):
    """An archive that an import writes to, and what that needs. `place` is its address, `shelf` keeps its files."""

    place: str
    shelf: Shelf
    format: RowFormat
    maker: Maker
    files: ImportFiles
    archivable: Archivable
    settings: StoredSettings
    clock: Clock
    chunk_rows: int = CHUNK_ROWS


class ArchiveSide:
    """The part of one import that has to do with its archive. What is over before `before` goes there."""

    def __init__(self, archive: ImportArchive, record: ImportRecord, spool: AsideSpool, *, before: datetime) -> None:
        self._archive = archive
        self._files = archive.files
        self._shelf = archive.shelf
        self._record = record
        self._spool = spool
        self._before = before

    async def open(self, beat: Beat, *, is_dry_run: bool) -> int:
        """Read what the archive holds, and finish what a run before left undone; how much of this import is there.

        Raises: InvalidRequest where another archive holds that time; ArchiveFault.
        """
        await self._check_place()
        if not is_dry_run:
            await clear_up(self._shelf)
            for file in await self._files.unsettled(self._archive.place):
                await self._finish(file)
        await self._hold(beat)
        own = [] if is_dry_run else await self._files.of_import(self._record.id)
        return sum(file.rows for file in own if file.table == ALERTS.name)

    async def part(self, groups: Sequence[Sequence[PastFiring]], *, now: datetime, is_dry_run: bool) -> Parted:
        """Bring some label sets in, and set aside what goes to the archive."""
        spooled = await asyncio.to_thread(self._spool.held, groups)
        beside = Beside(self._before, spooled)
        parted = await self._files.part(self._record, groups, now=now, beside=beside, is_dry_run=is_dry_run)
        await asyncio.to_thread(self._spool.put, parted.aside)
        return parted

    async def write(self, beat: Beat) -> None:
        """Write what was set aside, day by day."""
        now, days = self._archive.clock(), await asyncio.to_thread(self._spool.days)
        manifest = Manifest(
            run_name(now, randomness=os.urandom(8)), now, self._before, **msgspec.structs.asdict(self._archive.maker)
        )
        files = DayFiles(self._shelf, self._archive.format, manifest)
        if days is not None:
            await note_days(self._archive.settings, [*map(_day, days)], place=self._archive.place, now=now)
            await self._write_occurrences(files, manifest, beat)
        await self._write_acts(files, manifest)
        manifest.finished_at = self._archive.clock()
        await files.close()

    # --- what is there ----------------------------------------------------------------------------------------------

    async def _check_place(self) -> None:
        """Check that no other archive holds history of that time: what it holds would be brought in a second time."""
        if self._record.oldest is None or self._record.newest is None:
            return
        first, last = _day(self._record.oldest), _day(self._record.newest)
        place, settings = self._archive.place, self._archive.settings
        for other in await archives_elsewhere(settings, place, first_day=first, last_day=last):
            raise InvalidRequest(f"history from between {first} and {last} lies in {other}: give that to --archive")

    async def _hold(self, beat: Beat) -> None:
        """Remember what the archive holds of these label sets; one file is in memory at a time."""
        for name in await self._shelf.names(ALERTS.name):
            if name.endswith(self._archive.format.suffix):
                data = await self._shelf.read(name)
                await asyncio.to_thread(self._hold_rows, data)
                await beat(0)

    def _hold_rows(self, data: bytes) -> None:
        rows = self._archive.format.decode(ALERTS, data, only=HELD_COLUMNS)
        self._spool.hold([held_of(row) for row in rows])

    async def _finish(self, file: ImportFile) -> None:
        """Count a file that got its place, and forget one that did not. One that was taken back is gone for good."""
        is_placed = await is_there(self._shelf, file.path)
        if file.state == "leaving":
            await _take_back(self._archive, file, is_placed=is_placed)
        else:
            await (self._files.settle(file) if is_placed else self._files.forget(file))

    # --- what is new ------------------------------------------------------------------------------------------------

    async def _write_occurrences(self, files: DayFiles, manifest: Manifest, beat: Beat) -> None:
        again: deque[bool] = deque()
        async for chunk in chunks(self._pages(again), ALERTS, limit=self._archive.chunk_rows):
            marks = [again.popleft() for _ in chunk]
            notes = await files.write(ALERTS, chunk, day=ALERTS.day(chunk[0].row))
            changes = await asyncio.to_thread(changes_of, [*zip([each.row for each in chunk], marks, strict=True)])
            places = [number for number, is_again in enumerate(marks) if is_again]
            last = max(each.row[ALERTS.places["last_received_at"]] for each in chunk)
            file = self._file(notes, again=places)
            await self._files.announce(file, changes, last_sign=last)
            await files.place(notes)
            await self._files.settle(file)
            manifest.written[ALERTS.name] = manifest.written.get(ALERTS.name, 0) + len(chunk)
            await beat(len(chunk))

    async def _pages(self, again: deque[bool]) -> AsyncIterator[list[Entry]]:
        while leaving := await asyncio.to_thread(self._spool.leaving, _PAGE_ROWS):
            again += [each.is_again for each in leaving]
            yield [each.entry for each in leaving]

    async def _write_acts(self, files: DayFiles, manifest: Manifest) -> None:
        async for chunk in chunks(self._act_pages(), ACTS, limit=self._archive.chunk_rows):
            day = ACTS.day(chunk[0].row)
            known = await files.known(ACTS, chunk, day=day)
            fresh = {key: each for each in chunk if (key := identity(ACTS, each.row)) not in known}
            if not fresh:
                continue
            notes = await files.write(ACTS, [*fresh.values()], day=day)
            file = self._file(notes)
            await self._files.announce(file, [], last_sign=None)
            await files.place(notes)
            await self._files.settle(file)
            manifest.written[ACTS.name] = manifest.written.get(ACTS.name, 0) + len(fresh)

    async def _act_pages(self) -> AsyncIterator[list[Entry]]:
        while rows := await asyncio.to_thread(self._spool.acts, _PAGE_ROWS):
            yield [*map(Entry, rows)]

    def _file(self, notes: Sequence[FileNote], *, again: Sequence[int] = ()) -> ImportFile:
        """The file that counts of those that are written together: the last one."""
        note = notes[-1]
        return ImportFile(self._record.id, note.path, self._archive.place, note.rows, again)


def _day(time: datetime) -> date:
    return time.astimezone(UTC).date()


# --- taking back ------------------------------------------------------------------------------------------------------


async def take_files_back(
    files: Sequence[ImportFile], open_archive: Callable[[str], ImportArchive] | None, beat: Beat
) -> None:
    """Remove the files that an import brought to archives, and what they count.

    Raises: InvalidRequest where nothing opens an archive, and ArchiveFault where a file is not there, before anything
    of it is removed.
    """
    by_place: dict[str, list[ImportFile]] = {}
    for file in files:
        by_place.setdefault(file.place, []).append(file)
    for place, own in by_place.items():
        if open_archive is None:
            raise InvalidRequest(
                f"import {own[0].import_id} wrote to the archive {place}: take it back where that can be reached, with "
                f"`alert-history import undo {own[0].import_id}`"
            )
        await _take_all_back(open_archive(place), own, beat)


async def _take_all_back(archive: ImportArchive, files: Sequence[ImportFile], beat: Beat) -> None:
    async with archive.archivable.alone():
        placed = {file.path for file in files if await is_there(archive.shelf, file.path)}
        missing = [file for file in files if file.state == "counted" and file.path not in placed]
        if missing:
            raise ArchiveFault(f"{archive.place} does not have {missing[0].path}; say with --archive where it is now")
        await _unlist(archive.shelf, {file.path for file in files})
        for file in files:
            await _take_back(archive, file, is_placed=file.path in placed)
            await beat(file.rows if file.table == ALERTS.name else 0)


async def _take_back(archive: ImportArchive, file: ImportFile, *, is_placed: bool) -> None:
    if is_placed and file.state != "coming":
        await archive.files.withdraw(file, await _rows_of(archive, file))
    for path in _own_paths(file.path):
        await archive.shelf.remove(path)
    await (archive.files.forget(file) if file.state == "coming" else archive.files.settle(file))


async def _rows_of(archive: ImportArchive, file: ImportFile) -> list[Row]:
    """The rows of a file that count in the numbers: those of occurrences."""
    if file.table != ALERTS.name:
        return []
    data = await archive.shelf.read(file.path)
    return await asyncio.to_thread(lambda: [*archive.format.decode(ALERTS, data)])


async def _unlist(shelf: Shelf, paths: set[str]) -> None:
    """Take files out of the manifests that list them. A manifest that lists no other goes, too."""
    gone = {path for each in paths for path in _own_paths(each)}
    for manifest in await read_manifests(shelf):
        left = [note for note in manifest.files if note.path not in gone]
        if len(left) == len(manifest.files):
            continue
        name = f"{MANIFESTS}/{manifest.run}.json"
        manifest.files = left
        await (shelf.write(name, encode_manifest(manifest)) if left else shelf.remove(name))


def _own_paths(path: str) -> list[str]:
    """A file, and the file of events beside it: first the one that counts."""
    folder = f"{ALERTS.name}/"
    events = [f"{EVENTS.name}/{path.removeprefix(folder)}"] if path.startswith(folder) else []
    return [path, *events]
