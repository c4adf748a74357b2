"""What archives have of an occurrence, as far as it exists for who calls. They are searched through the history."""

from alert_history.domain.acts import Act
from alert_history.engine.reach import is_narrowed, is_within
from alert_history.errors import NotFound
from alert_history.ports import ArchivedRecords, StoredAlert, StoredDelivery, StoredEvent


class ReachingArchivedRecords:
    """See `ports.ArchivedRecords`. An occurrence beyond the reach is answered as one that there is not."""

    def __init__(self, records: ArchivedRecords) -> None:
        self._records = records

    async def find(self, occurrence_id: str) -> StoredAlert:
        """See `ports.ArchivedRecords.find`."""
        alert = await self._records.find(occurrence_id)
        if not is_within(alert.labels, alert.annotations):
            raise NotFound(f"no occurrence {occurrence_id!r}")
        return alert

    async def timeline(self, occurrence_id: str, *, newest: int = 10_000) -> list[StoredEvent]:
        """See `ports.ArchivedRecords.timeline`."""
        return await self._records.timeline(occurrence_id, newest=newest) if await self._has(occurrence_id) else []

    async def deliveries(self, occurrence_id: str, *, limit: int) -> list[StoredDelivery]:
        """See `ports.ArchivedRecords.deliveries`."""
        return await self._records.deliveries(occurrence_id, limit=limit) if await self._has(occurrence_id) else []

    async def acts(self, occurrence_id: str) -> list[Act]:
        """See `ports.ArchivedRecords.acts`."""
        return await self._records.acts(occurrence_id) if await self._has(occurrence_id) else []

    async def _has(self, occurrence_id: str) -> bool:
        if not is_narrowed():
            return True
        try:
            await self.find(occurrence_id)
        except NotFound:
            return False
        return True
