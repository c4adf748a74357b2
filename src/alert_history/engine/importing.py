"""Bringing the past of another system in: read, sorted by label set, joined with what is there, and taken back again.

Reading comes first and whole, into a spool: so the age of all is known before anything is written, and each label set
is decided once. Writing goes in steps, one transaction each. An import that is broken off anywhere goes on when the
same is asked again: what it brought in by then is joined. Nothing is published or classified.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    aclosing,
    asynccontextmanager,
    nullcontext,
    suppress,
)
from datetime import timedelta
from time import monotonic

import msgspec

from alert_history.domain.microseconds import to_us
from alert_history.domain.past_firing import PastFiring, RefusedRow
from alert_history.engine.import_archive import ArchiveSide, ImportArchive, take_files_back
from alert_history.engine.import_checks import checked, in_our_time, raw_of
from alert_history.engine.upkeep import Hold
from alert_history.errors import AlertHistoryError, Busy, NotFound, WouldBeForgotten
from alert_history.ids import new_id
from alert_history.ports import Clock, Reconciling, StoredSettings
from alert_history.ports.import_files import ImportFiles
from alert_history.ports.imports import ImportCounts, ImportRecord, Imports, Spool
from alert_history.ports.past_origins import ImportRequest, PastBatch, PastOrigin
from alert_history.sources.alert_rules import Fault

Observe = Callable[[ImportRecord], None]

_BEAT_SECONDS = 1.0
_STEPS_AT_ONCE = 2
_TURN_SECONDS = 2.0
_TURNS = 30
_PIECE_FIRINGS = 250
_MOST_REASONS = 10


class ImportPlan(msgspec.Struct, frozen=True):
    """What one import is asked. `what` says it in words, without secrets; the same words are the same import.

    `by` is who asks. `scope` is that of all its firings which have none. `keep`: for so long retention spares what is
    older than history is kept. What is new and over for longer than that goes to `archive`, where one is given.
    `is_noted`: also a dry run is kept, with how far it is, so that every replica shows it.
    """

    origin: PastOrigin
    request: ImportRequest
    what: str
    by: str = ""
    scope: str = ""
    is_dry_run: bool = False
    keep: timedelta | None = None
    archive: ImportArchive | None = None
    is_noted: bool = False

    @property
    def notes(self) -> bool:
        """Whether the database is told how far it is."""
        return self.is_noted or not self.is_dry_run


class ImportNeeds(msgspec.Struct, frozen=True):
    """What imports work with. `retention` is how long the service keeps history.

    While `alone` lasts, no other process imports, archives or restores: what one of them adds is known by no standing.

    `rest` is how long an import rests after each step of writing, by how long the step took. A service that takes
    alerts in meanwhile needs the database, too: with a rest, one step is under way at a time, and steps are small.
    """

    imports: Imports
    settings: StoredSettings
    reconciling: Reconciling
    open_spool: Callable[[], AbstractContextManager[Spool]]
    clock: Clock
    retention: timedelta
    files: ImportFiles
    alone: Callable[[], AbstractAsyncContextManager[None]]
    rest: float = 0.0


class Importing:
    """Runs imports, and takes them back."""

    def __init__(self, needs: ImportNeeds) -> None:
        self._needs = needs
        self._imports = needs.imports
        self._clock = needs.clock
        self.first_refused: dict[str, str] = {}
        """By reason, where the first row stands that the last import refused for it."""

    async def run(self, plan: ImportPlan, observe: Observe = lambda _record: None) -> ImportRecord:
        """Bring a past in; `observe` is told how far it is, some times a second at most.

        Raises: WouldBeForgotten, before anything is written; Busy; StorageUnavailable; and what the origin raises.
        """
        return await self.go_on(plan, await self.begin(plan), observe)

    async def begin(self, plan: ImportPlan) -> ImportRecord:
        """Keep that it runs, or take up the same import that was broken off. Raises: Busy; StorageUnavailable."""
        now = self._clock()
        record = ImportRecord(new_id(now), plan.origin.name, plan.what, "running", now, plan.by)
        return await self._imports.begin(record) if plan.notes else record

    async def go_on(
        self, plan: ImportPlan, record: ImportRecord, observe: Observe = lambda _record: None
    ) -> ImportRecord:
        """Bring in what `begin` began. Raises: as `run`."""
        run = _Run(self._needs, plan, record, observe)
        self.first_refused = run.first_refused
        beating = asyncio.create_task(run.beat())
        try:
            with self._needs.open_spool() as spool:
                await run.read(spool)
                await run.check_age(spool)
                await run.write(spool)
        except BaseException as error:
            await run.fail(error)
            raise
        finally:
            beating.cancel()
        return await run.finish()

    async def undo(
        self,
        import_id: str,
        observe: Observe = lambda _record: None,
        *,
        open_archive: Callable[[str], ImportArchive] | None = None,
    ) -> ImportRecord:
        """Take an import back; the record says what is left. `open_archive` opens the place that it archived to.

        Broken off, it is begun again: what is taken back by then is gone.

        Raises: NotFound; Busy while it runs; InvalidRequest where it wrote to an archive and nothing opens that;
        ArchiveFault; StorageUnavailable.
        """
        record = await self._imports.find(import_id)
        if record is None:
            raise NotFound(f"no import {import_id}; `alert-history import list` shows those that there were")
        if record.state == "running" and record.is_at_work(self._clock()):
            raise Busy(f"import {import_id} is under way; stop it first, or wait until it is over")
        undoing = _Undoing(self._needs, record, observe, open_archive=open_archive)
        try:
            return await undoing.run()
        except BaseException as error:
            await undoing.fail(error)
            raise


class _Undoing:
    """One import that is taken back. Until that is over its record holds what it brought in."""

    def __init__(
        self,
        needs: ImportNeeds,
        record: ImportRecord,
        observe: Observe,
        *,
        open_archive: Callable[[str], ImportArchive] | None,
    ) -> None:
        self._imports = needs.imports
        self._files = needs.files
        self._open_archive = open_archive
        self._alone = needs.alone
        self._counts = ImportCounts()
        self._clock = needs.clock
        self._rest = needs.rest
        self._before = record
        self._observe = observe
        self._noted_at = 0.0

    async def run(self) -> ImportRecord:
        """All of it, in steps. Raises: StorageUnavailable."""
        await self._tell(ImportCounts())
        await self._undo_files()
        async with alone_in_time(self._alone):
            await self._undo_steps()
        changes = {"state": "undone", "finished_at": self._clock(), "counts": self._counts, "share": 1.0, "fault": None}
        undone = msgspec.structs.replace(self._before, **changes)
        await self._imports.note(undone)
        return undone

    async def _undo_steps(self) -> None:
        after = None
        while True:
            began = monotonic()
            step = await self._imports.take_back(self._before, after=after)
            await self._tell(ImportCounts(taken=step.removed, joined=step.left, corrected=step.restored))
            if step.after is None:
                return
            after = step.after
            await asyncio.sleep((monotonic() - began) * self._rest)

    async def _undo_files(self) -> None:
        """Take back what went to archives, before what is in the database: a row may be in both."""
        files = await self._files.of_import(self._before.id)
        await take_files_back(files, self._open_archive, lambda rows: self._tell(ImportCounts(archived=rows)))

    async def fail(self, error: BaseException) -> None:
        """It broke off: the record is as before, and says what to do."""
        state = "done" if self._before.state == "undoing" else self._before.state
        fault = f"taking it back was broken off: {_reason(error)}; take it back again"
        with suppress(AlertHistoryError, asyncio.CancelledError):
            note = self._imports.note(msgspec.structs.replace(self._before, state=state, fault=fault))
            await asyncio.shield(note)

    async def _tell(self, more: ImportCounts) -> None:
        self._counts = counts = self._counts.plus(more)
        self._observe(msgspec.structs.replace(self._before, counts=counts, phase="writing", share=None))
        if monotonic() - self._noted_at >= _BEAT_SECONDS:
            self._noted_at = monotonic()
            all_, done = self._before.counts, counts.taken + counts.joined + counts.corrected + counts.archived
            whole = all_.taken + all_.corrected + all_.archived
            share = min(done / whole, 1.0) if whole else None
            undoing = msgspec.structs.replace(self._before, state="undoing", phase="writing", share=share, fault=None)
            await self._imports.note(undoing)


class _Run:
    """One import under way."""

    def __init__(self, needs: ImportNeeds, plan: ImportPlan, record: ImportRecord, observe: Observe) -> None:
        self.first_refused: dict[str, str] = {}
        self._imports = needs.imports
        self._settings = needs.settings
        self._reconciling = needs.reconciling
        self._clock = needs.clock
        self._limit = needs.clock() - needs.retention
        self._retention = needs.retention
        self._alone = needs.alone
        self._plan = plan
        self._record = record
        self._observe = observe
        self._reasons: Counter[str] = Counter()
        self._noted_at = monotonic()
        self._noting = asyncio.Lock()
        self._rest = needs.rest
        self._total = self._written = 0
        self._side: ArchiveSide | None = None

    # --- reading ----------------------------------------------------------------------------------------------------

    async def read(self, spool: Spool) -> None:
        """Read the origin into the spool."""
        async with aclosing(self._plan.origin.read(self._plan.request)) as batches:  # type: ignore[type-var]  # a generator
            async for batch in batches:
                await self._take_up(batch, spool)

    async def _take_up(self, batch: PastBatch, spool: Spool) -> None:
        firings, refused = await asyncio.to_thread(self._sift, batch)
        await asyncio.to_thread(spool.add, firings)
        counts = ImportCounts(read=len(batch.firings) + len(batch.refused), silences=len(batch.silences))
        if not self._plan.is_dry_run:
            await self._imports.refuse(self._record, refused, now=self._clock())
            if batch.silences:
                await self._reconciling.keep_silences(batch.silences)
        for row in refused:
            self._reasons[row.reason] += 1
            self.first_refused.setdefault(row.reason, row.place)
        self._change(counts=self._record.counts.plus(counts).plus(ImportCounts(refused=len(refused))), share=batch.done)
        await self._tell()

    def _sift(self, batch: PastBatch) -> tuple[list[tuple[str, PastFiring]], list[RefusedRow]]:
        """The firings that can be kept, with their fingerprints, and the rows that can't."""
        firings, refused, now = [], list(batch.refused), self._clock()
        for firing in batch.firings:
            try:
                kept = in_our_time(checked(firing, scope=self._plan.scope), now)
            except Fault as fault:
                refused.append(RefusedRow(firing.place, str(fault), raw_of(firing)))
            else:
                firings.append((kept.fingerprint, kept))
        return firings, refused

    # --- between ----------------------------------------------------------------------------------------------------

    async def check_age(self, spool: Spool) -> None:
        """Refuse what retention would drop at once, unless it goes to an archive. Raises: WouldBeForgotten."""
        limit = self._limit
        extent = await asyncio.to_thread(spool.extent, signs_before_us=to_us(limit))
        if extent.old and self._plan.keep is None and self._plan.archive is None:
            days = self._retention.days
            raise WouldBeForgotten(
                f"{extent.old:,} of {extent.firings:,} firings ended before {limit:%Y-%m-%d}, longer ago than "
                f"RETENTION_DAYS={days}, and would be dropped within a minute: raise RETENTION_DAYS, narrow the import "
                "with --start, spare them for a while with --keep-days, or write them to Parquet with --archive"
            )
        if extent.old and self._plan.keep is not None and extent.oldest is not None and not self._plan.is_dry_run:
            now = self._clock()
            await Hold(since=extent.oldest, until=now + self._plan.keep).widen(self._settings, now)
        oldest = min(filter(None, [extent.oldest, self._record.oldest]), default=None)
        newest = max(filter(None, [extent.newest, self._record.newest]), default=None)
        self._change(oldest=oldest, newest=newest, phase="writing", share=0.0)
        self._total = extent.firings
        await self._tell(at_once=True)

    # --- writing ----------------------------------------------------------------------------------------------------

    async def write(self, spool: Spool) -> None:
        """Bring in what the spool holds, and write what of it goes to an archive. Raises: Busy, after some time."""
        async with nullcontext() if self._plan.is_dry_run else alone_in_time(self._alone):
            if self._plan.archive is None:
                await self._write_steps(spool)
            else:
                side = ArchiveSide(self._plan.archive, self._record, spool.aside, before=self._limit)
                await self._write_beside(spool, side)

    async def _write_beside(self, spool: Spool, side: ArchiveSide) -> None:
        is_dry_run = self._plan.is_dry_run
        archived = await side.open(self._count_archived, is_dry_run=is_dry_run)
        self._change(counts=msgspec.structs.replace(self._record.counts, archived=archived))
        self._side = side
        await self._write_steps(spool)
        if not is_dry_run:
            await side.write(self._count_archived)

    async def _count_archived(self, rows: int) -> None:
        self._change(counts=self._record.counts.plus(ImportCounts(archived=rows)))
        await self._tell()

    async def _write_steps(self, spool: Spool) -> None:
        """Bring in what the spool holds, some label sets a transaction.

        Two steps are under way at once: while the database works for one, the other is decided. A step that goes on
        with the label set of the step before waits for that. Beside an archive there is one step at a time, because the
        next has to know what goes there.
        """
        groups, last = spool.groups(), ""
        under_way: set[asyncio.Task[None]] = set()
        try:
            async with asyncio.TaskGroup() as tasks:
                while (step := await asyncio.to_thread(next, groups, None)) is not None:
                    is_after_all = self._rest or self._side is not None or step[0][0].fingerprint == last
                    room = 0 if is_after_all else _STEPS_AT_ONCE - 1
                    while len(under_way) > room:
                        _, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                    under_way.add(tasks.create_task(self._write_in_pieces(step)))
                    last = step[-1][0].fingerprint
        except BaseExceptionGroup as errors:
            raise _first_of(errors) from None

    async def _write_in_pieces(self, step: Sequence[Sequence[PastFiring]]) -> None:
        for piece in _pieces(step) if self._rest else (step,):
            await self._write_step(piece)

    async def _write_step(self, step: Sequence[Sequence[PastFiring]]) -> None:
        now, is_dry_run, began = self._clock(), self._plan.is_dry_run, monotonic()
        if self._side is None:
            counts = await self._imports.take(self._record, step, now=now, is_dry_run=is_dry_run)
        else:
            parted = await self._side.part(step, now=now, is_dry_run=is_dry_run)
            archived = len(parted.aside.leaving) if is_dry_run else 0
            counts = parted.counts.plus(ImportCounts(archived=archived))
        self._written += counts.read
        counts = msgspec.structs.replace(counts, read=0)
        self._change(counts=self._record.counts.plus(counts), share=self._written / max(self._total, 1))
        await self._tell()
        await asyncio.sleep((monotonic() - began) * self._rest)

    # --- how far it is ----------------------------------------------------------------------------------------------

    async def beat(self) -> None:
        """Say that the import goes on while its origin is silent, until cancelled."""
        while self._plan.notes:
            await asyncio.sleep(_BEAT_SECONDS)
            with suppress(AlertHistoryError):
                await self._tell()

    async def finish(self) -> ImportRecord:
        """All is brought in."""
        state = "tried" if self._plan.is_dry_run else "done"
        self._change(state=state, finished_at=self._clock(), share=1.0, fault=None)
        await self._tell(at_once=True)
        return self._record

    async def fail(self, error: BaseException) -> None:
        """It broke off; the same import goes on from here when it is asked again."""
        self._change(state="failed", fault=_reason(error))
        try:
            await asyncio.shield(self._tell(at_once=True))
        except (AlertHistoryError, asyncio.CancelledError):
            return  # the process that asks again takes it for dead, after a minute

    def _change(self, **changes: object) -> None:
        reasons = tuple(self._reasons.most_common(_MOST_REASONS))
        self._record = msgspec.structs.replace(self._record, **changes, reasons=reasons)

    async def _tell(self, *, at_once: bool = False) -> None:
        self._observe(self._record)
        if self._plan.notes and (at_once or monotonic() - self._noted_at >= _BEAT_SECONDS):
            self._noted_at = monotonic()
            async with self._noting:  # the newest is noted last
                await self._imports.note(self._record)


