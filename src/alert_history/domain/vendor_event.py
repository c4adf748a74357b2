"""What a vendor tells us of an incident: who acknowledged, noted or resolved it there. Must not know any vendor."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from alert_history.domain.acts import MAX_BY_CHARACTERS, MAX_TEXT_CHARACTERS, Act, ActKind, ActSource, clean


class VendorEvent(msgspec.Struct, frozen=True):
    """One event. `id` is the vendor's name for it, the same on every attempt, `type` the vendor's word for its kind.

    `kind` is None where the event is no act that we keep. `by` is empty where the vendor names nobody. `is_ours`: our
    own message made it. `occurrence_id` is the key that we gave the incident, empty where the event does not hold it.
    """

    source: ActSource
    id: str
    type: str
    at: datetime
    incident: str = ""
    occurrence_id: str = ""
    kind: ActKind | None = None
    by: str = ""
    text: str = ""
    is_ours: bool = False


class RefusedEvent(msgspec.Struct, frozen=True):
    """An event of which we know no occurrence, or that we can't read: why, and all that was sent."""

    id: str
    received_at: datetime
    source: ActSource
    reason: str
    raw: bytes


def author_of(event: VendorEvent, *, vendor: str) -> str:
    """Who did it, in a bounded text; the vendor itself where it names nobody."""
    return clean(event.by, max_characters=MAX_BY_CHARACTERS) or vendor


def words_of(event: VendorEvent) -> str:
    """The words of an event, in a bounded text."""
    return clean(event.text, max_characters=MAX_TEXT_CHARACTERS)


def is_echo(event: VendorEvent, acts: Sequence[Act], *, is_over: bool) -> bool:
    """Whether an event only tells what we told the vendor.

    Where the vendor names nobody: an acknowledgement of what is acknowledged, and a resolve of what is over.
    """
    if event.is_ours:
        return True
    if event.by:
        return False
    if event.kind == "resolved":
        return is_over
    return event.kind == "acknowledged" and is_acknowledged(acts)


def is_acknowledged(acts: Sequence[Act]) -> bool:
    """Whether somebody takes care of an occurrence, by its acts, oldest first."""
    changes = [act.kind for act in acts if act.kind in {"acknowledged", "unacknowledged"}]
    return bool(changes) and changes[-1] == "acknowledged"
