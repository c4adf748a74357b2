"""Imports as the database keeps them: what each is, and the past that it brings in."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from alert_history.domain.past_firing import PastFiring, RefusedRow

ImportState = Literal["running", "done", "failed", "undone"]


class ImportCounts(msgspec.Struct, frozen=True):
    """What became of what an import read.

    `read` firings and refused rows, as the origin gave them; `taken`: new occurrences; `joined`: firings that the
    history has already, of which `corrected` changed a start or an end; `merged`: pieces of another firing of the same
    import; `refused` rows; `acts` of people; `silences`; `archived`: occurrences that went to an archive instead.
    """

    read: int = 0
    taken: int = 0
    joined: int = 0
    corrected: int = 0
    merged: int = 0
    refused: int = 0
    acts: int = 0
    silences: int = 0
    archived: int = 0

    def plus(self, other: "ImportCounts") -> "ImportCounts":
        """The sums."""
        return ImportCounts(*(a + b for a, b in zip(_values(self), _values(other), strict=True)))


def _values(counts: ImportCounts) -> tuple[int, ...]:
    return msgspec.structs.astuple(counts)


class ImportRecord(msgspec.Struct, frozen=True):
    """One import. `what` says what was asked, without secrets, as a person reads it: `prometheus http://p:9090`.

    `share` is which part of the work is done, 0 to 1; None while nobody knows. `phase` is `reading` or `writing`.
    `beat_at` is when the process that imports last said so; `fault` why it failed. `oldest` and `newest` bound the
    starts of what was taken. `reasons` are why rows were refused, with how many, the most frequent first.
    """

    id: str
    origin: str
    what: str
    state: ImportState
    started_at: datetime
    by: str = ""
    phase: Literal["reading", "writing"] = "reading"
    share: float | None = None
    beat_at: datetime | None = None
    finished_at: datetime | None = None
    fault: str | None = None
    counts: ImportCounts = ImportCounts()
    oldest: datetime | None = None
    newest: datetime | None = None
    reasons: Sequence[tuple[str, int]] = ()


class Imports(Protocol):
    """Every call may raise StorageUnavailable; reads may raise QueryTimeout."""

    async def begin(self, record: ImportRecord) -> ImportRecord:
        """Keep a new import, or take up the unfinished one of the same origin and `what`, which is returned.

        Raises: Busy where a process that lives is at that import.
        """
        ...

    async def note(self, record: ImportRecord) -> None:
        """Keep how far an import is. Only its own process calls this."""
        ...

    async def take(
        self, record: ImportRecord, groups: Sequence[Sequence[PastFiring]], *, now: datetime, is_dry_run: bool = False
    ) -> ImportCounts:
        """Bring in all firings of some label sets, one group a label set, by start, in one transaction.

        What overlaps or touches an occurrence that is there is joined with it, by `domain.importing`. Nothing is
        published. The numbers and the label values follow. In a dry run nothing is written.
        """
        ...

    async def refuse(self, record: ImportRecord, rows: Sequence[RefusedRow], *, now: datetime) -> int:
        """Put rows into the quarantine; how many are new there: a row that an import refused before is not repeated."""
        ...

    async def take_back(self, record: ImportRecord, *, now: datetime) -> int:
        """One step of taking an import back; how many occurrences and changes it took back, 0 when all are.

        An occurrence that a sender has spoken of since stays, and says so in its events.
        """
        ...

    async def find(self, import_id: str) -> ImportRecord | None:
        """One import."""
        ...

    async def newest(self, limit: int) -> list[ImportRecord]:
        """The newest imports, newest first."""
        ...
