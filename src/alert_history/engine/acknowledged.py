"""Who acknowledged the occurrences that a page shows: one read for all of its rows."""

from collections.abc import Iterable

from alert_history.domain.acts import Takers, takers_of
from alert_history.engine.history import key_of
from alert_history.ports import Acts


class Acknowledged:
    """Answers who acknowledged."""

    def __init__(self, acts: Acts) -> None:
        self._acts = acts

    async def takers(self, ids: Iterable[str]) -> Takers:
        """Those of the occurrences that somebody has acknowledged. Raises NotFound, StorageUnavailable or QueryTimeout.

        An acknowledgement that was taken back counts no more.
        """
        acts = await self._acts.of_occurrences([key_of(each) for each in ids])
        return {occurrence_id: names for occurrence_id, names in takers_of(acts).items() if names}
