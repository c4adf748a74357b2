"""Moving old history into an archive: rows are written, read back, put in place, and then removed from the database.

A run may end anywhere. A file in `_incomplete` counts for nothing; a file in its place is whole and was read back.
The next run removes rows that an earlier run has archived from the database, and writes only the others. Each step is
short, so ingest goes on, and memory stays the same for any history: a chunk is one file, and at most one file is
compared at a time.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta

import structlog

from alert_history.domain.archive_tables import BODIES, SHAPES, Entry, Manifest, Row, Shape, run_name
from alert_history.engine.day_files import CHUNK_ROWS, DayFiles, chunks, clear_up, identity
from alert_history.errors import InvalidQuery
from alert_history.ports import Archivable, Clock, RowFormat, Shelf

YOUNGEST = timedelta(days=1)
"""History that is younger than this still changes, so the archiver refuses it."""

REST_SECONDS = 0.02
"""Between two steps of removing or restoring rows: ingest has the database to itself meanwhile."""

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
        files = DayFiles(self._shelf, self._format, manifest)
        async with self._store.alone():
            await clear_up(self._shelf)
            for shape in (*SHAPES, BODIES) if with_bodies else SHAPES:
                async for chunk in chunks(self._pages(shape, before), shape, limit=self._chunk_rows):
                    await self._move(shape, chunk, files=files, manifest=manifest)
            manifest.finished_at = self._clock()
            await files.close()
        _log.info("archived", run=manifest.run, **manifest.removed)
        return manifest

    async def _pages(self, shape: Shape, before: datetime) -> AsyncIterator[list[Entry]]:
        """The entries to archive, oldest first, a page at a time."""
        after: Row | None = None
        while True:
            page, after = await self._store.take(shape, before=before, after=after)
            yield page
            if after is None:
                break

    async def _move(self, shape: Shape, chunk: Sequence[Entry], *, files: DayFiles, manifest: Manifest) -> None:
        """Archive a chunk of one day, then remove it from the database."""
        day = shape.day(chunk[0].row)
        known = await files.known(shape, chunk, day=day)
        fresh = [entry for entry in chunk if identity(shape, entry.row) not in known]
        if fresh:
            await files.place(await files.write(shape, fresh, day=day))
        removed = await self._take_out(shape, chunk)
        counts = (manifest.written, len(fresh)), (manifest.found, len(chunk) - len(fresh))
        for count, rows in (*counts, (manifest.removed, removed), (manifest.left, len(chunk) - removed)):
            count[shape.name] = count.get(shape.name, 0) + rows

    async def _take_out(self, shape: Shape, chunk: Sequence[Entry]) -> int:
        removed = 0
        for start in range(0, len(chunk), _DROP_ROWS):
            step = chunk[start : start + _DROP_ROWS]
            removed += await self._store.drop(shape, step)
            self._observe(shape, len(step))
            await asyncio.sleep(self._rest_seconds)
        return removed
