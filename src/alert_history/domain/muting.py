"""What mutes an alert: the events that say so, and the silences that a batch brings.

Must not decide what a muted alert becomes: that is the matter of `decision` and `lapsing`.
"""

from collections.abc import Iterable
from datetime import datetime

from alert_history.domain.alert import Silence
from alert_history.domain.microseconds import to_us
from alert_history.domain.occurrence import Event
from alert_history.domain.receipt import Receipt
from alert_history.domain.standing import Muted


def muting(events: Iterable[Event]) -> list[tuple[Event, Muted | None]]:
    """The events that say that an alert is muted, and by what; None where it is not any more."""
    return [(event, _muted_by(event)) for event in events if event.kind in {"silenced", "unsilenced", "inhibited"}]


def _muted_by(event: Event) -> Muted | None:
    detail = event.detail or {}
    match event.kind:
        case "silenced":
            until = detail.get("ends_at")
            until_us = to_us(datetime.fromisoformat(until)) if until else None
            return Muted("silenced", str(detail.get("silence_id", "")), until_us)
        case "inhibited":
            return Muted("inhibited", ", ".join(map(str, detail.get("inhibited_by", []))))
        case _:
            return None


def newest_silences(receipts: Iterable[Receipt]) -> list[Silence]:
    """The silences of a batch, the newest word on each, by id."""
    newest: dict[str, Silence] = {}
    for silence in (silence for receipt in receipts for silence in receipt.group.silences):
        known = newest.get(silence.id)
        if known is None or known.updated_at <= silence.updated_at:
            newest[silence.id] = silence
    return [newest[silence_id] for silence_id in sorted(newest)]
