"""Moving old history into an archive: rows are written, read back, put in place, and then removed from the database.

A run may end anywhere. A file in `_incomplete` counts for nothing; a file in its place is whole and was read back.
The next run removes rows that an earlier run has archived from the database, and writes only the others. Each step is
short, so ingest goes on, and memory stays the same for any history: a chunk is one file, and at most one file is
compared at a time.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import date, datetime, timedelta
from hashlib import sha256
from pathlib import PurePosixPath

import msgspec
import structlog

from alert_history.domain.archive_tables import (
    ALERTS,
    BODIES,
    EVENTS,
    INCOMPLETE,
    MANIFESTS,
    PARTIAL,
    SHAPES,
    Entry,
    FileNote,
    Manifest,
    Row,
    Shape,
    day_folder,
    rows_digest,
    run_name,
    weight,
)
from alert_history.errors import ArchiveFault, InvalidQuery
from alert_history.ports import Archivable, Clock, RowFormat, Shelf

YOUNGEST = timedelta(days=1)
"""History that is younger than this still changes, so the archiver refuses it."""

REST_SECONDS = 0.02
"""Between two steps of removing or restoring rows: ingest has the database to itself meanwhile."""

CHUNK_ROWS = 10_000
CHUNK_BYTES = 16 * 1024 * 1024
_DROP_ROWS = 200

_log = structlog.get_logger()

Observer = Callable[[Shape, int], None]
"""Called with how many more rows of a table are done."""


class Archiver:
    """One run. `chunk_rows` bounds a file, `rest_seconds` is the pause between two steps of removing rows."""

    def __init__(
        self,
        store: Archivable,
        shelf: Shelf,
        *,
        format_: RowFormat,
        clock: Clock,
        observe: Observer = lambda _shape, _rows: None,
        chunk_rows: int = CHUNK_ROWS,
        rest_seconds: float = REST_SECONDS,
    ) -> None:
        self._store = store
        self._shelf = shelf
        self._format = format_
        self._clock = clock
        self._observe = observe
        self._chunk_rows = chunk_rows
        self._rest_seconds = rest_seconds

    async def run(
        self, before: datetime, *, database: str, schema_version: str, service_version: str, with_bodies: bool = False
    ) -> Manifest:
        """Archive the rows that were last received before `before`.

        Raises: InvalidQuery if that time is younger than `YOUNGEST`; Busy, StorageUnavailable, ArchiveFault.
        """
        now = self._clock()
        if before > now - YOUNGEST:
            raise InvalidQuery("before: what was received in the last 24 hours is still changing; name an earlier time")
        manifest = Manifest(
            run=run_name(now, randomness=os.urandom(8)),
            started_at=now,
            before=before,
            database=database,
            schema_version=schema_version,
            service_version=service_version,
        )
        async with self._store.alone():
            await _clear_up(self._shelf)
            for shape in (*SHAPES, BODIES) if with_bodies else SHAPES:
                async for chunk in _chunks(self._store, shape, before=before, limit=self._chunk_rows):
                    await self._move(shape, chunk, manifest=manifest)
            await self._close(manifest)
        return manifest

    async def _move(self, shape: Shape, chunk: Sequence[Entry], *, manifest: Manifest) -> None:
        """Archive a chunk of one day, then remove it from the database."""
        day = shape.day(chunk[0].row)
        known = await self._known(shape, chunk, day=day, run=manifest.run)
        fresh = [entry for entry in chunk if _identity(shape, entry.row) not in known]
        if fresh:
            await self._write(shape, fresh, day=day, manifest=manifest)
        removed = await self._take_out(shape, chunk)
        counts = (manifest.written, len(fresh)), (manifest.found, len(chunk) - len(fresh))
        for count, rows in (*counts, (manifest.removed, removed), (manifest.left, len(chunk) - removed)):
            count[shape.name] = count.get(shape.name, 0) + rows

    async def _write(self, shape: Shape, entries: Sequence[Entry], *, day: date, manifest: Manifest) -> None:
        """Write, read back, note and place files: events first, because the file of occurrences makes them count."""
        stem = f"part-{manifest.run}-{len(manifest.files):05}{self._format.suffix}"
        tables = [(shape, [entry.row for entry in entries])]
        if shape is ALERTS:
            tables.insert(0, (EVENTS, [event for entry in entries for event in entry.events]))
        notes = []
        for table, rows in tables:
            path = f"{day_folder(table.name, day)}/{stem}"
            notes.append(await self._write_verified(table, rows, path=path, run=manifest.run))
        manifest.files += notes
        await self._note(manifest)
        for note in notes:
            await self._shelf.move(_incomplete(manifest.run, note.path), note.path)

    async def _write_verified(self, shape: Shape, rows: Sequence[Row], *, path: str, run: str) -> FileNote:
        """Write a file beside its place, and check that it holds these rows. Raises ArchiveFault if it differs."""
        data = await asyncio.to_thread(self._format.encode, shape, rows)
        digest = await asyncio.to_thread(rows_digest, rows)
        note = FileNote(path, shape.name, len(rows), len(data), sha256(data).hexdigest(), digest)
        name = _incomplete(run, path)
        await self._shelf.write(name, data)
        stored = await self._shelf.read(name)
        if sha256(stored).hexdigest() != note.sha256:
            raise ArchiveFault(f"{path}: what was read back is not what was written; nothing was removed")
        if await asyncio.to_thread(lambda: rows_digest(self._format.decode(shape, stored))) != digest:
            raise ArchiveFault(f"{path}: its rows are not those of the database; nothing was removed")
        return note

    async def _known(self, shape: Shape, chunk: Sequence[Entry], *, day: date, run: str) -> set[Row]:
        """The rows of a chunk that the archive holds already, unchanged, from a run that broke off or was restored.

        The files of this run are left out, because a run takes every row once.
        """
        wanted = {_identity(shape, entry.row) for entry in chunk}
        known: set[Row] = set()
        for name in await self._shelf.names(day_folder(shape.name, day)):
            if name.endswith(self._format.suffix) and run not in name:
                data = await self._shelf.read(name)
                known |= await asyncio.to_thread(_common, self._format, shape, data, wanted)
        return known

    async def _take_out(self, shape: Shape, chunk: Sequence[Entry]) -> int:
        removed = 0
        for start in range(0, len(chunk), _DROP_ROWS):
            step = chunk[start : start + _DROP_ROWS]
            removed += await self._store.drop(shape, step)
            self._observe(shape, len(step))
            await asyncio.sleep(self._rest_seconds)
        return removed

    async def _note(self, manifest: Manifest) -> None:
        await self._shelf.write(f"{MANIFESTS}/{manifest.run}.json{PARTIAL}", encode_manifest(manifest))

    async def _close(self, manifest: Manifest) -> None:
        """Place the manifest of a run that moved something, and remove all unfinished files."""
        manifest.finished_at = self._clock()
        if any(manifest.removed.values()) or manifest.files:
            await self._shelf.write(f"{MANIFESTS}/{manifest.run}.json", encode_manifest(manifest))
        await self._shelf.remove(f"{MANIFESTS}/{manifest.run}.json{PARTIAL}")
        await self._shelf.remove(INCOMPLETE)
        _log.info("archived", run=manifest.run, **manifest.removed)


async def read_manifests(shelf: Shelf) -> list[Manifest]:
    """The manifests of all runs, oldest first. Raises ArchiveFault on a manifest that can't be read."""
    manifests = []
    for name in await shelf.names(MANIFESTS):
        try:
            manifests.append(msgspec.json.decode(await shelf.read(name), type=Manifest))
        except msgspec.MsgspecError as error:
            raise ArchiveFault(f"{name}: no manifest of ours: {error}") from error
    return manifests


