"""The enrichment mode: stored in the database, and on every replica within two seconds. It stays until a switch."""

import asyncio
from contextlib import suppress
from datetime import datetime
from typing import Literal

import msgspec
import structlog

from alert_history.domain.classification import Mode
from alert_history.engine.reach import check_sees_all
from alert_history.engine.switchboard import ModeSwitched, ModeTakenUp, Switchboard
from alert_history.errors import AlertHistoryError
from alert_history.ports import Audit, Clock, StoredSettings

_SETTING = "enrichment_mode"
_FOLLOW_SECONDS = 1.0

_log = structlog.get_logger()


class ModeState(msgspec.Struct, frozen=True):
    """The mode, and where it is from: the environment (`default`) or a switch that was stored (`database`)."""

    mode: Mode
    source: Literal["default", "database"] = "default"
    switched_at: datetime | None = None
    switched_by: str | None = None


class _Switch(msgspec.Struct, frozen=True):
    mode: Mode
    at: datetime
    by: str


class Modes:
    """Follows the mode and switches it. `state` is the mode that is in force here."""

    def __init__(
        self,
        default: Mode,
        *,
        settings: StoredSettings,
        audit: Audit,
        clock: Clock,
        switchboard: Switchboard,
    ) -> None:
        self._settings = settings
        self._audit = audit
        self._clock = clock
        self._switchboard = switchboard
        self._look = asyncio.Event()
        self.state = ModeState(default)

    def begin(self) -> None:
        """Say the mode that is in force until the database answers."""
        self._switchboard.say(ModeTakenUp(self.state.mode))

    async def follow(self) -> None:
        """Take up the database's mode every second, until cancelled. While the database is away, the mode stays."""
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
        """Read the mode at once, because it may have been switched."""
        self._look.set()

    async def refresh(self) -> None:
        """Take up the mode of the database now."""
        value = await self._settings.read(_SETTING)
        if value is not None:
            switch = msgspec.convert(value, _Switch)
            self._take_up(ModeState(switch.mode, "database", switch.at, switch.by))

    async def switch(self, mode: Mode, *, by: str) -> ModeState:
        """Switch the mode for all replicas, from now on. Raises StorageUnavailable, Forbidden: then the mode stays."""
        check_sees_all("the mode is one for all alerts, and who calls may see some of them only")
        await self.refresh()
        was, now = self.state.mode, self._clock()
        await self._settings.write(_SETTING, msgspec.to_builtins(_Switch(mode, now, by)))
        self._take_up(ModeState(mode, "database", now, by))
        if was != mode:
            self._switchboard.say(ModeSwitched(was, mode))
        detail = {"from": was, "to": mode}
        await self._audit.note("enrichment_mode_switched", actor=by, detail=detail, now=now)
        _log.info("enrichment_mode_switched", by=by, **{"from": was, "to": mode})
        return self.state

    def _take_up(self, state: ModeState) -> None:
        if state.mode != self.state.mode:
            self._switchboard.say(ModeTakenUp(state.mode))
        self.state = state
