"""What fired around an occurrence in its Alertmanager: the alerts of its groups, and those that may have inhibited it.

Reads a bounded number of occurrences of the whole history: an alert that who asks may not see may have inhibited one
that they may. So it counts, and is not named.
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from alert_history.domain.alert import fingerprint
from alert_history.domain.alertmanager.configuration import Configuration
from alert_history.domain.alertmanager.moment import MomentAlert
from alert_history.domain.alertmanager.relevance import Relevance
from alert_history.domain.alertmanager.route_simulation import Fired
from alert_history.domain.query import Query
from alert_history.engine.reach import is_within
from alert_history.errors import NotFound
from alert_history.ports import History, HistoryFilter, PageRequest, StoredAlert
from alert_history.ports.moments import Moments

_BEFORE = timedelta(days=1)
"""What began so long before it, or less, is looked for: a group goes by its own clock from its first alert on."""

_Alert = TypeVar("_Alert", StoredAlert, MomentAlert)

_MOST_FIRING = 5_000
_MOST_OF_A_QUERY = 200
_MOST_QUERIES = 8
_MOST_ENDS = 20


class Around(msgspec.Struct, frozen=True):
    """What fired around an occurrence. `unsure` are the routes whose group is older than all that is known."""

    others: Sequence[Fired] = ()
    unsure: frozenset[str] = frozenset()


class _Page(msgspec.Struct, frozen=True):
    """Occurrences that a query found; `is_cut`: there are more."""

    alerts: Sequence[StoredAlert]
    is_cut: bool


class AlertmanagerPast:
    """Reads the whole history. Every call may raise StorageUnavailable or QueryTimeout."""

    def __init__(self, moments: Moments, history: History) -> None:
        self._moments = moments
        self._history = history

    async def around(
        self, alert: StoredAlert, configuration: Configuration, *, until: datetime, now: datetime
    ) -> Around:
        """What matters to an occurrence, from a day before it until then. Raises: InvalidQuery for a wrong regex."""
        relevance = Relevance(alert.labels, configuration)
        had_at = had_since(alert)
        groups, sources = relevance.group_queries()[:_MOST_QUERIES], relevance.source_queries()[:_MOST_QUERIES]
        asked = [(query, had_at - _BEFORE) for query in groups] + [(query, had_at) for query in sources]
        firing, pages = await asyncio.gather(
            self._moments.alerts(had_at, limit=_MOST_FIRING),
            asyncio.gather(*(self._page(query, since, until) for query, since in asked)),
        )
        began = {each.id: each for page in pages for each in page.alerts if each.id != alert.id}
        relevant = await asyncio.to_thread(_relevant, began.values(), relevance)
        lasting = [each for each in firing if each.occurrence_id not in began and each.occurrence_id != alert.id]
        older = await asyncio.to_thread(_relevant, lasting, relevance)
        ends = await self._ends(older)
        is_cut = any(page.is_cut for page in pages[: len(groups)]) or len(firing) > _MOST_FIRING
        routes = {route for each in older for route in relevance.routes_shared(each.labels)}
        return Around(
            [
                *(as_fired(each, now) for each in relevant),
                *(_lasting(each, ends.get(each.occurrence_id)) for each in older),
            ],
            frozenset(relevance.routes) if is_cut else frozenset(routes),
        )

    async def _page(self, query: Query, since: datetime, until: datetime) -> _Page:
        wanted = HistoryFilter(query=query, since=since, until=until)
        page = await self._history.page(wanted, PageRequest(limit=_MOST_OF_A_QUERY, sort="timestamp"))
        return _Page(page.alerts, page.next_cursor is not None)

    async def _ends(self, alerts: Sequence[MomentAlert]) -> dict[str, datetime | None]:
        """When these were over, by occurrence; of many of the first."""
        asked = [alert.occurrence_id for alert in alerts[:_MOST_ENDS]]
        return dict(zip(asked, await asyncio.gather(*map(self._end, asked)), strict=True))

    async def _end(self, occurrence_id: str) -> datetime | None:
        try:
            return (await self._history.find(occurrence_id)).ends_at
        except NotFound:  # retention took it meanwhile
            return None


def had_since(alert: StoredAlert) -> datetime:
    """Since when an Alertmanager can have had it: what was posted to us was posted there at the same time.

    What an Alertmanager told us it knew before.
    """
    is_posted = alert.source == "prometheus" and alert.imported_at is None
    return max(alert.timestamp, alert.starts_at) if is_posted else alert.starts_at


def end_of(alert: StoredAlert, now: datetime) -> datetime | None:
    """When it was over for an Alertmanager: at the latest when its sender, who fell silent, had promised to repeat it.

    None while it fires.
    """
    is_silent = alert.expires_at is not None and alert.expires_at <= now
    return alert.expires_at if alert.ends_at is None and is_silent else alert.ends_at


def as_fired(alert: StoredAlert, now: datetime) -> Fired:
    """An occurrence as its Alertmanager had it."""
    return Fired(
        fingerprint(alert.labels),
        alert.labels,
        alert.starts_at,
        had_since(alert),
        end_of(alert, now),
        is_within(alert.labels, alert.annotations),
    )


def _relevant(alerts: Iterable[_Alert], relevance: Relevance) -> list[_Alert]:
    return [each for each in alerts if relevance.is_relevant(each.labels)]


def _lasting(alert: MomentAlert, ends_at: datetime | None) -> Fired:
    is_named = is_within(alert.labels, alert.annotations)
    return Fired(alert.fingerprint, alert.labels, alert.starts_at, alert.starts_at, ends_at, is_named)
