"""Imports as the database keeps them: what each is, and the past that it brings in."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Literal, Protocol

import msgspec

from alert_history.domain.past_firing import PastFiring, RefusedRow
from alert_history.ports.aside_spool import AsideSpool

ImportState = Literal["running", "done", "failed", "undone", "undoing", "tried"]
"""`undoing`: it is taken back now. `tried`: a dry run is over, and nothing was written."""

DIES_AFTER = timedelta(seconds=15)
"""A process that has not said for so long that it imports is taken for dead."""

DRY_RUN = " --dry-run"
"""What follows the origin in the words of a dry run."""


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

    @property
    def is_dry_run(self) -> bool:
        """Whether nothing is written, as its words say."""
        return f"{self.what} ".startswith(f"{self.origin}{DRY_RUN} ")

    def is_at_work(self, now: datetime) -> bool:
        """Whether a process that lives is at it."""
        return self.state in {"running", "undoing"} and now - (self.beat_at or self.started_at) < DIES_AFTER

    def is_broken_off(self, now: datetime) -> bool:
        """Whether it failed, or its process is dead."""
        return self.state == "failed" or (self.state in {"running", "undoing"} and not self.is_at_work(now))


class SpoolExtent(msgspec.Struct, frozen=True):
    """How many firings a spool holds, between which starts, and how many had their last sign before a time."""

    firings: int
    oldest: datetime | None
    newest: datetime | None
    old: int


class Spool(Protocol):
    """Firings on their way, sorted by label set. A spool belongs to one import, and goes with it.

    Its calls take long, so they run in a thread. Raises OSError where the disk is full.
    """

    @property
    def aside(self) -> AsideSpool:
        """What goes to an archive instead."""
        ...

    def add(self, firings: Sequence[tuple[str, PastFiring]]) -> None:
        """Add firings, each with its fingerprint, in any order."""
        ...

    def extent(self, *, signs_before_us: int) -> SpoolExtent:
        """What it holds."""
        ...

    def groups(self) -> Iterator[list[list[PastFiring]]]:
        """All firings in steps: some label sets at a time, the firings of each by start.

        A label set with very many comes in several steps.
        """
        ...


class TakenBack(msgspec.Struct, frozen=True):
    """What one step took back. `after` is where the next step begins; None where nothing is left."""

    removed: int
    left: int
    restored: int
    after: datetime | None


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

    async def take_back(self, record: ImportRecord, *, after: datetime | None) -> TakenBack:
        """One step of taking an import back, from `after` on, in one transaction.

        What the import brought in goes, with its events and acts, and the numbers follow; what it corrected is as
        before, unless somebody changed it since. An occurrence that a sender has spoken of since, or a person acted on,
        stays.
        """
        ...

    async def find(self, import_id: str) -> ImportRecord | None:
        """One import."""
        ...

    async def newest(self, limit: int) -> list[ImportRecord]:
        """The newest imports, newest first."""
        ...
