"""Notes of a batch: the occurrence of each note, and what becomes of a note about an unknown occurrence.

A store looks up occurrences between the steps.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

import msgspec

from alert_history.domain.alert import Note, Refused
from alert_history.domain.microseconds import to_us
from alert_history.domain.occurrence import Event, note_event
from alert_history.domain.receipt import Receipt
from alert_history.domain.speaker import scoped
from alert_history.domain.standing import Standing, key_at

_encode = msgspec.json.Encoder().encode


class PlacedNotes(msgspec.Struct, frozen=True):
    """Notes as events of known occurrences, and notes of unknown alerts as refused.

    `new` are the events that were news, and `stored` counts them by receipt; the store fills both.
    """

    events: list[Event] = []
    orphans: list[tuple[Receipt, Refused]] = []
    stored: Counter[str] = msgspec.field(default_factory=Counter)
    new: list[Event] = []

    def take(self, new: Iterable[Event]) -> None:
        """Take up events that were news."""
        for event in new:
            self.new.append(event)
            if event.receipt_id is not None:
                self.stored[event.receipt_id] += 1


NotePlace = tuple[Receipt, Note, datetime | None]
"""A note, and the key of its occurrence; None for an unknown occurrence."""


def scoped_notes(receipt: Receipt) -> Iterable[Note]:
    """The notes of a request, each about an alert of its scope."""
    scope = receipt.speaker.scope
    for note in receipt.group.notes:
        yield msgspec.structs.replace(note, fingerprint=scoped(note.fingerprint, scope)) if scope else note


def key_of_note(standing: Standing, note: Note) -> int | None:
    """The key of the occurrence of a note; None if the standing does not remember it."""
    return key_at(standing, None if note.starts_at is None else to_us(note.starts_at))


def place_notes(places: Iterable[NotePlace]) -> PlacedNotes:
    """Make each note an event of its occurrence. The events are sorted by key, so that two replicas lock alike."""
    placed = PlacedNotes()
    for receipt, note, starts_at in places:
        if starts_at is None:
            reason = f"{note.kind}: no such occurrence of {note.fingerprint} is known"
            placed.orphans.append((receipt, Refused(note.position, reason, _encode(note), "unknown_occurrence")))
        else:
            placed.events.append(note_event(note, starts_at=starts_at, receipt_id=receipt.id))
    placed.events.sort(key=lambda event: (event.fingerprint, event.starts_at, event.key))
    return placed
