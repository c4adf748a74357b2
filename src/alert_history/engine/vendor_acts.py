"""What vendors tell us: who acknowledged, noted or resolved an incident there becomes an act of its occurrence.

Must not know HTTP, and must not check who sent an event: `web.ingest.vendors` does. A vendor's resolve never ends an
occurrence: only its senders do.
"""

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Literal

import msgspec
import structlog

from alert_history.domain.acts import Act, ActSource, vendor_act_id
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.occurrence import Key, occurrence_id, split_occurrence_id
from alert_history.domain.receipt import RANDOM_ID_BYTES, time_ordered_id
from alert_history.domain.vendor_event import RefusedEvent, VendorEvent, author_of, is_echo, words_of
from alert_history.engine.history import key_of
from alert_history.errors import MalformedPayload, NotFound
from alert_history.ports import Acts, Clock, History, StoredAlert, VendorEvents
from alert_history.sources.pagerduty import decode_pagerduty
from alert_history.sources.rootly import decode_rootly

Fate = Literal["stored", "repeated", "ignored", "quarantined"]

VENDORS: dict[ActSource, str] = {"pagerduty": "PagerDuty", "rootly": "Rootly"}
"""The vendors that may tell us, each with the name that people know."""

_DECODERS: dict[ActSource, Callable[[bytes], VendorEvent]] = {
    "pagerduty": decode_pagerduty,
    "rootly": decode_rootly,
}

_log = structlog.get_logger()


class TakenEvent(msgspec.Struct, frozen=True):
    """What became of an event: `stored` as an act, `repeated`, `ignored` as nothing to keep, or `quarantined`."""

    fate: Fate
    reason: str = ""


class VendorActs:
    """Takes the events of vendors. Every call may raise StorageUnavailable; then the vendor sends the event again."""

    def __init__(self, history: History, acts: Acts, *, events: VendorEvents, clock: Clock) -> None:
        self._history = history
        self._acts = acts
        self._events = events
        self._clock = clock

    async def take(self, source: ActSource, body: bytes) -> TakenEvent:
        """Take one webhook whose sender is certain. What can't be read, or fits no occurrence, is quarantined."""
        try:
            event = _DECODERS[source](body)
        except MalformedPayload as error:
            return await self._refuse(source, body, at=None, reason=str(error))
        if not event.occurrence_id and not event.incident:
            return TakenEvent("ignored", f"{event.type} is about no incident")
        alert = await self._alert_of(event)
        if alert is None and event.kind is not None:
            return await self._refuse(source, body, at=event.at, reason=_why_unknown(event))
        if alert is None or event.kind is None:
            return TakenEvent("ignored", f"{event.type} is nothing that is kept")
        return await self._keep(event, alert)

    async def _alert_of(self, event: VendorEvent) -> StoredAlert | None:
        """The occurrence of an event, which is remembered with the incident; None where it is not known."""
        key = _key_in(event) or await self._events.occurrence_of(event.source, event.incident)
        if key is None:
            return None
        try:
            alert = await self._history.find(occurrence_id(key[0], to_us(key[1])))
        except NotFound:
            return None
        if event.incident and event.occurrence_id:
            await self._events.remember(event.source, event.incident, key=key_of(alert.id), now=self._clock())
        return alert

    async def _keep(self, event: VendorEvent, alert: StoredAlert) -> TakenEvent:
        key = key_of(alert.id)
        if is_echo(event, await self._acts.of_occurrence(*key), is_over=alert.status == "resolved"):
            return TakenEvent("ignored", f"{event.type} tells what we told {VENDORS[event.source]}")
        is_new = await self._acts.keep(_act(event, alert, key=key))
        return TakenEvent("stored" if is_new else "repeated")

    async def _refuse(self, source: ActSource, body: bytes, *, at: datetime | None, reason: str) -> TakenEvent:
        """Quarantine a webhook. Its id comes from its time and its body, so that the same webhook is refused once."""
        now = self._clock()
        digest = sha256(body).digest()[:RANDOM_ID_BYTES]
        refused_id = time_ordered_id(now if at is None else min(at, now), randomness=digest)
        _log.warning("vendor_event_quarantined", source=source, reason=reason)
        await self._events.refuse(RefusedEvent(refused_id, now, source, reason, body))
        return TakenEvent("quarantined", reason)


def _key_in(event: VendorEvent) -> Key | None:
    """The key of the occurrence that an event names; None where it names none of ours."""
    parts = split_occurrence_id(event.occurrence_id)
    return None if parts is None else (parts[0], from_us(parts[1]))


def _why_unknown(event: VendorEvent) -> str:
    vendor = VENDORS[event.source]
    if event.occurrence_id:
        return f"{event.type}: {vendor} names {event.occurrence_id!r}, and no such occurrence is known"
    return f"{event.type}: no event of {vendor} before it said which alert incident {event.incident} is about"


def _act(event: VendorEvent, alert: StoredAlert, *, key: Key) -> Act:
    if event.kind is None:
        raise ValueError("an event without a kind is no act")
    return Act(
        vendor_act_id(key, source=event.source, event_id=event.id),
        *key,
        alert.alertname,
        alert.severity,
        alert.namespace,
        event.at,
        event.kind,
        author_of(event, vendor=VENDORS[event.source]),
        words_of(event),
        event.source,
        event.incident or None,
    )
