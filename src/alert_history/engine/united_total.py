"""How many occurrences the database and its archives have together, each counted once."""

from datetime import datetime

from alert_history.domain.occurrence import Key
from alert_history.engine.history import key_of
from alert_history.engine.united_order import Halves
from alert_history.errors import QueryTimeout
from alert_history.ports import ArchivedSearch, History, HistoryFilter, PageRequest

_COUNT_SECONDS, _EXACT_SECONDS = 1.0, 5.0
_PAGE, _MOST_PAGES, _MOST_EXACT_PAGES = 1_000, 2, 50


class UnitedTotal:
    """Counts. Every call may raise what the two raise."""

    def __init__(self, history: History, search: ArchivedSearch) -> None:
        self._history = history
        self._search = search

    async def total(self, wanted: HistoryFilter, page: PageRequest, halves: Halves) -> tuple[int, bool]:
        """The total, and whether it is exact, else a lower bound.

        What both have, after a restore, is looked up by its keys, if these are few or the total has to be exact.
        """
        stored = halves.database
        if page.cursor is None and halves.archive.is_last:
            return stored.total + len(halves.archive.alerts), stored.is_total_exact
        span = await self._search.span(wanted)
        if span is None:
            return stored.total, stored.is_total_exact
        seconds = _EXACT_SECONDS if page.wants_exact_total else _COUNT_SECONDS
        archived = await self._search.count(wanted, seconds=seconds)
        keys = await self._keys(*span, most=_MOST_EXACT_PAGES if page.wants_exact_total else _MOST_PAGES)
        common = 0 if keys == [] else None
        if keys and archived:
            common = await self._search.count(wanted, seconds=seconds, among=keys)
        if archived is not None and common is not None:
            return stored.total + archived - common, stored.is_total_exact
        if page.wants_exact_total:
            raise QueryTimeout("the archive can't be counted in time; narrow the time, or leave out total=exact")
        return max(stored.total, archived or 0), False

    async def _keys(self, since: datetime, until: datetime, *, most: int) -> list[Key] | None:
        """The keys that the database has of a time; None if they are more than so many pages."""
        keys: list[Key] = []
        cursor = None
        for _ in range(most):
            answer = await self._history.page(
                HistoryFilter(since=since, until=until), PageRequest(_PAGE, cursor=cursor)
            )
            keys += [key_of(alert.id) for alert in answer.alerts]
            cursor = answer.next_cursor
            if cursor is None:
                return keys
        return None
