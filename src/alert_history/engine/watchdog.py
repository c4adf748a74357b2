"""The watchdog: how long each source has been silent, because an Alertmanager that stopped sending looks like peace.

The database has the times, so they outlive a restart and are the same on every replica.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Protocol

import msgspec
import structlog

from alert_history.errors import AlertHistoryError
from alert_history.ports import Clock, StoredSettings

_SETTING = "sources_last_heard"
_FOLLOW_SECONDS = 5.0
_WRITE_EVERY = timedelta(seconds=60)

_Times = dict[str, datetime]  # by source; another release may know others

_log = structlog.get_logger()


class WatchdogObserver(Protocol):
    """Shows how long sources have been silent."""

    def silent(self, source: str, *, seconds: float) -> None:
        """So long ago a request of that source was last accepted, by any replica."""
        ...


class Watchdog:
    """Remembers when each source was last heard. Exact to `_FOLLOW_SECONDS`; after a restart, to a minute."""

    def __init__(self, settings: StoredSettings, *, observer: WatchdogObserver, clock: Clock) -> None:
        self._settings = settings
        self._observer = observer
        self._clock = clock
        self._heard: _Times = {}

    def heard(self, source: str, at: datetime) -> None:
        """Note that a request of that source was committed; `at` is when it came."""
        self._heard[source] = max(at, self._heard.get(source, at))

    def times(self) -> dict[str, datetime]:
        """When each source was last heard, as far as this replica knows."""
        return dict(self._heard)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.share()
            except AlertHistoryError:
                pass  # what this replica heard is shown all the same; a check of its own says that the database is down
            except Exception:  # noqa: BLE001  # what is measured must not end the service that records
                _log.exception("watchdog_failed")
            self.show()
            await asyncio.sleep(_FOLLOW_SECONDS)

    async def share(self) -> None:
        """Take up the times of other replicas, and store later ones. Raises StorageUnavailable.

        Two replicas that write at once lose one of the two times for a minute, until it is written again.
        """
        times = msgspec.convert(await self._settings.read(_SETTING) or {}, _Times)
        for source, at in times.items():
            self.heard(source, at)
        if any(source not in times or at - times[source] >= _WRITE_EVERY for source, at in self._heard.items()):
            await self._settings.write(_SETTING, {name: at.isoformat() for name, at in self._heard.items()})

    def show(self) -> None:
        """Show all sources, as of now."""
        now = self._clock()
        for source, at in self._heard.items():
            self._observer.silent(source, seconds=max(0.0, (now - at).total_seconds()))