def encode_manifest(manifest: Manifest) -> bytes:
    """A manifest as JSON that a person can read, too."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def _incomplete(run: str, path: str) -> str:
    """Where a file lies before it counts; its name keeps it out of every `*.parquet`."""
    return f"{INCOMPLETE}/{run}/{path.replace('/', '_')}{PARTIAL}"


def _identity(shape: Shape, row: Row) -> Row:
    return shape.values(row, (*shape.key, *shape.version))


def _common(format_: RowFormat, shape: Shape, data: bytes, wanted: set[Row]) -> set[Row]:
    """The wanted rows that a file holds; one batch of the file is in memory at a time."""
    names = (*shape.key, *shape.version)
    return wanted.intersection(format_.decode(shape, data, only=names))


async def _chunks(store: Archivable, shape: Shape, *, before: datetime, limit: int) -> AsyncIterator[list[Entry]]:
    """The entries to archive, oldest first, in chunks of one day and of bounded size."""
    chunk: list[Entry] = []
    chunk_bytes = 0
    after: Row | None = None
    while True:
        page, after = await store.take(shape, before=before, after=after)
        for entry in page:
            is_full = len(chunk) >= limit or chunk_bytes >= CHUNK_BYTES
            if chunk and (is_full or shape.day(entry.row) != shape.day(chunk[0].row)):
                yield chunk
                chunk, chunk_bytes = [], 0
            chunk.append(entry)
            chunk_bytes += weight(entry)
        if after is None:
            break
    if chunk:
        yield chunk


async def _clear_up(shelf: Shelf) -> None:
    """Remove the unfinished files of a run that broke off; its manifest then lists only the files that were placed."""
    await shelf.remove(INCOMPLETE)
    for name in await shelf.names(MANIFESTS):
        if name.endswith(PARTIAL):
            manifest = msgspec.json.decode(await shelf.read(name), type=Manifest)
            manifest.files = [note for note in manifest.files if await _counts(shelf, note)]
            await shelf.write(name.removesuffix(PARTIAL), encode_manifest(manifest))
            await shelf.remove(name)


async def _counts(shelf: Shelf, note: FileNote) -> bool:
    """Whether a file got its place. A file of events is removed where the file of its occurrences is missing."""
    if note.table != EVENTS.name:
        return await _is_there(shelf, note.path)
    if await _is_there(shelf, f"{ALERTS.name}{note.path.removeprefix(EVENTS.name)}"):
        return True
    await shelf.remove(note.path)
    return False


async def _is_there(shelf: Shelf, path: str) -> bool:
    return path in await shelf.names(str(PurePosixPath(path).parent))
