"""Setting aside: which of the past of a label set goes to an archive instead of the database, and as which rows. Pure.

`domain.importing` decides what an import brings in. What of it is new, and too old for the database, is taken out here
and becomes rows of an archive, as the archiver would make them. Such rows count when their file is in place.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from alert_history.domain import archive_tables
from alert_history.domain.acts import Act
from alert_history.domain.archive_tables import ACTS, ALERTS, EVENTS, Row
from alert_history.domain.counting import (
    AGAIN_WITHIN_US,
    Changes,
    Counted,
    Repeated,
    changes_text,
    label_counts,
)
from alert_history.domain.decision import Entry
from alert_history.domain.importing import Brought, ImportMark, Kept
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.occurrence import About, Event, Occurrence

COUNTED_AT_ONCE = 1_000
"""Changes of the numbers come in parts of so many occurrences, so that adding one up takes little time."""

HELD_COLUMNS = (
    "fingerprint",
    "starts_at",
    "began_at",
    "ends_at",
    "last_received_at",
    "status",
    "import_id",
    "joined_into",
)
"""What has to be known of an occurrence in the archive, to join others with it."""

_encode = msgspec.json.Encoder().encode


class Leaving(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An occurrence on its way to an archive. `is_again`: it began soon after the firing before it."""

    entry: archive_tables.Entry
    is_again: bool


class Held(msgspec.Struct, frozen=True, gc=False):
    """An occurrence that an archive holds: from when to when it fired, and which import brought it in."""

    fingerprint: str
    key_us: int
    start_us: int
    end_us: int
    import_id: str | None = None
    is_double: bool = False

    def as_kept(self) -> Kept:
        """The occurrence, as others are joined with it."""
        began_at, end = None if self.start_us == self.key_us else from_us(self.start_us), from_us(self.end_us)
        occurrence = Occurrence("resolved", 0, {}, end, None, end, 0, 0, began_at=began_at)
        return Kept(self.key_us, occurrence, self.import_id, is_double=self.is_double, is_archived=True)


class Aside(msgspec.Struct, frozen=True):
    """What of one step goes to an archive. `acts` are of occurrences there."""

    leaving: list[Leaving]
    acts: list[Row]


def held_of(row: Row) -> Held:
    """The occurrence in a row with `HELD_COLUMNS`. One that was archived while it fired is over since its last sign."""
    values = dict(zip(HELD_COLUMNS, row, strict=True))
    start_us = to_us(values["began_at"] or values["starts_at"])
    is_over = values["status"] != "firing" and values["ends_at"] is not None
    end_us = to_us(values["ends_at"] if is_over else values["last_received_at"])
    is_double = values["joined_into"] is not None
    return Held(row[0], to_us(values["starts_at"]), start_us, max(start_us, end_us), values["import_id"], is_double)


def held_of_leaving(leaving: Leaving) -> Held:
    """An occurrence on its way, as the archive will hold it."""
    return held_of(ALERTS.values(leaving.entry.row, HELD_COLUMNS))


def with_held(kept: Sequence[Kept], held: Iterable[Held]) -> list[Kept]:
    """All occurrences of a label set, in the order of their keys; of one in both places that of the database."""
    keys = {each.key_us for each in kept}
    archived = [each.as_kept() for each in held if each.key_us not in keys]
    return sorted([*kept, *archived], key=lambda each: each.key_us)


def set_aside(brought: Brought, kept: Sequence[Kept], mark: ImportMark) -> Aside:
    """Take what goes to an archive out of what was brought in. `kept` is what it was decided by."""
    decision = brought.decision
    old = {key_us: entry for key_us, entry in decision.entries.items() if _is_leaving(entry, mark)}
    archived = {each.key_us for each in kept if each.is_archived} | old.keys()
    if not archived:
        return Aside([], [])
    again = _begun_again(kept, decision.entries)
    events: dict[datetime, list[Event]] = {entry.starts_at: [] for entry in old.values()}
    for event in decision.events:
        if event.starts_at in events:
            events[event.starts_at].append(event)
    leaving = [
        Leaving(_archived(entry, events[entry.starts_at], mark), key_us in again) for key_us, entry in old.items()
    ]
    acts = [act_row(act) for act in brought.acts if to_us(act.starts_at) in archived]
    brought.acts = [act for act in brought.acts if to_us(act.starts_at) not in archived]
    decision.events = [event for event in decision.events if event.starts_at not in events]
    decision.entries = {key_us: entry for key_us, entry in decision.entries.items() if key_us not in old}
    decision.is_standing_changed = bool(decision.entries)
    brought.taken -= len(old)
    return Aside(leaving, acts)


