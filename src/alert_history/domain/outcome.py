"""What a batch came to: the answer to each of its requests, and what goes to quarantine.

Must not decide anything itself: it counts what `decision`, `notes` and `notifying` decided.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from alert_history.domain.alert import Refused
from alert_history.domain.decision import Decision
from alert_history.domain.notes import PlacedNotes
from alert_history.domain.notifying import Enqueued
from alert_history.domain.occurrence import Event
from alert_history.domain.receipt import Outcome, Receipt
from alert_history.domain.speaker import scoped


def outcomes(
    receipts: Sequence[Receipt], *, decisions: Iterable[Decision], placed: PlacedNotes, queue: Iterable[Enqueued]
) -> list[Outcome]:
    """What to answer each request."""
    stored = Counter(receipt_id for decision in decisions for receipt_id in decision.stored)
    targets: dict[str | None, list[str]] = {}
    for enqueued in queue:
        targets.setdefault(enqueued.event.receipt_id, []).append(enqueued.target)
    orphaned = Counter(receipt.id for receipt, _ in placed.orphans)
    return [
        _outcome(
            receipt,
            stored=stored[receipt.id] + placed.stored[receipt.id] + len(receipt.group.silences),
            quarantined=len(receipt.group.refused) + orphaned[receipt.id],
            targets=targets.get(receipt.id, []),
        )
        for receipt in receipts
    ]


def quarantined(
    receipts: Iterable[Receipt], *, events: Iterable[Event], placed: PlacedNotes
) -> list[tuple[Receipt, Refused]]:
    """What goes to quarantine: what can't be kept, and how alerts came that were cut.

    Of those only what says something new, so that an alert that is sent every minute is there once.
    """
    news = {(event.receipt_id, event.fingerprint) for event in events}
    made: list[tuple[Receipt, Refused]] = []
    for receipt in receipts:
        made += [(receipt, refused) for refused in receipt.group.refused]
        scope = receipt.speaker.scope if receipt.group.cut else ""
        made += [(receipt, c.whole) for c in receipt.group.cut if (receipt.id, scoped(c.fingerprint, scope)) in news]
    return made + placed.orphans


def _outcome(receipt: Receipt, *, stored: int, quarantined: int, targets: Sequence[str]) -> Outcome:
    received = receipt.group.received
    repeated = received - stored - quarantined
    return Outcome(receipt.id, received, stored, repeated, quarantined, len(targets), frozenset(targets))
