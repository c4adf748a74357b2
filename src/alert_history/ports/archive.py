"""Old history on its way to an archive and back."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime
from typing import Protocol

from alert_history.domain.archive_tables import Entry, Row, Shape


class Archivable(Protocol):
    """Old history as rows, for an archive. No step holds up ingest for longer than a commit takes."""

    def alone(self) -> AbstractAsyncContextManager[None]:
        """While it lasts, no other process archives, restores or imports into this database. Raises Busy."""
        ...

    async def count(self, shape: Shape, *, before: datetime) -> int | None:
        """How many rows `take` would return; None if counting takes too long."""
        ...

    async def take(self, shape: Shape, *, before: datetime, after: Row | None) -> tuple[list[Entry], Row | None]:
        """A page of the rows older than `before`, in the shape's order, and where the next page begins.

        None: this is the last page. An occurrence is as old as its last receipt. An occurrence with a waiting delivery
        stays in the database, and the deliveries of an occurrence stay with the occurrence.
        """
        ...

    async def drop(self, shape: Shape, entries: Sequence[Entry]) -> int:
        """Remove entries with their events, in one transaction; returns how many. A changed entry stays."""
        ...

    async def put(self, shape: Shape, entries: Sequence[Entry]) -> int:
        """Bring entries back, in one transaction; returns how many. The store skips a key that it has.

        Restored entries notify no target.
        """
        ...

    async def make_room(self, shape: Shape, day: date) -> None:
        """Make the table ready for rows of that day."""
        ...


class Shelf(Protocol):
    """Where an archive keeps its files; names are relative, with slashes. Every call may raise ArchiveFault."""

    async def write(self, name: str, data: bytes) -> None:
        """Write a file durably: the whole file, or nothing."""
        ...

    async def read(self, name: str) -> bytes:
        """A file's content."""
        ...

    async def move(self, name: str, to: str) -> None:
        """Move a file to another name, durably, in one step."""
        ...

    async def remove(self, name: str) -> None:
        """Remove a file, or a folder with all its files. A missing name is no error."""
        ...

    async def names(self, folder: str) -> list[str]:
        """All files in a folder and below, sorted; an empty list for a missing folder."""
        ...


class RowFormat(Protocol):
    """How rows become the bytes of a file, and bytes become rows again."""

    suffix: str
    """The end of the names of such files."""

    def encode(self, shape: Shape, rows: Sequence[Row]) -> bytes:
        """The bytes of a file with these rows."""
        ...

    def decode(self, shape: Shape, data: bytes, *, only: Sequence[str] = ()) -> Iterator[Row]:
        """The rows of a file, in order, one batch in memory at a time; `only` names the columns, none means all.

        Raises: ArchiveFault if the bytes are another kind of file.
        """
        ...
