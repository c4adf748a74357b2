"""What of an import goes to an archive: the files that it brings there, each of which is counted once."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from alert_history.domain.archive_tables import Row
from alert_history.domain.past_firing import PastFiring
from alert_history.domain.setting_aside import Aside, Held
from alert_history.ports.imports import ImportCounts, ImportRecord

FileState = Literal["coming", "counted", "leaving"]


class ImportFile(msgspec.Struct, frozen=True):
    """A file that an import brings to the archive at `place`, under the name `path`.

    `coming`: its rows count once it is there; `leaving`: they count until it is gone. `again` are the places of those
    of its rows that began soon after the firing before them.
    """

    import_id: str
    path: str
    place: str
    rows: int
    again: Sequence[int] = ()
    state: FileState = "coming"

    @property
    def table(self) -> str:
        """The table of the archive that it belongs to."""
        return self.path.partition("/")[0]


class Beside(msgspec.Struct, frozen=True):
    """The archive beside the database: what is over before a time goes there; `held` it holds, by label set."""

    before: datetime
    held: Mapping[str, Sequence[Held]]


class Parted(msgspec.Struct, frozen=True):
    """What became of a step: `counts` of what the database took, and what goes to the archive."""

    counts: ImportCounts
    aside: Aside


class ImportFiles(Protocol):
    """Every call may raise StorageUnavailable."""

    async def part(
        self,
        record: ImportRecord,
        groups: Sequence[Sequence[PastFiring]],
        *,
        now: datetime,
        beside: Beside,
        is_dry_run: bool = False,
    ) -> Parted:
        """As `Imports.take`, but what is new and over before a time is not written: it is returned.

        What overlaps an occurrence that the archive holds is joined with it; that occurrence stays as it is.
        """
        ...

    async def announce(self, file: ImportFile, changes: Sequence[bytes], *, last_sign: datetime | None) -> None:
        """Note that a file is coming, and what it will change in the numbers, before it gets its place.

        `last_sign` is the latest of its rows: from then on the history of that time is not whole in the database.
        """
        ...

    async def withdraw(self, file: ImportFile, rows: Sequence[Row]) -> None:
        """Note that a file with these rows of occurrences is leaving, before it is removed.

        A row that came back into the database stays counted, as the database's own.
        """
        ...

    async def settle(self, file: ImportFile) -> None:
        """Count a file that came, or count a file that left no more and forget it; in one transaction, and once."""
        ...

    async def forget(self, file: ImportFile) -> None:
        """Forget a file that never got its place, or that changes no number."""
        ...

    async def of_import(self, import_id: str) -> list[ImportFile]:
        """The files of an import, in the order of their names."""
        ...

    async def unsettled(self, place: str) -> list[ImportFile]:
        """The files of all imports that come to a place or leave it: one that breaks off does not settle its file."""
        ...
