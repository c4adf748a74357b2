"""Imports that the service runs by itself, in the background: one at a time in each process.

How far a job is stands in the database, so every replica shows it. A job ends with its process: an import is taken up
where it was when the same is asked again, and so is what takes an import back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import msgspec
import structlog

from alert_history.domain.grant import EVERYBODY
from alert_history.engine.caller import set_caller
from alert_history.engine.import_wishes import ImportWish, SentFile, file_option, offered_origins, plan_of
from alert_history.engine.importing import Importing, ImportPlan
from alert_history.errors import AlertHistoryError, Busy, InvalidRequest, NotFound
from alert_history.ports import Audit, Clock, StoredSettings
from alert_history.ports.imports import ImportRecord, Imports
from alert_history.ports.past_origins import PastOrigin
from alert_history.urls.masking import masked_url

_ASKED = "imports_asked"
_MOST_ASKED = 30
_BUSY_SECONDS = 5
_STOPPED = "it was stopped before it began; asked again, it goes on"

_log = structlog.get_logger()


class AskedImport(msgspec.Struct, frozen=True):
    """What was asked of an import, as far as it may be kept: `left_out` are the options that have to be given again.

    Secrets are never kept, nor are `name=value` pairs, which may hold one, nor URLs with a login.
    """

    id: str
    wish: ImportWish
    left_out: Sequence[str] = ()


class Claim:
    """The one place for a job of this process, while what the job needs is read.

    `discard` is called when the file that was sent is needed no more.
    """

    def __init__(self) -> None:
        self.is_handed_over = False
        self.sent: SentFile | None = None
        self.discard: Callable[[], None] = lambda: None

    def hand_over(self) -> None:
        """Let a job have the place: who claimed it gives it back no more."""
        self.is_handed_over = True


class _Job(NamedTuple):
    """Work that waits for its turn, and the record of what is left if it never gets one."""

    claim: Claim
    do: Callable[[], Awaitable[Any]]
    undone: ImportRecord


class ImportJobs:
    """Starts imports, and takes them back, in the background. Every call may raise StorageUnavailable."""

    def __init__(
        self, importing: Importing, imports: Imports, *, settings: StoredSettings, audit: Audit, clock: Clock
    ) -> None:
        self._importing = importing
        self._imports = imports
        self._settings = settings
        self._audit = audit
        self._clock = clock
        self._waiting: asyncio.Queue[_Job] = asyncio.Queue(1)
        self._is_taken = False

    @contextmanager
    def claimed(self) -> Iterator[Claim]:
        """The place for a job; free again behind it, unless a job was started in it. Raises: Busy."""
        if self._is_taken:
            raise Busy("another import is at work in this process; one runs at a time", after_seconds=_BUSY_SECONDS)
        self._is_taken = True
        claim = Claim()
        try:
            yield claim
        finally:
            if not claim.is_handed_over:
                self._let_go(claim)

    async def start(self, claim: Claim, wish: ImportWish, *, by: str) -> ImportRecord:
        """Start an import. Raises: InvalidBody, with all that is wrong; Busy where the same runs elsewhere."""
        plan = await plan_of(wish, claim.sent, now=self._clock(), by=by)
        record = await self._importing.begin(plan)
        left = msgspec.structs.replace(record, state="failed", fault=_STOPPED)
        self._hand_over(_Job(claim, lambda: self._importing.go_on(plan, record), left))
        with suppress(AlertHistoryError):  # it runs, and who asks again fills the form in by hand
            await self._settings.change(_ASKED, lambda value: _with(value, _asked(record, plan, wish)))
        await self._note("import_started", record, by=by)
        return record

    async def undo(self, claim: Claim, import_id: str, *, by: str) -> ImportRecord:
        """Start to take an import back. Raises: NotFound; InvalidRequest; Busy while somebody is at it."""
        record = await self.find(import_id)
        if record.state in {"undone", "tried"}:
            raise InvalidRequest("there is nothing of this import in the history")
        if record.is_at_work(self._clock()):
            raise Busy("somebody is at this import now; wait until that is over", after_seconds=_BUSY_SECONDS)
        undoing = msgspec.structs.replace(record, state="undoing", phase="writing", share=None, fault=None)
        await self._imports.note(undoing)
        self._hand_over(_Job(claim, lambda: self._importing.undo(record.id), record))
        await self._note("import_undone", record, by=by)
        return undoing

    async def newest(self, most: int) -> list[ImportRecord]:
        """The newest imports."""
        return await self._imports.newest(most)

    async def find(self, import_id: str) -> ImportRecord:
        """One import. Raises: NotFound."""
        record = await self._imports.find(import_id)
        if record is None:
            raise NotFound(f"no import {import_id}")
        return record

    async def asked(self, import_id: str) -> AskedImport | None:
        """What was asked of an import; None where that is not known any more, or the command line asked."""
        value = await self._settings.read(_ASKED)
        return next((each for each in _read(value) if each.id == import_id), None)

    def origins(self) -> list[PastOrigin]:
        """What can be imported."""
        return offered_origins()

    async def run(self) -> None:
        """Do the jobs that are started, until cancelled."""
        set_caller(EVERYBODY)
        try:
            while True:
                await self._do(await self._waiting.get())
        finally:
            await self._give_up()

    async def _do(self, job: _Job) -> None:
        try:
            await job.do()
        except (AlertHistoryError, OSError) as error:
            _log.warning("import_failed", reason=str(error))
        except Exception:  # noqa: BLE001  # its record says that it failed; others may be asked for
            _log.exception("import_failed")
        finally:
            self._let_go(job.claim)

    async def _give_up(self) -> None:
        """The process stops before the work that waits got its turn."""
        while not self._waiting.empty():
            job = self._waiting.get_nowait()
            self._let_go(job.claim)
            with suppress(AlertHistoryError):
                await asyncio.shield(self._imports.note(job.undone))

    def _hand_over(self, job: _Job) -> None:
        job.claim.hand_over()
        self._waiting.put_nowait(job)

    def _let_go(self, claim: Claim) -> None:
        self._is_taken = False
        claim.discard()

    async def _note(self, action: str, record: ImportRecord, *, by: str) -> None:
        detail = {"import": record.id, "what": record.what}
        await self._audit.note(action, actor=by, detail=detail, now=self._clock())


# --- what was asked ---------------------------------------------------------------------------------------------------


def _asked(record: ImportRecord, plan: ImportPlan, wish: ImportWish) -> AskedImport:
    kept = {name: list(texts) for name, texts in wish.options.items() if _may_be_kept(plan.origin, name, texts)}
    left_out = [name for name, texts in wish.options.items() if texts and name not in kept]
    file = file_option(plan.origin)
    if file is not None and plan.request.is_set(file.name):
        left_out.append(file.name)
    return AskedImport(record.id, msgspec.structs.replace(wish, options=kept), left_out)


def _may_be_kept(origin: PastOrigin, name: str, texts: Sequence[str]) -> bool:
    kinds = {option.name: option.kind for option in origin.options}
    if kinds[name] in {"secret", "pairs", "file"}:
        return False
    return all(masked_url(text) == text for text in texts if kinds[name] == "url" or "://" in text)


def _with(value: Any, asked: AskedImport) -> Any:
    others = [each for each in _read(value) if each.id != asked.id]
    return msgspec.to_builtins([asked, *others][:_MOST_ASKED])


def _read(value: Any) -> list[AskedImport]:
    try:
        return [] if value is None else msgspec.convert(value, list[AskedImport])
    except msgspec.ValidationError:  # a release that is newer wrote it
        return []
