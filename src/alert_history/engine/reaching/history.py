"""The history, as far as it exists for who calls."""

from collections.abc import AsyncIterator

from alert_history.engine.reach import check_sees_all, is_narrowed, is_within, within
from alert_history.errors import NotFound
from alert_history.ports import (
    ALL_REFUSED,
    History,
    HistoryFilter,
    HistoryPage,
    PageRequest,
    QuarantinedAlert,
    QuarantineFilter,
    QuarantinePage,
    StoredAlert,
    StoredEvent,
)


class ReachingHistory:
    """See `ports.History`. An occurrence beyond the reach is answered as one that there is not."""

    def __init__(self, history: History) -> None:
        self._history = history

    async def page(self, wanted: HistoryFilter, page: PageRequest) -> HistoryPage:
        """See `ports.History.page`."""
        return await self._history.page(within(wanted), page)

    async def find(self, occurrence_id: str) -> StoredAlert:
        """See `ports.History.find`."""
        alert = await self._history.find(occurrence_id)
        if not is_within(alert.labels, alert.annotations):
            raise NotFound(f"no occurrence {occurrence_id!r}")
        return alert

    async def timeline(self, occurrence_id: str, *, newest: int = 10_000) -> list[StoredEvent]:
        """See `ports.History.timeline`."""
        if is_narrowed():
            try:
                await self.find(occurrence_id)
            except NotFound:
                return []
        return await self._history.timeline(occurrence_id, newest=newest)

    async def quarantine(
        self, *, limit: int, cursor: str | None, wanted: QuarantineFilter = ALL_REFUSED
    ) -> QuarantinePage:
        """See `ports.History.quarantine`. Nobody can tell whose an alert is that can't be read."""
        check_sees_all()
        return await self._history.quarantine(limit=limit, cursor=cursor, wanted=wanted)

    async def quarantined(self, id_: str) -> QuarantinedAlert:
        """See `ports.History.quarantined`."""
        check_sees_all()
        return await self._history.quarantined(id_)

    def export(self, wanted: HistoryFilter, *, batch_size: int = 1000) -> AsyncIterator[list[StoredAlert]]:
        """See `ports.History.export`."""
        return self._history.export(within(wanted), batch_size=batch_size)
