"""Tracing an alert: one occurrence with all that was received, decided and done because of it.

Joins the records of the history, the deliveries and the classifications. Must not change anything; `web.api` decides
how an answer looks on the wire.
"""

import asyncio
from datetime import datetime

import msgspec

from alert_history.domain.acts import Act, ActKind, ActSource
from alert_history.domain.classification import shape_of
from alert_history.domain.microseconds import from_us
from alert_history.domain.occurrence import split_occurrence_id
from alert_history.engine.ledger import MOST_DELIVERIES, MOST_EVENTS, Ledger, ledger
from alert_history.errors import NotFound
from alert_history.ports import (
    Acts,
    ArchivedRecords,
    ClassificationHistory,
    Clock,
    DeliveryFilter,
    DeliveryLog,
    History,
    KeptVerdict,
    StoredAlert,
    StoredDelivery,
    StoredEvent,
)


class TracedAlert(StoredAlert, frozen=True, kw_only=True):
    """One occurrence with its ledger: what was received, decided and done, and why each target was notified or not."""

    ledger: Ledger


class ShownAct(msgspec.Struct, frozen=True):
    """What a person did about an occurrence, when, and in which words.

    `source` says who told us: the person, or the vendor at whom the person did it. `resolved` is a resolve there; it
    ends nothing here.
    """

    id: str
    at: datetime
    kind: ActKind
    by: str
    text: str
    source: ActSource


class Timeline(msgspec.Struct, frozen=True):
    """An occurrence, everything that happened to it, and what people did about it; both oldest first."""

    alert: StoredAlert
    events: list[StoredEvent]
    acts: list[ShownAct]


class Moved(msgspec.Struct, frozen=True):
    """The occurrence turned out to be part of another; `id` is that of the other."""

    id: str


class Records(msgspec.Struct, frozen=True):
    """All that is on record of an occurrence: the newest events, the newest deliveries, acts, the newest verdict.

    Events and acts are oldest first; `MOST_EVENTS` and `MOST_DELIVERIES` bound them, and one more says that there are
    more.
    """

    alert: StoredAlert
    events: list[StoredEvent]
    deliveries: list[StoredDelivery]
    acts: list[Act]
    verdict: KeptVerdict | None

    def ledger(self, now: datetime) -> Ledger:
        """What these records say, step by step."""
        return ledger(
            self.events,
            self.deliveries,
            acts=self.acts,
            classified=self.verdict,
            now=now,
            imported_at=self.alert.imported_at,
        )


class Tracing:
    """Traces occurrences by their ids. Every call may raise StorageUnavailable."""

    def __init__(
        self,
        history: History,
        *,
        acts: Acts,
        deliveries: DeliveryLog,
        classifications: ClassificationHistory,
        archived: ArchivedRecords,
        clock: Clock,
    ) -> None:
        self._history = history
        self._acts = acts
        self._deliveries = deliveries
        self._classifications = classifications
        self._archived = archived
        self._clock = clock

    async def trace(self, occurrence_id: str) -> TracedAlert | Moved:
        """One occurrence with its ledger. Raises NotFound."""
        records = await self.records(occurrence_id)
        if isinstance(records, Moved):
            return records
        return TracedAlert(**msgspec.structs.asdict(records.alert), ledger=records.ledger(self._clock()))

    async def records(self, occurrence_id: str) -> Records | Moved:
        """One occurrence with what is on record of it. Raises NotFound."""
        alert = await self._history.find(occurrence_id)
        if alert.id != occurrence_id:
            return Moved(alert.id)
        events, deliveries, verdict, acts = await asyncio.gather(
            self._history.timeline(alert.id, newest=MOST_EVENTS + 1),
            self._deliveries_of(alert),
            self._classified(alert),
            self._acts_of(alert),
        )
        return Records(alert, events, deliveries, acts, verdict)

    async def timeline(self, occurrence_id: str) -> Timeline | Moved:
        """One occurrence with its events. Raises NotFound."""
        alert = await self._history.find(occurrence_id)
        if alert.id != occurrence_id:
            return Moved(alert.id)
        events = await self._history.timeline(alert.id)
        acts = await self._acts_of(alert)
        return Timeline(alert, events, [shown(act) for act in acts])

    async def _acts_of(self, alert: StoredAlert) -> list[Act]:
        acts = await self._acts.of_occurrence(*key_of(alert.id))
        if alert.is_archived:
            acts = list({act.id: act for act in (*await self._archived.acts(alert.id), *acts)}.values())
        return acts

    async def _deliveries_of(self, alert: StoredAlert) -> list[StoredDelivery]:
        if alert.is_archived:
            return await self._archived.deliveries(alert.id, limit=MOST_DELIVERIES + 1)
        fingerprint, starts_at = key_of(alert.id)
        wanted = DeliveryFilter(fingerprint=fingerprint, starts_at=starts_at, limit=MOST_DELIVERIES + 1)
        page = await self._deliveries.deliveries(wanted)
        return page.deliveries

    async def _classified(self, alert: StoredAlert) -> KeptVerdict | None:
        """The newest verdict on the shape of an alert."""
        verdicts = await self._classifications.history(shape_of(alert.labels), limit=1)
        return verdicts[0] if verdicts else None


def shown(act: Act) -> ShownAct:
    """An act as people see it, beside its occurrence."""
    return ShownAct(act.id, act.at, act.kind, act.by, act.text, act.source)


def key_of(occurrence_id: str) -> tuple[str, datetime]:
    """The fingerprint with its scope, and the key, of an occurrence. Raises NotFound where the id has another form."""
    parts = split_occurrence_id(occurrence_id)
    if parts is None:
        raise NotFound(f"{occurrence_id!r} is no id of an occurrence")
    return parts[0], from_us(parts[1])
