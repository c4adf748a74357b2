"""The enrichment mode: kept in the database, on every replica within two seconds, never reverting by itself."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Literal

import msgspec
import structlog

from alert_history.domain.classification import Mode
from alert_history.errors import AlertHistoryError
from alert_history.ports import Audit, Clock, StoredSettings

_SETTING = "enrichment_mode"
_FOLLOW_SECONDS = 1.0

_log = structlog.get_logger()

Switched = Callable[[Mode, Mode], None]
"""Told of a switch that this replica made: from, to."""


class ModeState(msgspec.Struct, frozen=True):
    """The mode, and whose word it is: the environment's (`default`) or that of whoever switched it (`database`)."""

    mode: Mode
    source: Literal["default", "database"] = "default"
    switched_at: datetime | None = None
    switched_by: str | None = None


class _Kept(msgspec.Struct, frozen=True):
    mode: Mode
    at: datetime
    by: str


class Modes:
    """Follows the mode and switches it. `changed` is called with every mode this replica takes up."""

    def __init__(
        self,
        default: Mode,
        *,
        settings: StoredSettings,
        audit: Audit,
        clock: Clock,
        changed: Callable[[Mode], None],
        switched: Switched,
    ) -> None:
        self._settings = settings
        self._audit = audit
        self._clock = clock
        self._changed = changed
        self._switched = switched
        self._look = asyncio.Event()
        self.state = ModeState(default)
        changed(default)

    async def follow(self) -> None:
        """Take up what the database says, every second, until cancelled. While it can't be asked, nothing changes."""
        while True:
            try:
                await self.refresh()
            except AlertHistoryError as error:
                _log.warning("mode_unknown", reason=str(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(_FOLLOW_SECONDS):
                    await self._look.wait()
            self._look.clear()

    def look(self) -> None:
        """It may have been switched: take it up at once."""
        self._look.set()

    async def refresh(self) -> None:
        """Take it up now."""
        value = await self._settings.read(_SETTING)
        if value is not None:
            kept = msgspec.convert(value, _Kept)
            self._take_up(ModeState(kept.mode, "database", kept.at, kept.by))

    async def switch(self, mode: Mode, *, by: str) -> ModeState:
        """For all replicas, from now on. Raises StorageUnavailable: nothing was switched."""
        await self.refresh()
        was, now = self.state.mode, self._clock()
        await self._settings.write(_SETTING, msgspec.to_builtins(_Kept(mode, now, by)))
        self._take_up(ModeState(mode, "database", now, by))
        if was != mode:
            self._switched(was, mode)
        detail = {"from": was, "to": mode}
        await self._audit.note("enrichment_mode_switched", actor=by, detail=detail, now=now)
        _log.info("enrichment_mode_switched", by=by, **{"from": was, "to": mode})
        return self.state

    def _take_up(self, state: ModeState) -> None:
        if state.mode != self.state.mode:
            self._changed(state.mode)
        self.state = state
