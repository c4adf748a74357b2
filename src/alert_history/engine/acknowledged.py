"""Who acknowledged the occurrences that a page shows: one read for all of its rows."""

from collections.abc import Iterable
from datetime import datetime

from alert_history.domain.acts import Takers, takers_of
from alert_history.engine.history import key_of
from alert_history.ports import Acts


class Acknowledged:
    """Answers who acknowledged."""

    def __init__(self, acts: Acts) -> None:
        self._acts = acts

    async def takers(self, ids: Iterable[str], *, by: datetime | None = None) -> Takers:
        """Those of the occurrences that somebody has acknowledged. Raises NotFound, StorageUnavailable or QueryTimeout.

        An acknowledgement that was taken back counts no more. With `by`, what was done later counts not at all.
        """
        acts = await self._acts.of_occurrences([key_of(each) for each in ids])
        counted = [act for act in acts if by is None or act.at <= by]
        return {occurrence_id: names for occurrence_id, names in takers_of(counted).items() if names}
