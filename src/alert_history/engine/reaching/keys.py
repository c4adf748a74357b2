"""Which occurrences exist for who calls, by their keys."""

from collections.abc import Collection, Sequence
from typing import TypeVar

from alert_history.domain.microseconds import from_us
from alert_history.domain.occurrence import Key, split_occurrence_id
from alert_history.engine.reach import is_within
from alert_history.ports import Feed

_AT_ONCE = 2_000

T = TypeVar("T")


class ReachedKeys:
    """Looks occurrences up. Every call may raise StorageUnavailable."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    async def among(self, keys: Collection[Key]) -> set[Key]:
        """Those of these keys whose occurrence is kept and within the reach."""
        listed = list(dict.fromkeys(keys))
        reached: set[Key] = set()
        for first in range(0, len(listed), _AT_ONCE):
            alerts = await self._feed.alerts(listed[first : first + _AT_ONCE])
            reached |= {key for key, alert in alerts.items() if is_within(alert.labels, alert.annotations)}
        return reached

    async def has(self, key: Key) -> bool:
        """Whether the occurrence of a key is kept and within the reach."""
        return bool(await self.among([key]))

    async def of_ids(self, ids: Collection[str]) -> set[str]:
        """Those of these ids of occurrences whose occurrence is kept and within the reach."""
        keys = {id_: key for id_ in ids if (key := _key(id_)) is not None}
        reached = await self.among(keys.values())
        return {id_ for id_, key in keys.items() if key in reached}

    async def rows(self, rows: Sequence[T], keys: Sequence[Key]) -> list[T]:
        """Those of these rows, each with the key of its occurrence, that are within the reach."""
        reached = await self.among(keys)
        return [row for row, key in zip(rows, keys, strict=True) if key in reached]


def _key(occurrence_id: str) -> Key | None:
    parts = split_occurrence_id(occurrence_id)
    return None if parts is None else (parts[0], from_us(parts[1]))
