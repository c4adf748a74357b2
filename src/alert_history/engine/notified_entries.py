"""What was sent and what was not, as entries with a reason, made of stored deliveries and decisions. Pure.

`engine.notifications` reads them in the order of time.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from alert_history.domain.acts import TellableKind
from alert_history.domain.delivery import Attempt, Fate, Routing
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.note_text import note_text
from alert_history.domain.occurrence import EventKind
from alert_history.engine.ledger import fate_of, reason_of, undecided
from alert_history.ports import DecidedAlert, Decision, NotifiedAlert, SentDelivery, StoredDelivery, StoredEvent

_MUTING: tuple[EventKind, ...] = ("silenced", "inhibited")
_MILLISECOND_US = 1_000
_NOBODY = Routing((), {})
_NEWER = "newer news of the alert went out instead"


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one event at one target, or why it was not sent there.

    `outcome` is `not_told` for what was not sent. `target` is null where the reason concerns all targets. `at` is when
    the decision was made, `due_at` when a waiting delivery is tried next. `route` sent it there; without routes it is
    null. A delivery that was replayed says so in `replayed_at`.
    """

    at: datetime
    alert: NotifiedAlert
    event: TellableKind | EventKind
    target: str | None
    outcome: Fate
    reason: str
    route: str | None = None
    delivery_id: str | None = None
    settled_at: datetime | None = None
    due_at: datetime | None = None
    attempts: int = 0
    log: Sequence[Attempt] = ()
    external_id: str | None = None
    replayed_at: datetime | None = None


def sent_entry(sent: SentDelivery, *, now: datetime) -> Notification:
    """The entry of a delivery."""
    delivery, routing = sent.delivery, _routing_of(sent.routing)
    log = [msgspec.convert(attempt, Attempt) for attempt in delivery.log]
    outcome = fate_of(delivery, log, routing=routing, now=now)
    at = queued_at(delivery.id, delivery.created_at)
    return Notification(
        at=at,
        alert=sent.alert,
        event=delivery.event,
        target=delivery.target,
        outcome=outcome,
        reason=_reason_of(delivery, outcome, log=log, routing=routing),
        route=routing.routes.get(delivery.target),
        delivery_id=delivery.id,
        settled_at=delivery.settled_at,
        due_at=delivery.due_at if delivery.state == "pending" else None,
        attempts=delivery.attempts,
        log=log,
        external_id=delivery.external_id,
        replayed_at=None if at == delivery.created_at else delivery.created_at,
    )


def queued_at(delivery_id: str, created_at: datetime) -> datetime:
    """When a delivery was first queued. Its id says so to the millisecond, and `created_at` moves with a replay."""
    first_ms = id_ms(delivery_id)
    if first_ms is None or first_ms == to_us(created_at) // _MILLISECOND_US:
        return created_at
    return from_us(first_ms * _MILLISECOND_US)


def id_ms(delivery_id: str) -> int | None:
    """The millisecond since 1970 in an id that sorts by time."""
    try:
        return int(delivery_id[:8] + delivery_id[9:13], 16)
    except ValueError:
        return None


def not_sent_entries(decided: DecidedAlert) -> list[Notification]:
    """What was not sent of an occurrence, the oldest decision first; later decisions only add to the end."""
    entries = [entry for decision in decided.decisions for entry in _of_decision(decided, decision)]
    if any("routing" in (decision.detail or {}) for decision in decided.decisions):
        return entries
    first = next((decision for decision in decided.decisions if decision.kind not in _MUTING), None)
    return entries if first is None else [_undecided(decided, first), *entries]


def _of_decision(decided: DecidedAlert, decision: Decision) -> Iterator[Notification]:
    if decision.kind in _MUTING:
        yield _not_sent(decided, decision, None, note_text(decision.kind, decision.detail or {}))
        return
    routing = _routing_of((decision.detail or {}).get("routing"))
    if routing.reason is not None and not routing.targets:
        yield _not_sent(decided, decision, None, routing.reason)
    for target, reason in routing.left_out.items():
        yield _not_sent(decided, decision, target, reason)


def _undecided(decided: DecidedAlert, decision: Decision) -> Notification:
    """Nobody was asked who is to be notified of the occurrence."""
    is_published = None if decided.is_published else False
    event = StoredEvent(decision.kind, decision.at, None, None, None, decision.detail, 1, is_published)
    return _not_sent(decided, decision, None, undecided(event))


def _not_sent(decided: DecidedAlert, decision: Decision, target: str | None, reason: str) -> Notification:
    return Notification(
        at=decision.at, alert=decided.alert, event=decision.kind, target=target, outcome="not_told", reason=reason
    )


def _reason_of(delivery: StoredDelivery, outcome: Fate, *, log: Sequence[Attempt], routing: Routing) -> str:
    is_news = delivery.event_number >= 0
    if outcome == "superseded" and is_news:
        return _NEWER
    return reason_of(delivery, outcome, log=log, routing=routing, newer=None)


def _routing_of(record: dict[str, Any] | None) -> Routing:
    return _NOBODY if record is None else msgspec.convert(record, Routing)
