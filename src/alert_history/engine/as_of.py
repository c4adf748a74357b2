"""Records as they stood at a past moment: what came later is left out, and what was undone later is there.

A record keeps its newest state alone. What it was before is reckoned back from its times, events and attempts; what
can't be is left as it is, and said here. Pure, but for `HistoryAsOf`, which reads.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from alert_history.domain.episode import Episode
from alert_history.engine.history import Records
from alert_history.engine.ledger import MOST_EVENTS
from alert_history.ids import lowest_uuid7
from alert_history.ports import (
    History,
    HistoryFilter,
    HistoryPage,
    PageRequest,
    StoredAlert,
    StoredDelivery,
    StoredEvent,
)
from alert_history.ports.history import ALL_REFUSED, QuarantinedAlert, QuarantineFilter, QuarantinePage

_MILLISECOND = timedelta(milliseconds=1)
_READ = 100
_MOST_LOOKED_AT = 600


def alert_as_of(alert: StoredAlert, at: datetime) -> StoredAlert:
    """An occurrence that had been received by then.

    It fires where it had not ended; that nobody confirmed it any more is not known of the past. How often it was
    repeated is known until now alone.
    """
    last = min(alert.last_received_at, at)
    confirmed = alert.confirmed_at if alert.confirmed_at is None else min(alert.confirmed_at, at)
    if alert.ends_at is not None and alert.ends_at <= at and alert.status != "firing":
        return replace(alert, last_received_at=last, confirmed_at=confirmed)
    return replace(
        alert,
        status="firing",
        state="firing",
        state_reason=None,
        ends_at=None,
        ended_by=None,
        last_received_at=last,
        confirmed_at=confirmed,
    )


def episodes_as_of(episodes: Iterable[Episode], at: datetime | None) -> list[Episode]:
    """The episodes that had been received by a moment, each as it stood then; None: all, as they are."""
    if at is None:
        return list(episodes)
    return [
        each if each.ends_at is not None and each.ends_at <= at else replace(each, ends_at=None, ended_by=None)
        for each in episodes
        if each.received_at <= at
    ]


def records_as_of(records: Records, at: datetime) -> Records:
    """All that was on record of an occurrence by then. Of its annotations, those that the next change took away."""
    events = [event for event in records.events if event.at <= at]
    alert = alert_as_of(records.alert, at)
    before = _annotations_before([event for event in records.events if event.at > at])
    verdict = records.verdict
    return Records(
        alert if before is None else replace(alert, annotations=before),
        events[-MOST_EVENTS - 1 :],
        [_delivery_as_of(delivery, at) for delivery in records.deliveries if delivery.created_at <= at],
        [act for act in records.acts if act.at <= at],
        None if verdict is None or verdict.verdict.classification.at > at else verdict,
    )


def _annotations_before(later: Sequence[StoredEvent]) -> dict[str, str] | None:
    """The annotations before the first change of them; None where nothing changed them."""
    changes = [event.detail or {} for event in later if event.kind == "annotations_changed"]
    return changes[0].get("before") if changes else None


def _delivery_as_of(delivery: StoredDelivery, at: datetime) -> StoredDelivery:
    """A delivery that was made by then; one that was settled later waits."""
    if delivery.settled_at is not None and delivery.settled_at <= at:
        return delivery
    tries = [attempt for attempt in delivery.log if _time_of(attempt) <= at]
    later = len(delivery.log) - len(tries)
    return replace(
        delivery,
        state="pending",
        due_at=None,
        settled_at=None,
        attempts=max(delivery.attempts - later, 0),
        log=tries,
        external_id=None,
    )


def _time_of(attempt: dict[str, Any]) -> datetime:
    return msgspec.convert(attempt["at"], datetime)


def history_as_of(history: History, at: datetime | None) -> History:
    """The history as of a moment; None: as it is."""
    return history if at is None else HistoryAsOf(history, at)


class HistoryAsOf:
    """See `ports.History`: the occurrences that had been received by a moment, each as it stood then."""

    def __init__(self, history: History, at: datetime) -> None:
        self._history = history
        self._at = at

    async def page(self, wanted: HistoryFilter, page: PageRequest) -> HistoryPage:
        """See `ports.History.page`.

        With a status, which no index knows of the past, a bounded number of occurrences is looked at: a page may have
        more rows than were asked for, or fewer than there are behind it, and `total` counts those of all states.
        """
        wanted = replace(wanted, until=self._at if wanted.until is None else min(wanted.until, self._at))
        if wanted.status is not None:
            return await self._of_status(wanted, page)
        answer = await self._history.page(wanted, page)
        return replace(answer, alerts=[alert_as_of(alert, self._at) for alert in answer.alerts])

    async def find(self, occurrence_id: str) -> StoredAlert:
        """See `ports.History.find`."""
        return alert_as_of(await self._history.find(occurrence_id), self._at)

    async def timeline(self, occurrence_id: str, *, newest: int = 10_000) -> list[StoredEvent]:
        """See `ports.History.timeline`."""
        events = await self._history.timeline(occurrence_id, newest=newest)
        return [event for event in events if event.at <= self._at]

    async def quarantine(
        self, *, limit: int, cursor: str | None, wanted: QuarantineFilter = ALL_REFUSED
    ) -> QuarantinePage:
        """See `ports.History.quarantine`. `total` is that of now."""
        behind = lowest_uuid7(self._at + _MILLISECOND)
        page = await self._history.quarantine(limit=limit, cursor=min(cursor or behind, behind), wanted=wanted)
        return replace(page, quarantine=[alert for alert in page.quarantine if alert.received_at <= self._at])

    async def quarantined(self, id_: str) -> QuarantinedAlert:
        """See `ports.History.quarantined`."""
        return await self._history.quarantined(id_)

    async def export(self, wanted: HistoryFilter, *, batch_size: int = 1000) -> AsyncIterator[list[StoredAlert]]:
        """See `ports.History.export`."""
        status = wanted.status
        wanted = replace(wanted, status=None, until=self._at if wanted.until is None else min(wanted.until, self._at))
        async for batch in self._history.export(wanted, batch_size=batch_size):
            alerts = [alert_as_of(alert, self._at) for alert in batch]
            yield [alert for alert in alerts if status in {None, alert.status}]

    async def _of_status(self, wanted: HistoryFilter, page: PageRequest) -> HistoryPage:
        status, wanted = wanted.status, replace(wanted, status=None)
        alerts: list[StoredAlert] = []
        limit = max(page.limit, _READ)
        answer = await self._history.page(wanted, replace(page, limit=limit))
        previous, total = answer.previous_cursor, answer.total
        for _ in range(max(_MOST_LOOKED_AT // limit, 1)):
            as_of = [alert_as_of(alert, self._at) for alert in answer.alerts]
            alerts += [alert for alert in as_of if alert.status == status]
            if len(alerts) >= page.limit or answer.next_cursor is None:
                break
            answer = await self._history.page(wanted, replace(page, limit=limit, offset=0, cursor=answer.next_cursor))
        is_exact = answer.next_cursor is None and page.cursor is None
        return replace(
            answer,
            alerts=alerts,
            total=len(alerts) if is_exact else total,
            is_total_exact=is_exact,
            previous_cursor=previous,
        )