def _first_of(error: BaseException) -> BaseException:
    """The first error of a group of tasks; another error is itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


@asynccontextmanager
async def alone_in_time(alone: Callable[[], AbstractAsyncContextManager[None]]) -> AsyncIterator[None]:
    """Wait for a time when nobody else imports, archives or restores. Raises: Busy, after a minute."""
    async with AsyncExitStack() as stack:
        for left in reversed(range(_TURNS)):
            try:
                await stack.enter_async_context(alone())
            except Busy:
                if left == 0:
                    raise
                await asyncio.sleep(_TURN_SECONDS)
            else:
                break
        yield


def _pieces(step: Sequence[Sequence[PastFiring]]) -> Iterator[list[Sequence[PastFiring]]]:
    """The label sets of a step in smaller ones; none is divided."""
    piece: list[Sequence[PastFiring]] = []
    for group in step:
        if piece and sum(map(len, piece)) + len(group) > _PIECE_FIRINGS:
            yield piece
            piece = []
        piece.append(group)
    yield piece


def _reason(error: BaseException) -> str:
    """Why it broke off, in words for people."""
    if isinstance(error, AlertHistoryError | OSError):
        return str(error)
    if isinstance(error, asyncio.CancelledError | KeyboardInterrupt):
        return "it was stopped; asked again, it goes on"
    return f"a mistake of ours ({type(error).__name__}); the log says more"
