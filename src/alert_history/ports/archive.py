"""Old history on its way to an archive and back."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime
from typing import Protocol

from alert_history.domain.archive import Entry, Row, Shape


class Archivable(Protocol):
    """Old history as rows, for an archive. No step holds up ingest for longer than a commit takes."""

    def alone(self) -> AbstractAsyncContextManager[None]:
        """While it lasts, nobody else archives or restores this database. Raises Busy."""
        ...

    async def count(self, shape: Shape, *, before: datetime) -> int | None:
        """How many rows `take` would give; None if counting takes too long."""
        ...

    async def take(self, shape: Shape, *, before: datetime, after: Row | None) -> tuple[list[Entry], Row | None]:
        """A page of what is older than `before`, in the shape's order, and where the next one begins.

        None: that was the last page. Occurrences are as old as they were last received; what is still to be delivered
        stays, and so do the deliveries of occurrences that stay.
        """
        ...

    async def drop(self, shape: Shape, entries: Sequence[Entry]) -> int:
        """Remove these, each with its events, unless it changed since it was taken; how many, in one transaction."""
        ...

    async def put(self, shape: Shape, entries: Sequence[Entry]) -> int:
        """Bring these back, except those whose key is there; how many, in one transaction. Nobody is told of them."""
        ...

    async def make_room(self, shape: Shape, day: date) -> None:
        """Get ready to be given rows of that day."""
        ...


class Shelf(Protocol):
    """Where the files of an archive lie; names are relative, with slashes. Every call may raise ArchiveFault."""

    async def write(self, name: str, data: bytes) -> None:
        """Keep a file, whole and durably, or not at all."""
        ...

    async def read(self, name: str) -> bytes:
        """A file's content."""
        ...

    async def move(self, name: str, to: str) -> None:
        """Give a file its place, durably, in one step."""
        ...

    async def remove(self, name: str) -> None:
        """Remove a file, or a folder with all in it; nothing if it isn't there."""
        ...

    async def names(self, folder: str) -> list[str]:
        """All files in a folder and below, sorted; none if there is no such folder."""
        ...


class RowFormat(Protocol):
    """How rows become the bytes of a file, and rows again."""

    suffix: str
    """What names of such files end with."""

    def encode(self, shape: Shape, rows: Sequence[Row]) -> bytes:
        """The file."""
        ...

    def decode(self, shape: Shape, data: bytes, *, only: Sequence[str] = ()) -> Iterator[Row]:
        """Its rows in order (of `only` some columns, if any are named), one batch in memory at a time.

        Raises: ArchiveFault if it is no such file.
        """
        ...
