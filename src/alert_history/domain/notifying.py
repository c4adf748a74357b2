"""Who decides who is told."""

from collections.abc import Container, Iterable
from datetime import datetime
from typing import Protocol

import msgspec

from alert_history.domain.alert import Alert
from alert_history.domain.classification import KeptVerdict
from alert_history.domain.decision import Decision
from alert_history.domain.delivery import Routing
from alert_history.domain.microseconds import to_us
from alert_history.domain.occurrence import Event, note_key
from alert_history.domain.standing import Firing, Past, Standing
from alert_history.errors import StorageUnavailable

AWAITED = "awaited"
"""What `enrichment` is of a delivery that waits for its classification."""

NOT_IN_TIME = "no classification came in time"


class Router(Protocol):
    """Who decides, inside the ingest transaction, which targets are told of an event."""

    def __call__(self, alert: Alert, event: Event) -> Routing | None:
        """The decision for all targets; None if there is nothing to decide. Pure and quick.

        Raises: StorageUnavailable while the targets are not known yet.
        """
        ...


class Enqueued(msgspec.Struct, frozen=True):
    """A delivery to be made: one event, one target, not before `due_at` (None: at once).

    `shape` is that of the classification that goes with it; `enrichment` is `awaited` or why there is none.
    """

    event: Event
    target: str
    due_at: datetime | None = None
    shape: str | None = None
    enrichment: str | None = None


def tell(
    decisions: Iterable[Decision], router: Router | None, *, published: Container[str | None] = ()
) -> tuple[list[Event], list[Enqueued]]:
    """Decide who is told of all events. What was decided is kept in the detail of each, as `routing`.

    Whoever is told of a firing is remembered in the standing, to be told of its end. `published` are the receipts that
    are to be published: only of their ends it is kept why nobody is told.
    """
    events: list[Event] = []
    queue: list[Enqueued] = []
    for decision in decisions:
        if router is None:
            events += decision.events
            continue
        for event, alert in zip(decision.events, decision.alerts, strict=True):
            if event.telling is None:
                events.append(event)
                continue
            is_published = event.receipt_id in published
            routed, enqueued = _tell(decision.standing, event, alert, router=router, is_published=is_published)
            events.append(routed)
            queue += enqueued
    return events, queue


def _tell(
    standing: Standing, event: Event, alert: Alert, *, router: Router, is_published: bool
) -> tuple[Event, list[Enqueued]]:
    if event.telling == "notified":
        notified = notified_of(standing, event)
        if not notified and not is_published:
            return event, []
        return tell_end(event, alert, notified=notified, router=router)
    routing = None if event.telling is None else router(alert, event)
    if routing is None:
        return event, []
    _notify(standing, event, routing.told)
    return _with_routing(event, routing), _queue(event, routing)


def notified_of(standing: Standing, event: Event) -> tuple[str, ...]:
    """The targets that were told of the firing which an event is of."""
    holder = _holder(standing, event)
    return () if holder is None else holder.notified


def _notify(standing: Standing, event: Event, targets: Iterable[str]) -> None:
    """Remember that these are told of a firing."""
    holder = _holder(standing, event)
    if holder is not None:
        holder.notified = tuple(dict.fromkeys([*holder.notified, *targets]))


def _holder(standing: Standing, event: Event) -> Firing | Past | None:
    """What the standing remembers of the firing that an event is of."""
    key_us = to_us(event.starts_at)
    if standing.firing is not None and standing.firing.key_us == key_us:
        return standing.firing
    return next((past for past in standing.past if past.key_us == key_us), None)


def tell_end(event: Event, alert: Alert, *, notified: Iterable[str], router: Router) -> tuple[Event, list[Enqueued]]:
    """Tell of an end whoever was told of the firing, and nobody else; quiet hours count. As `tell`."""
    told = tuple(notified)
    try:
        decided = router(alert, event)
    except StorageUnavailable:  # the targets are not known yet, and need not be
        decided = None
    if decided is None:
        return event, _queue(event, Routing(told, {}))
    not_told = dict.fromkeys(decided.told, "it was not told of the alert before") | decided.not_told
    routing = Routing(
        told,
        {name: reason for name, reason in not_told.items() if name not in told},
        routes={name: by for name, by in decided.routes.items() if name in told},
        due_at={name: due_at for name, due_at in decided.due_at.items() if name in told},
        reason=None if told or not_told else decided.reason,
        awaits=decided.awaits,
    )
    return _with_routing(event, routing), _queue(event, routing)


def _with_routing(event: Event, routing: Routing) -> Event:
    return msgspec.structs.replace(event, detail={**(event.detail or {}), "routing": routing.on_record()})


def _queue(event: Event, routing: Routing) -> list[Enqueued]:
    return [_enqueued(event, target, routing) for target in routing.told]


def _enqueued(event: Event, target: str, routing: Routing) -> Enqueued:
    """What quiet hours hold waits for no classification, which would let it go; it takes what is known by then."""
    held_until, awaits = routing.due_at.get(target), routing.awaits
    if awaits is None:
        return Enqueued(event, target, held_until)
    does_wait = awaits.until is not None
    enrichment = (NOT_IN_TIME if held_until else AWAITED) if does_wait else awaits.unenriched
    return Enqueued(event, target, held_until or awaits.until, awaits.shape, enrichment)


def classified_event(kept: KeptVerdict, *, fingerprint: str, starts_at: datetime, now: datetime) -> Event:
    """That an alert was classified after its targets had been told of it; once for each classification."""
    told = kept.verdict.classification
    detail = {"classification": kept.id, "severity": told.severity, "confidence": told.confidence, "model": told.model}
    key = note_key(kept.id.encode())
    return Event(fingerprint, starts_at, key, "classified", now, None, detail)


def follow_up_delivery(event: Event, target: str, *, shape: str) -> Enqueued:
    """Its key says that whatever else is to be said of the alert is newer, so it never overtakes or replaces news."""
    return Enqueued(msgspec.structs.replace(event, key=0), target, shape=shape)
