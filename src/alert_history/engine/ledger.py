"""The ledger of an occurrence: what was received, decided and done, and why each target was notified or not.

Built from stored records alone. A decision is shown as it was taken then; its result is shown as the outbox has it
now. However much happened, a ledger is small: it shows the newest events, and says that there are more.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby, islice
from typing import Literal

import msgspec

from alert_history.domain.acts import Act, ActKind, ActSource
from alert_history.domain.change_text import change_text
from alert_history.domain.delivery import TOLD_EVENTS, Attempt, Fate, Routing
from alert_history.domain.note_text import note_text
from alert_history.domain.notifying import ACT_KEYS_BELOW, act_key, reason_for
from alert_history.domain.occurrence import EventKind
from alert_history.ports import KeptVerdict, StoredDelivery, StoredEvent

MOST_EVENTS = 100
MOST_DELIVERIES = 1_000
_MOST_LINES = 1_000
_MOST_ATTEMPTS = 5
_MOST_ACTS = 100
_LONGEST_REASON = 500


class LedgerStep(msgspec.Struct, frozen=True):
    """One step of an event. `at` is null while it is not done.

    The time of the commit is not stored: the commit followed its receipt within seconds, or the sender came again.
    """

    step: Literal["received", "recorded", "noted", "enriched", "routed", "delivered"]
    at: datetime | None
    reason: str


class LedgerLine(msgspec.Struct, frozen=True):
    """The fate of an event at one target, since `at`. `log` holds the last attempts of `attempts`.

    `held`: by quiet hours. `withheld`: because of what the alert's classification says. `superseded_by` is the delivery
    of newer news that was made instead; null if that is of a later occurrence. `unknown`: its record is gone.
    """

    target: str
    fate: Fate
    reason: str
    route: str | None = None
    delivery_id: str | None = None
    at: datetime | None = None
    next_try_at: datetime | None = None
    attempts: int = 0
    log: list[Attempt] = []
    superseded_by: str | None = None


class LedgerEvent(msgspec.Struct, frozen=True):
    """One event and what followed from it."""

    event: EventKind
    at: datetime
    receipt_id: str | None
    source: str | None
    receiver: str | None
    steps: list[LedgerStep]
    targets: list[LedgerLine]


class LedgerAct(msgspec.Struct, frozen=True):
    """What a person did, when, and in which words; then what became of it at each target that was to be told of it."""

    at: datetime
    kind: ActKind
    by: str
    text: str
    source: ActSource
    targets: list[LedgerLine]


class LedgerTarget(msgspec.Struct, frozen=True):
    """In short: whether a target was notified of the occurrence, when first, and the fate of the newest news there."""

    target: str
    is_told: bool
    told_at: datetime | None
    newest_event: EventKind
    fate: Fate
    reason: str


class Ledger(msgspec.Struct, frozen=True):
    """The whole answer. `targets` is the short form; `events` are the newest, oldest first.

    `classification` is the newest verdict on such alerts, null where there is none. `is_complete` is false where
    older events, or lines of them, were left out. `acts` are what people did, oldest first.
    """

    targets: list[LedgerTarget]
    classification: LedgerStep | None
    events: list[LedgerEvent]
    is_complete: bool
    acts: list[LedgerAct]


def ledger(
    events: Sequence[StoredEvent],
    deliveries: Sequence[StoredDelivery],
    *,
    acts: Sequence[Act] = (),
    classified: KeptVerdict | None,
    now: datetime,
    imported_at: datetime | None = None,
) -> Ledger:
    """The ledger of these events and acts, both oldest first, and the deliveries of their occurrence, in any order.

    Give one event more than `MOST_EVENTS` and one delivery more than `MOST_DELIVERIES` where there are more.
    `imported_at` is when an import brought the occurrence in: nobody received what is older.
    """
    shown = events[-MOST_EVENTS:]
    known = sorted(deliveries, key=lambda delivery: delivery.id)[-MOST_DELIVERIES:]
    deliveries_of = {
        key: list(group) for key, group in groupby(sorted(known, key=_key_of_delivery), key=_key_of_delivery)
    }
    entries: list[LedgerEvent] = []
    room = _MOST_LINES
    is_complete = len(shown) == len(events) and len(known) == len(deliveries)
    for event in reversed(shown):
        its_deliveries = deliveries_of.get(_key_of_event(event), [])
        lines = list(islice(_lines(event, its_deliveries, known=known, now=now), room + 1))
        is_complete = is_complete and len(lines) <= room
        lines = lines[:room]
        room -= len(lines)
        is_imported = imported_at is not None and event.receipt_id is None and event.at <= imported_at
        steps = list(_steps(event, its_deliveries, is_imported=is_imported))
        entries.append(LedgerEvent(event.kind, event.at, event.receipt_id, event.source, event.receiver, steps, lines))
    entries.reverse()
    short = list(_in_short(entries, known))
    shown_acts = [_act(act, known, now=now) for act in acts[-_MOST_ACTS:]]
    is_complete = is_complete and len(acts) == len(shown_acts)
    return Ledger(short, _classification(classified), entries, is_complete, shown_acts)


def _act(act: Act, known: Sequence[StoredDelivery], *, now: datetime) -> LedgerAct:
    lines = [
        _line(delivery, Routing((), {}), known=known, now=now)
        for delivery in known
        if (delivery.event_number, delivery.event) == (act_key(act), act.kind)
    ]
    return LedgerAct(act.at, act.kind, act.by, _clipped(act.text), act.source, lines)


def _key_of_delivery(delivery: StoredDelivery) -> tuple[int, datetime | None]:
    """The event of a delivery: a follow-up has no number, but the time of its event."""
    number = delivery.event_number
    return (number, None) if number else (0, delivery.created_at)


def _key_of_event(event: StoredEvent) -> tuple[int, datetime | None]:
    return (event.number, None) if event.number else (0, event.at)


def _steps(event: StoredEvent, deliveries: Sequence[StoredDelivery], *, is_imported: bool) -> Iterator[LedgerStep]:
    if event.number is None:
        yield LedgerStep("noted", event.at, _clipped(note_text(event.kind, event.detail or {})))
    elif is_imported:
        change = change_text(event.kind, event.detail or {})
        yield LedgerStep("recorded", event.at, _clipped(f"by an import{change and f': {change}'}; nobody sent it here"))
    else:
        yield from _steps_of_state(event)
    enriched = _enrichment(deliveries)
    if enriched:
        yield LedgerStep("enriched", event.at, _clipped(enriched))
    if event.kind in TOLD_EVENTS:
        decision = "it was brought in by an import, so nobody is told" if is_imported else _decision(event)
        yield LedgerStep("routed", event.at, _clipped(decision))
    if deliveries:
        yield _delivered(deliveries)


def _steps_of_state(event: StoredEvent) -> Iterator[LedgerStep]:
    change = change_text(event.kind, event.detail or {})
    if event.receipt_id is None:
        yield LedgerStep("recorded", event.at, _clipped(change or "by this service itself"))
        return
    origin = " ".join(word for word in (event.source, event.receiver and f"(receiver {event.receiver})") if word)
    yield LedgerStep("received", event.at, f"from {origin}" if origin else "its receipt is no longer kept")
    text = f"as change {event.number} of the occurrence, with its receipt"
    yield LedgerStep("recorded", event.at, _clipped(f"{text}: {change}" if change else text))


def _enrichment(deliveries: Sequence[StoredDelivery]) -> str | None:
    """The classification that the deliveries wait for or go with, in words."""
    waiting = [delivery for delivery in deliveries if delivery.shape is not None]
    if not waiting:
        return None
    enrichment = waiting[0].enrichment
    if enrichment is None:
        return "goes with what is known of its shape"
    if enrichment != "awaited":
        return f"goes without a classification: {enrichment}"
    is_open = waiting[0].state in {"pending", "leased"}
    return "waits for a classification" if is_open else "no classification came in time"


def _classification(classified: KeptVerdict | None) -> LedgerStep | None:
    if classified is None:
        return None
    word = classified.verdict.classification
    text = f"{word.severity} with a confidence of {word.confidence:.2f}, by {word.model}: {word.summary}"
    return LedgerStep("enriched", word.at, _clipped(text))


def _decision(event: StoredEvent) -> str:
    routing = _routing(event)
    if routing is None:
        return undecided(event)
    if routing.reason is not None:
        return routing.reason
    parts = []
    if routing.targets:
        parts.append(f"to be told: {', '.join(routing.targets)}")
    if routing.left_out:
        parts.append(f"not told: {', '.join(routing.left_out)}")
    return "; ".join(parts)


def undecided(event: StoredEvent) -> str:
    """Why the router was not asked."""
    if event.kind in {"fired", "refired"} and "asked" in (event.detail or {}):
        return "nobody sent it, and RECONCILE_PUBLISHES is not set, so nobody is told"
    if event.is_published is False:
        return "it was sent to be recorded only, so nobody is told"
    if event.kind == "annotations_changed" and "ends_at" in (event.detail or {}):
        return "the alert was over already, so nobody is told"
    return "no decision is on record"


def _delivered(deliveries: Sequence[StoredDelivery]) -> LedgerStep:
    states = [delivery.state for delivery in deliveries]
    counts = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    settled = [delivery.settled_at for delivery in deliveries]
    done_at = None if None in settled else max(at for at in settled if at is not None)
    return LedgerStep("delivered", done_at, counts)


def _lines(
    event: StoredEvent, deliveries: Sequence[StoredDelivery], *, known: Sequence[StoredDelivery], now: datetime
) -> Iterator[LedgerLine]:
    """A line for each target: those with a delivery first."""
    routing = _routing(event) or Routing((), {})
    for delivery in deliveries:
        yield _line(delivery, routing, known=known, now=now)
    made = {delivery.target for delivery in deliveries}
    for name in routing.targets:
        if name not in made:
            reason = f"{reason_for(routing, name)}; what became of that is no longer on record"
            yield LedgerLine(name, "unknown", _clipped(reason), routing.routes.get(name))
    for name, reason in routing.left_out.items():
        yield LedgerLine(name, "not_told", _clipped(reason))


def _line(delivery: StoredDelivery, routing: Routing, *, known: Sequence[StoredDelivery], now: datetime) -> LedgerLine:
    log = [msgspec.convert(entry, Attempt) for entry in delivery.log]
    newer = _superseding(delivery, known) if delivery.state == "superseded" else None
    fate = fate_of(delivery, log, routing=routing, now=now)
    return LedgerLine(
        target=delivery.target,
        fate=fate,
        reason=_clipped(reason_of(delivery, fate, log=log, routing=routing, newer=newer)),
        route=routing.routes.get(delivery.target),
        delivery_id=delivery.id,
        at=delivery.settled_at,
        next_try_at=delivery.due_at if delivery.state == "pending" else None,
        attempts=delivery.attempts,
        log=[msgspec.structs.replace(attempt, reason=_clipped(attempt.reason)) for attempt in log[-_MOST_ATTEMPTS:]],
        superseded_by=newer.id if newer is not None and fate == "superseded" else None,
    )


def fate_of(delivery: StoredDelivery, log: Sequence[Attempt], *, routing: Routing, now: datetime) -> Fate:
    """What became of a delivery with these attempts, in a word."""
    if delivery.state == "superseded" and log and log[-1].outcome == "withheld":
        return "withheld"
    quiet_until = routing.due_at.get(delivery.target)
    if delivery.state == "pending" and quiet_until is not None and now < quiet_until:
        return "held"
    return delivery.state


def reason_of(
    delivery: StoredDelivery,
    fate: Fate,
    *,
    log: Sequence[Attempt],
    routing: Routing,
    newer: StoredDelivery | None,
) -> str:
    """Why a delivery has this fate."""
    last = log[-1].reason if log else ""
    if fate in {"withheld", "dead"}:
        return last
    if fate == "superseded" and delivery.event_number < ACT_KEYS_BELOW:
        return "the target took no news of the alert, so it is not told what people did"
    if fate == "superseded":
        return f"newer news went out instead: {newer.event if newer else 'of a later occurrence'}"
    why = (
        reason_for(routing, delivery.target)
        if delivery.target in routing.targets
        else "it was told of the alert before"
    )
    if fate == "pending" and last:
        return f"{why}; the last of {delivery.attempts} attempts: {last}"
    return why


def _superseding(delivery: StoredDelivery, known: Sequence[StoredDelivery]) -> StoredDelivery | None:
    """The delivery that superseded this one: the next to the same target that was not superseded with it."""
    newer = (
        other
        for other in sorted(known, key=lambda other: other.event_number)
        if other.target == delivery.target
        and other.event_number > delivery.event_number
        and not (other.state == "superseded" and other.settled_at == delivery.settled_at)
    )
    return next(newer, None)


def _in_short(events: Sequence[LedgerEvent], deliveries: Sequence[StoredDelivery]) -> Iterator[LedgerTarget]:
    newest = {line.target: (event, line) for event in events if event.event in TOLD_EVENTS for line in event.targets}
    for name, (event, line) in sorted(newest.items()):
        notified_at = [
            delivery.settled_at
            for delivery in deliveries
            if delivery.target == name and delivery.state == "delivered" and delivery.settled_at is not None
        ]
        yield LedgerTarget(name, bool(notified_at), min(notified_at, default=None), event.event, line.fate, line.reason)


def _routing(event: StoredEvent) -> Routing | None:
    """The stored decision of the router."""
    record = (event.detail or {}).get("routing")
    return None if record is None else msgspec.convert(record, Routing)


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST_REASON else f"{text[: _LONGEST_REASON - 1]}…"
