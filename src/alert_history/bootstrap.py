"""The only composition root: Settings in, a running service out."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import structlog

from alert_history.config import Settings
from alert_history.demo.replay import incident
from alert_history.domain.receipt import Receipt
from alert_history.engine.ingest import Ingest
from alert_history.engine.upkeep import Retention, keep_up
from alert_history.errors import AlertHistoryError
from alert_history.ports import Store
from alert_history.storage import open_store
from alert_history.telemetry import Metrics
from alert_history.web.api import HistoryApi
from alert_history.web.application import Application
from alert_history.web.health import HealthApi
from alert_history.web.webhook import Webhook

_OPEN_RETRY_SECONDS = 1.0
_DEMO_SETTING = "demo_replayed_at"

_log = structlog.get_logger()


def utc_now() -> datetime:
    """The clock of production."""
    return datetime.now(UTC)


class Service:
    """One process of the service. `application` serves HTTP; its lifespan starts and stops the rest."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store: Store = open_store(settings.database_url, read_database_url=settings.read_database_url)
        self.metrics = Metrics()
        self.ingest = Ingest(
            self.store.recorder,
            max_pending_bytes=settings.max_pending_bytes,
            observe=self._committed,
        )
        self.webhook = Webhook(
            self.ingest,
            clock=utc_now,
            metrics=self.metrics.ingest,
            max_body_bytes=settings.max_body_bytes,
            max_alerts=settings.max_alerts_per_request,
        )
        operations = [
            *HistoryApi(self.store.history, clock=utc_now).operations(),
            *HealthApi(self, metrics=self.metrics).operations(),
        ]
        self.application = Application(
            self.webhook, operations, metrics=self.metrics.ingest, start=self.start, stop=self.stop
        )
        self._is_open = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start committing, and open the store in the background: a database that is down delays only readiness."""
        self._tasks = [
            asyncio.create_task(self.ingest.run(), name="ingest"),
            asyncio.create_task(self._open(), name="upkeep"),
        ]

    async def stop(self) -> None:
        """Commit what has been read, then let go of the database."""
        committer, upkeep = self._tasks
        self.ingest.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.settings.shutdown_grace_seconds):
                await committer
        upkeep.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.store.lifecycle.close()
        _log.info("stopped")

    async def checks(self) -> dict[str, str]:
        """See `web.health.Readiness`."""
        if not self._is_open.is_set():
            return {**await self.store.lifecycle.check(), "startup": "not finished"}
        return await self.store.lifecycle.check()

    async def replay_demo(self) -> None:
        """Fill the history with the recorded incident, through the same door as everything else; once."""
        await self._is_open.wait()
        if await self.store.upkeep.read_setting(_DEMO_SETTING) is not None:
            return
        for received_at, path, body in incident(utc_now()):
            await self.ingest.submit(self.webhook.receipt(path, body, received_at=received_at))
        await self.store.upkeep.write_setting(_DEMO_SETTING, utc_now().isoformat())
        _log.info("demo_replayed")

    def _committed(self, receipts: Sequence[Receipt], seconds: float, is_committed: bool) -> None:  # noqa: FBT001  # the port's shape
        self.metrics.ingest.committed(receipts, seconds, is_committed)
        self.metrics.pending_bytes.set(self.ingest.pending_bytes)

    async def _open(self) -> None:
        while not self._is_open.is_set():
            try:
                await self.store.lifecycle.open()
                await self.store.upkeep.prepare(utc_now())
                self._is_open.set()
                _log.info("ready")
            except AlertHistoryError as error:
                _log.warning("database_unavailable", reason=str(error))
                await asyncio.sleep(_OPEN_RETRY_SECONDS)
        retention = Retention(
            history=timedelta(days=self.settings.retention_days),
            bodies=timedelta(days=self.settings.body_retention_days),
        )
        await keep_up(self.store.upkeep, retention=retention, clock=utc_now)