def joined_asides(asides: Iterable[Aside]) -> Aside:
    """All that goes to an archive."""
    leaving: list[Leaving] = []
    acts: list[Row] = []
    for aside in asides:
        leaving += aside.leaving
        acts += aside.acts
    return Aside(leaving, acts)


def _is_leaving(entry: Entry, mark: ImportMark) -> bool:
    return entry.first is not None and mark.is_old(to_us(entry.occurrence.last_received_at))


def _begun_again(kept: Sequence[Kept], entries: Mapping[int, Entry]) -> set[int]:
    """The keys of those that began within an hour of the latest end before them."""
    ends: dict[int, int | None] = {each.key_us: each.end_us for each in kept if not each.is_double}
    for key_us, entry in entries.items():
        ends_at = entry.occurrence.ends_at
        ends[key_us] = None if ends_at is None else to_us(ends_at)
    again: set[int] = set()
    last_us: int | None = None
    for key_us, end_us in sorted(ends.items()):
        if last_us is not None and key_us - last_us < AGAIN_WITHIN_US:
            again.add(key_us)
        if end_us is not None:
            last_us = end_us if last_us is None else max(last_us, end_us)
    return again


# --- rows -------------------------------------------------------------------------------------------------------------


def _archived(entry: Entry, events: Sequence[Event], mark: ImportMark) -> archive_tables.Entry:
    """An occurrence as the archive holds it, with its events."""
    first, now = entry.first, entry.occurrence
    if first is None:
        raise ValueError("an occurrence without its first sighting can't be archived")
    labels = first.alert.labels
    values = {
        "fingerprint": first.alert.fingerprint,
        "starts_at": entry.starts_at,
        "timestamp": first.received_at,
        "labels": labels,
        "annotations": now.annotations,
        "source": first.source,
        "details": _json(first.alert.details),
        "joined_into": None,
        "imported_at": mark.at,
        "import_id": mark.import_id,
        "events": len(events),
    }
    values |= {name: labels.get(name, "") for name in ("alertname", "namespace", "severity")}
    row = tuple(values[name] if name in values else getattr(now, name) for name in ALERTS.places)
    return archive_tables.Entry(row, tuple(map(_event_row, events)))


def _event_row(event: Event) -> Row:
    values = msgspec.structs.asdict(event) | {"detail": _json(event.detail)}
    return tuple(values[name] for name in EVENTS.places)


def act_row(act: Act) -> Row:
    """An act as the archive holds it."""
    return tuple(getattr(act, name) for name in ACTS.places)


def _json(value: Any) -> str | None:
    return None if value is None else _encode(value).decode()


# --- numbers ----------------------------------------------------------------------------------------------------------


def changes_of(rows: Sequence[tuple[Row, bool]], *, sign: int = 1) -> list[bytes]:
    """What rows of `ALERTS`, each with whether it began again, change in the numbers; in parts.

    With a sign of -1: what changes if they were never there.
    """
    parts = (rows[first : first + COUNTED_AT_ONCE] for first in range(0, len(rows), COUNTED_AT_ONCE))
    texts = (changes_text(_changes(part, sign)) for part in parts)
    return [text for text in texts if text is not None]


def _changes(rows: Sequence[tuple[Row, bool]], sign: int) -> Changes:
    values = [dict(zip(ALERTS.places, row, strict=True)) for row, _ in rows]
    numbers = [_counted(each, is_again=is_again) for each, (_, is_again) in zip(values, rows, strict=True)]
    repeated = [
        Repeated(number.about, number.receiver, sign * each["repeat_count"])
        for number, each in zip(numbers, values, strict=True)
        if each["repeat_count"]
    ]
    labels = [(name, value, sign * number) for name, value, number in label_counts(each["labels"] for each in values)]
    return Changes(numbers if sign > 0 else [], numbers if sign < 0 else [], repeated, labels)


def _counted(values: Mapping[str, Any], *, is_again: bool) -> Counted:
    texts = (values["alertname"], values["severity"], values["namespace"], values["source"])
    start_us = to_us(values["began_at"] or values["starts_at"])
    end_us = max(start_us, to_us(values["ends_at"] or values["last_received_at"]))
    about = About(*texts, to_us(values["timestamp"]))
    ended_by = values["ended_by"] or "resolved"
    return Counted(about, values["receiver"], values["fingerprint"], start_us, end_us, ended_by, is_again)
