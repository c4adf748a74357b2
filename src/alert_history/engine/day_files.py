"""The files of one run of an archive: written beside their place, read back, noted, and put in place; one day a file.

A run may end anywhere. A file in `_incomplete` counts for nothing; a file in its place is whole and was read back.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import date
from hashlib import sha256
from pathlib import PurePosixPath

import msgspec

from alert_history.domain.archive_tables import (
    ALERTS,
    EVENTS,
    INCOMPLETE,
    MANIFESTS,
    PARTIAL,
    WRITING,
    Entry,
    FileNote,
    Manifest,
    Row,
    Shape,
    day_folder,
    rows_digest,
    weight,
)
from alert_history.errors import ArchiveFault
from alert_history.ports import RowFormat, Shelf

CHUNK_ROWS = 10_000
CHUNK_BYTES = 16 * 1024 * 1024


class DayFiles:
    """The files of one run; `manifest` lists them."""

    def __init__(self, shelf: Shelf, format_: RowFormat, manifest: Manifest) -> None:
        self._shelf = shelf
        self._format = format_
        self._manifest = manifest

    async def write(self, shape: Shape, entries: Sequence[Entry], *, day: date) -> list[FileNote]:
        """Write rows of one day beside their place, and read them back: events first, then their occurrences.

        Raises: ArchiveFault where something else was read back.
        """
        stem = f"part-{self._manifest.run}-{len(self._manifest.files):05}{self._format.suffix}"
        tables = [(shape, [entry.row for entry in entries])]
        if shape is ALERTS:
            tables.insert(0, (EVENTS, [event for entry in entries for event in entry.events]))
        notes = []
        for table, rows in tables:
            path = f"{day_folder(table.name, day)}/{stem}"
            notes.append(await self._write_verified(table, rows, path=path))
        self._manifest.files.extend(notes)
        return notes

    async def place(self, notes: Sequence[FileNote]) -> None:
        """Put files that were written in their place. The file of occurrences comes last, and makes them count."""
        await self._note()
        for note in notes:
            await self._shelf.move(_incomplete(self._manifest.run, note.path), note.path)

    async def known(self, shape: Shape, entries: Sequence[Entry], *, day: date) -> set[Row]:
        """The identities of those entries that the archive holds already, unchanged, from another run.

        The files of this run are left out, because a run takes every row once.
        """
        wanted = {identity(shape, entry.row) for entry in entries}
        known: set[Row] = set()
        for name in await self._shelf.names(day_folder(shape.name, day)):
            if name.endswith(self._format.suffix) and self._manifest.run not in name:
                data = await self._shelf.read(name)
                known |= await asyncio.to_thread(_common, self._format, shape, data, wanted)
        return known

    async def close(self) -> None:
        """Place the manifest of a run that moved something, and remove all unfinished files."""
        manifest = self._manifest
        if any(manifest.removed.values()) or manifest.files:
            await self._shelf.write(f"{MANIFESTS}/{manifest.run}.json", encode_manifest(manifest))
        await self._shelf.remove(f"{MANIFESTS}/{manifest.run}.json{PARTIAL}")
        await self._shelf.remove(INCOMPLETE)

    async def _write_verified(self, shape: Shape, rows: Sequence[Row], *, path: str) -> FileNote:
        """Write a file beside its place, and check that it holds these rows. Raises ArchiveFault if it differs."""
        data = await asyncio.to_thread(self._format.encode, shape, rows)
        digest = await asyncio.to_thread(rows_digest, rows)
        note = FileNote(path, shape.name, len(rows), len(data), sha256(data).hexdigest(), digest)
        name = _incomplete(self._manifest.run, path)
        await self._shelf.write(name, data)
        stored = await self._shelf.read(name)
        if sha256(stored).hexdigest() != note.sha256:
            raise ArchiveFault(f"{path}: what was read back is not what was written; nothing was removed")
        if await asyncio.to_thread(lambda: rows_digest(self._format.decode(shape, stored))) != digest:
            raise ArchiveFault(f"{path}: its rows are not those of the database; nothing was removed")
        return note

    async def _note(self) -> None:
        name = f"{MANIFESTS}/{self._manifest.run}.json{PARTIAL}"
        await self._shelf.write(name, encode_manifest(self._manifest))


async def chunks(pages: AsyncIterator[Sequence[Entry]], shape: Shape, *, limit: int) -> AsyncIterator[list[Entry]]:
    """Entries that come in the order of days, in chunks of one day and of bounded size."""
    chunk: list[Entry] = []
    chunk_bytes = 0
    async for page in pages:
        for entry in page:
            is_full = len(chunk) >= limit or chunk_bytes >= CHUNK_BYTES
            if chunk and (is_full or shape.day(entry.row) != shape.day(chunk[0].row)):
                yield chunk
                chunk, chunk_bytes = [], 0
            chunk.append(entry)
            chunk_bytes += weight(entry)
    if chunk:
        yield chunk


def identity(shape: Shape, row: Row) -> Row:
    """What names a row in the state in which it is."""
    return shape.values(row, (*shape.key, *shape.version))


async def read_manifests(shelf: Shelf) -> list[Manifest]:
    """The manifests of all runs, oldest first. Raises ArchiveFault on a manifest that can't be read."""
    manifests = []
    for name in await shelf.names(MANIFESTS):
        if name.endswith(WRITING):
            continue
        try:
            manifests.append(msgspec.json.decode(await shelf.read(name), type=Manifest))
        except msgspec.MsgspecError as error:
            raise ArchiveFault(f"{name}: no manifest of ours: {error}") from error
    return manifests


def encode_manifest(manifest: Manifest) -> bytes:
    """A manifest as JSON that a person can read, too."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


async def clear_up(shelf: Shelf) -> None:
    """Remove the unfinished files of a run that broke off; its manifest then lists only the files that were placed."""
    await shelf.remove(INCOMPLETE)
    for name in await shelf.names(MANIFESTS):
        if name.endswith(WRITING):
            await shelf.remove(name)
        elif name.endswith(PARTIAL):
            manifest = msgspec.json.decode(await shelf.read(name), type=Manifest)
            manifest.files = [note for note in manifest.files if await _counts(shelf, note)]
            await shelf.write(name.removesuffix(PARTIAL), encode_manifest(manifest))
            await shelf.remove(name)


async def is_there(shelf: Shelf, path: str) -> bool:
    """Whether a file has its place."""
    return path in await shelf.names(str(PurePosixPath(path).parent))


async def _counts(shelf: Shelf, note: FileNote) -> bool:
    """Whether a file got its place. A file of events is removed where the file of its occurrences is missing."""
    if note.table != EVENTS.name:
        return await is_there(shelf, note.path)
    if await is_there(shelf, f"{ALERTS.name}{note.path.removeprefix(EVENTS.name)}"):
        return True
    await shelf.remove(note.path)
    return False


def _incomplete(run: str, path: str) -> str:
    """Where a file lies before it counts; its name keeps it out of every `*.parquet`."""
    return f"{INCOMPLETE}/{run}/{path.replace('/', '_')}{PARTIAL}"


def _common(format_: RowFormat, shape: Shape, data: bytes, wanted: Collection[Row]) -> set[Row]:
    """The wanted rows that a file holds; one batch of the file is in memory at a time."""
    names = (*shape.key, *shape.version)
    return set(wanted).intersection(format_.decode(shape, data, only=names))
