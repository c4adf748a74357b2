"""The ledger of an occurrence: received, recorded, enriched, routed, delivered, each with its time and reason.

It answers "why was X told, and why not?". Pure: it only puts into one order what is on record.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from alert_history.domain.delivery import TOLD_EVENTS
from alert_history.ports import KeptVerdict, StoredAlert, StoredDelivery, StoredEvent

MOST_EVENTS = 200
MOST_DELIVERIES = 200

Kind = Literal[
    "received", "recorded", "noted", "enriched", "routed", "not_routed", "delivered", "pending", "superseded", "dead"
]

_NOBODY = "nobody is told: it came by a path that only records, there was no target, or publishing was off"
_STATES: dict[str, Kind] = {"leased": "pending"}


class Step(msgspec.Struct, frozen=True):
    """One line of the ledger. `target` is whom it is about, if it is about one; `attempts` counts tries of a delivery.

    `noted` is what Alertmanager's event recorder said: silenced, inhibited, notified. `pending` waits for `due_at`.
    """

    step: Kind
    at: datetime
    reason: str
    target: str | None = None
    event: str | None = None
    attempts: int | None = None
    due_at: datetime | None = None


class Ledger(msgspec.Struct, frozen=True):
    """All steps, oldest first; the newest of them where there are too many, and then it is not complete."""

    steps: list[Step]
    is_complete: bool


def ledger(
    alert: StoredAlert,
    events: Sequence[StoredEvent],
    *,
    deliveries: Sequence[StoredDelivery],
    classified: KeptVerdict | None,
) -> Ledger:
    """What is on record of an occurrence. `classified` is the newest word on its shape."""
    shown_events, shown_deliveries = events[-MOST_EVENTS:], deliveries[:MOST_DELIVERIES]
    steps = [Step("received", alert.timestamp, _received(alert))]
    for event in shown_events:
        steps += _of_event(event)
    if classified is not None:
        steps.append(_enriched(classified))
    steps += [_of_delivery(delivery) for delivery in shown_deliveries]
    steps.sort(key=lambda step: step.at)
    is_complete = len(shown_events) == len(events) and len(deliveries) <= MOST_DELIVERIES
    return Ledger(steps, is_complete)


def _received(alert: StoredAlert) -> str:
    receiver = f", for its receiver {alert.receiver}" if alert.receiver else ""
    return f"from {alert.source}{receiver}"


def _of_event(event: StoredEvent) -> Iterator[Step]:
    detail = event.detail or {}
    if event.kind not in TOLD_EVENTS:
        yield Step("noted", event.at, _noted(event.kind, detail), event=event.kind)
        return
    yield Step("recorded", event.at, event.kind, event=event.kind)
    routing = detail.get("routing")
    if not isinstance(routing, dict):
        yield Step("not_routed", event.at, _NOBODY, event=event.kind)
        return
    for target in routing.get("told", ()):
        yield Step("routed", event.at, "it matches", target, event.kind)
    for target, reason in routing.get("not_told", {}).items():
        yield Step("not_routed", event.at, reason, target, event.kind)


def _noted(kind: str, detail: dict[str, Any]) -> str:
    """In the words of its detail: every value that is not empty, by name."""
    said = [f"{name}: {_words(value)}" for name, value in detail.items() if value not in (None, "", [], {})]
    return f"{kind} ({'; '.join(said)})" if said else kind


def _words(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _enriched(classified: KeptVerdict) -> Step:
    told = classified.verdict.classification
    return Step(
        "enriched", told.at, f"{told.severity}, confidence {told.confidence:.2f}, by {told.model}: {told.summary}"
    )


def _of_delivery(delivery: StoredDelivery) -> Step:
    last = delivery.log[-1] if delivery.log else {}
    kind: Kind = _STATES.get(delivery.state, delivery.state)  # type: ignore[arg-type]  # the other states are kinds
    reason = str(last.get("reason") or "")
    if not reason:
        reason = {
            "delivered": "it took the message",
            "superseded": "a newer state of the alert was to be told",
            "dead": "given up",
        }.get(delivery.state, "not tried yet")
    at = delivery.settled_at or delivery.created_at
    return Step(kind, at, reason, delivery.target, delivery.event, delivery.attempts, delivery.due_at)
