"""The audit of one process: what was done is kept before it is answered, what was refused is counted.

An entry is kept in a transaction of its own, after the deed and before its answer: a deed that was answered is in the
audit, whatever happens to the process. The audit never fails a call. While the database is away, calls that change
something fail by themselves; an entry that can't be kept is logged at once, waits in memory, and is kept when the
database is back. Each entry is also a line of the log, with its digest once it has one.
"""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from datetime import datetime
from typing import Any

import msgspec
import structlog

from alert_history.domain.audit import AuditEntry, Outcome, clean_text, cleaned
from alert_history.engine.caller import caller
from alert_history.engine.refusals import Refusal, RefusalCount, Refusals
from alert_history.errors import AlertHistoryError
from alert_history.ids import new_id
from alert_history.ports import AuditTrail, Clock

_TURN_SECONDS = 1.0
_STOP_SECONDS = 2.0
_MOST_WAITING = 10_000
_MOST_AT_ONCE = 200
_REFUSED = {401, 403, 429}

_log = structlog.get_logger()


class Asked:
    """The request that a task answers.

    `is_noted` says that what it did is in the audit already, in better words than those of its path.
    """

    def __init__(self, address: Callable[[], str], text: Callable[[], str]) -> None:
        self._address = address
        self._text = text
        self.is_noted = False

    @property
    def text(self) -> str:
        """Its method, and the template of its path once that is known."""
        return self._text()

    @property
    def address(self) -> str:
        """From where it came."""
        return self._address()


_asked: ContextVar[Asked | None] = ContextVar("asked", default=None)


def set_asked(asked: Asked) -> None:
    """Say which request this task answers, for the rest of it."""
    _asked.set(asked)


class Auditing:
    """Keeps entries of the audit; see the module. It is a `ports.Audit` that never raises."""

    def __init__(self, trail: AuditTrail, *, replica: str, clock: Clock) -> None:
        self._trail = trail
        self._replica = replica
        self._clock = clock
        self._waiting: list[AuditEntry] = []
        self._turn = asyncio.Lock()
        self._is_away = False
        self._refusals = Refusals()

    async def note(self, action: str, *, actor: str, detail: dict[str, Any], now: datetime) -> None:
        """Keep what was done: `from` and `to` of the detail say what was before and what is now."""
        asked = _asked.get()
        if asked is not None:
            asked.is_noted = True
            detail = {**detail, "request": asked.text}
        await self._keep(self._entry(action, actor=actor, detail=detail, now=now))

    async def note_call(self, action: str, *, outcome: Outcome, detail: dict[str, Any]) -> None:
        """Keep a call that changed or exported something, by who calls now; not if it was noted already."""
        asked = _asked.get()
        if asked is not None and asked.is_noted and outcome == "done":
            return
        await self._keep(self._entry(action, outcome=outcome, detail=detail))

    async def note_sign_in(self, action: str, *, actor: str, detail: dict[str, Any]) -> None:
        """Keep that somebody signed in or out, such as `signed_in` or `signed_out`; `detail` says by which way."""
        await self.note(action, actor=actor, detail=detail, now=self._clock())

    def refuse(self, request: str, *, status: int, actor: str = "", reason: str = "") -> None:
        """Keep that a request was refused, or was wrong, soon. What is too much is counted, in an entry a minute."""
        asked = _asked.get()
        address = "" if asked is None else asked.address
        refusal = Refusal(self._clock(), address, actor or caller().actor, request, status, reason)
        if self._refusals.take(refusal) and len(self._waiting) < _MOST_WAITING:
            self._waiting.append(self._refused(refusal))

    async def run(self) -> None:
        """Keep what waits, each second, until cancelled."""
        while True:
            await asyncio.sleep(_TURN_SECONDS)
            self._is_away = False
            await self._flush()

    async def stop(self) -> None:
        """Keep what still waits, if that takes no longer than two seconds."""
        self._is_away = False
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._flush(is_last=True)
        except TimeoutError:
            _log.warning("audit_not_kept", entries=len(self._waiting))

    async def _flush(self, *, is_last: bool = False) -> None:
        counts = self._refusals.counted(self._clock(), is_last=is_last)
        self._waiting += [self._entry_of_count(count) for count in counts]
        async with self._turn:
            await self._keep_waiting()

    async def _keep(self, entry: AuditEntry) -> None:
        """Keep an entry together with all that wait; those of other calls that come meanwhile go with the next."""
        if len(self._waiting) >= _MOST_WAITING:
            _tell(entry, is_kept=False)
            return
        self._waiting.append(entry)
        async with self._turn:
            if entry in self._waiting:
                await self._keep_waiting()
        if entry in self._waiting:
            _tell(entry, is_kept=False)

    async def _keep_waiting(self) -> None:
        while self._waiting and not self._is_away:
            entries = self._waiting[:_MOST_AT_ONCE]
            try:
                links = await self._trail.append(entries, replica=self._replica)
            except AlertHistoryError as error:
                self._is_away = True
                _log.warning("audit_not_kept", entries=len(self._waiting), reason=str(error))
                return
            del self._waiting[: len(entries)]
            for entry in links:
                _tell(entry, is_kept=True)

    def _entry(
        self,
        action: str,
        *,
        actor: str = "",
        outcome: Outcome = "done",
        detail: dict[str, Any],
        now: datetime | None = None,
    ) -> AuditEntry:
        now = now or self._clock()
        asked = _asked.get()
        return AuditEntry(
            id=new_id(now),
            at=now,
            actor=clean_text(caller().actor or actor),  # who signed in, whatever name they gave
            action=clean_text(action),
            outcome=outcome,
            from_address="" if asked is None else clean_text(asked.address),
            detail=cleaned(detail),
        )

    def _refused(self, refusal: Refusal) -> AuditEntry:
        detail = {"request": refusal.request, "status": refusal.status, "reason": refusal.reason}
        outcome: Outcome = "refused" if refusal.status in _REFUSED else "failed"
        return AuditEntry(
            id=new_id(refusal.at),
            at=refusal.at,
            actor=clean_text(refusal.actor),
            action=outcome,
            outcome=outcome,
            from_address=clean_text(refusal.address),
            detail=cleaned({name: value for name, value in detail.items() if value}),
        )

    def _entry_of_count(self, count: RefusalCount) -> AuditEntry:
        now = self._clock()
        detail = msgspec.structs.asdict(count)
        return AuditEntry(
            id=new_id(now),
            at=now,
            actor="",
            action="refused_often",
            outcome="refused",
            from_address=clean_text(detail.pop("address")),
            detail=cleaned(detail),
        )


def _tell(entry: AuditEntry, *, is_kept: bool) -> None:
    """Write an entry as a line of the log. One that could not be kept is told again, with its digest, when it is."""
    fields = msgspec.to_builtins(entry)
    _log.info("audit", kept=is_kept, **fields)
