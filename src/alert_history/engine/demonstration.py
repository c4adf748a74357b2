"""The demonstration: a recorded incident goes in as requests do, once, so that no page is empty on the first day.

Must not know where the incident comes from: `demo.replay` reads it.
"""

from collections.abc import Iterable
from datetime import datetime

import structlog

from alert_history.engine.classify import Classifying
from alert_history.engine.ingest import Ingest
from alert_history.engine.intake import Intake
from alert_history.errors import AlertHistoryError
from alert_history.ports import Clock, StoredSettings

_SETTING = "demo_replayed_at"

_log = structlog.get_logger()


class Demonstration:
    """Fills the history with an incident and explains it."""

    def __init__(
        self, settings: StoredSettings, *, intake: Intake, ingest: Ingest, classifying: Classifying, clock: Clock
    ) -> None:
        self._settings = settings
        self._intake = intake
        self._ingest = ingest
        self._classifying = classifying
        self._clock = clock

    async def is_over(self) -> bool:
        """Whether this history holds the incident already."""
        return await self._settings.read(_SETTING) is not None

    async def replay(self, messages: Iterable[tuple[datetime, str, bytes]]) -> None:
        """Take messages in, each as (when it was received, path, body), and classify their alerts."""
        fingerprints: dict[str, None] = {}
        for received_at, path, body in messages:
            receipt = self._intake.receipt(path, body, received_at=received_at)
            fingerprints.update((sighting.alert.fingerprint, None) for sighting in receipt.sightings)
            await self._ingest.submit(receipt)
        await self._settings.write(_SETTING, self._clock().isoformat())
        await self._classify(fingerprints)
        _log.info("demo_replayed")

    async def _classify(self, fingerprints: Iterable[str]) -> None:
        try:
            for fingerprint in fingerprints:
                await self._classifying.classify(fingerprint, force=False)
        except AlertHistoryError as error:
            _log.warning("demo_not_classified", reason=str(error))
