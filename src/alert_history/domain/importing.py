"""Importing: what past firings of one label set become beside what the history holds of it. Pure.

The rule is that of all occurrences: what overlaps or touches is one firing. First the pieces of the import are merged
by it. Then each firing meets what is there:

- it overlaps nothing: it becomes an occurrence of its own;
- it overlaps an occurrence: it is joined, and the occurrence stays. It corrects that occurrence only where it knows
  more: an earlier start, as far as no other firing was open then; the end, where the end was only guessed, or where
  an earlier import left the occurrence open; that it goes on, where an earlier import knew only a guessed end.

What a sender said or a target was told of is never changed by an import: an open occurrence that is confirmed or
published is left to its senders, and so is an end that a sender said. What an import knows to have begun after such an
end is a firing of its own. Running the same import again finds everything joined, and corrects nothing.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any

import msgspec

from alert_history.domain.acts import Act
from alert_history.domain.alert import Alert
from alert_history.domain.claim import Word, is_same_start
from alert_history.domain.counting import Changes
from alert_history.domain.decision import Decision, Entry, claim_of_occurrence
from alert_history.domain.label_set_numbers import changed_numbers, counted_all
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.occurrence import Event, EventKind, Key, Occurrence, Sighting, about_of, content_hash
from alert_history.domain.past_firing import PastAct, PastFiring
from alert_history.domain.past_wholes import Whole, wholes
from alert_history.domain.showing import show_firing, shown_start
from alert_history.domain.standing import EndedBy, Firing, Past, Standing, add_past

BELIEVED_FOR_US = 7 * 86_400 * 1_000_000
"""So long after its last sign a firing without an end is believed to fire still: as long as a silent witness is."""

_GUESSED: frozenset[EndedBy | None] = frozenset({"inferred", "expired"})
"""Ends that nobody said and no poll showed."""

_encode_sorted = msgspec.json.Encoder(order="sorted").encode
_encode = msgspec.json.Encoder(order="deterministic").encode


class ImportMark(msgspec.Struct, frozen=True):
    """Which import brings something in, from which origin, and when.

    A new firing whose last sign is before `archive_before_us` goes to an archive; None: none does.
    """

    import_id: str
    origin: str
    at: datetime
    archive_before_us: int | None = None

    def is_old(self, last_us: int) -> bool:
        """Whether a new firing with that last sign goes to an archive."""
        return self.archive_before_us is not None and last_us < self.archive_before_us


class Kept(msgspec.Struct, gc=False):
    """An occurrence that the history holds. `import_id` is the import that brought it in, `imported_at` when.

    One that `is_archived` is in the archive alone: it is joined, and stays as it is.
    """

    key_us: int
    occurrence: Occurrence
    import_id: str | None = None
    imported_at: datetime | None = None
    is_double: bool = False
    is_archived: bool = False

    @property
    def is_imported(self) -> bool:
        """Whether an import brought it in."""
        return self.import_id is not None

    @property
    def is_spoken_of(self) -> bool:
        """Whether a sender has spoken of it since it was brought in, or a target is told of it.

        What came back from an archive is over and passes for published, so that no target is told of it.
        """
        occurrence = self.occurrence
        is_late = self.imported_at is not None and occurrence.last_received_at > self.imported_at
        return is_late or (occurrence.is_published and occurrence.status == "firing")

    @property
    def start_us(self) -> int:
        """Its shown start."""
        began_at = self.occurrence.began_at
        return self.key_us if began_at is None else to_us(began_at)

    @property
    def end_us(self) -> int | None:
        """Its end; None while it is open."""
        if self.occurrence.status == "firing":
            return None
        return max(to_us(self.occurrence.ends_at or self.occurrence.last_received_at), self.start_us)


class Correction(msgspec.Struct, frozen=True):
    """What an import changed of an occurrence that was there: one field, before and after, as JSON values."""

    key_us: int
    what: str
    before: Any
    after: Any


class Brought(msgspec.Struct, gc=False):
    """What is to be written of one label set. `changes` are those of the numbers.

    `taken` entries are new, `changed` were there. `joined` counts firings, `merged` pieces of other firings.
    """

    decision: Decision
    changes: Changes
    acts: list[Act]
    corrections: list[Correction]
    taken: int = 0
    joined: int = 0
    merged: int = 0


def bring(
    fingerprint: str, firings: Sequence[PastFiring], kept: Sequence[Kept], standing: Standing | None, mark: ImportMark
) -> Brought:
    """What the firings of one label set, in the order of their starts, become.

    `kept` are the occurrences from the last one that begins before them to those that begin within an hour after them,
    in the order of their keys. `standing` is that of the label set, None where it has none; it is changed in place.
    """
    return _Bringing(fingerprint, kept, standing, mark).bring(firings)


class _Bringing:
    def __init__(self, fingerprint: str, kept: Sequence[Kept], standing: Standing | None, mark: ImportMark) -> None:
        self._fingerprint = fingerprint
        self._kept = [each for each in kept if not each.is_double]
        self._keys = {each.key_us for each in kept}
        self._mark = mark
        self._standing = Standing() if standing is None else standing
        self._stored = [(each.key_us, each.occurrence) for each in self._kept if not each.is_archived]
        self._before = counted_all(fingerprint, self._stored)
        decision = Decision(fingerprint, self._standing, {})
        self._result = Brought(decision, Changes(), [], [])
        self._next = 0

    def bring(self, firings: Sequence[PastFiring]) -> Brought:
        result = self._result
        left = deque(wholes(firings))
        while left:
            whole = left.popleft()
            tail = self._bring(whole, left[0] if left else None)
            result.merged += len(whole.pieces) - 1 - len(tail)
            left.extendleft(reversed(wholes(tail)))
        result.changes = self._changes()
        decision = result.decision
        decision.is_standing_changed = bool(decision.entries)
        return result

    def _bring(self, whole: Whole, following: Whole | None) -> list[PastFiring]:
        """Take a firing, or join it; the pieces that began after the end of what it was joined with."""
        overlapped = self._overlapped(whole)
        if overlapped is None:
            if whole.start_us in self._keys:  # the key of a double, which is not shown
                self._result.joined += 1
            else:
                self._take(whole)
            self._take_acts(whole.pieces, whole.start_us)
            return []
        if overlapped.import_id == self._mark.import_id:
            self._result.taken += 1  # this import took it before it was broken off
        else:
            self._result.joined += 1
        if not overlapped.is_archived:
            self._correct_start(overlapped, whole)
            self._correct_end(overlapped, whole, following)
        end_us = overlapped.end_us
        tail = [] if end_us is None else [piece for piece in whole.pieces if to_us(piece.starts_at) > end_us]
        self._take_acts(whole.pieces[: len(whole.pieces) - len(tail)], overlapped.key_us)
        return tail

    def _overlapped(self, whole: Whole) -> Kept | None:
        """The first kept occurrence that overlaps or touches. Firings come in the order of time, so it goes forward."""
        firings = self._kept
        while (
            self._next < len(firings) and (end_us := firings[self._next].end_us) is not None and end_us < whole.start_us
        ):
            self._next += 1
        is_met = self._next < len(firings) and firings[self._next].start_us <= whole.last_us
        return firings[self._next] if is_met else None

    def _take_acts(self, pieces: Iterable[PastFiring], key_us: int) -> None:
        key, origin = (self._fingerprint, from_us(key_us)), self._mark.origin
        self._result.acts += [act_of(act, key, piece.labels, origin=origin) for piece in pieces for act in piece.acts]

    # --- new --------------------------------------------------------------------------------------------------------

    def _take(self, whole: Whole) -> None:
        is_old = self._mark.is_old(whole.last_us)
        if whole.end_us is None and (is_old or not self._may_fire_still(whole)):
            whole.end_us, whole.ended_by = whole.last_us, "inferred"
        sighting = _sighting(self._fingerprint, whole, self._mark.origin)
        occurrence = _occurrence(sighting, whole, self._mark.at)
        starts_at = from_us(whole.start_us)
        entry = Entry(starts_at, occurrence, sighting, is_changed=True)
        self._result.decision.entries[whole.start_us] = entry
        self._result.taken += 1
        self._event(entry, "fired", starts_at)
        if whole.end_us is not None:
            ended_at = from_us(whole.end_us)
            self._event(entry, whole.ended_by, ended_at, end_detail(ended_at, whole.ended_by, self._mark.origin))
            if not is_old:
                add_past(self._standing, Past(whole.start_us, whole.start_us, whole.end_us, whole.ended_by))
        else:
            claim = claim_of_occurrence(occurrence, whole.start_us)
            self._standing.firing = Firing(whole.start_us, whole.start_us, [claim])
            show_firing(occurrence, self._standing.firing)

    def _may_fire_still(self, whole: Whole) -> bool:
        """Whether nothing is known of a later firing, and the last sign is not too old to believe."""
        newest_us = self._standing.newest_key_us
        is_newest = self._standing.firing is None and (newest_us is None or newest_us < whole.start_us)
        return is_newest and to_us(self._mark.at) - whole.last_us <= BELIEVED_FOR_US

    def _event(self, entry: Entry, kind: EventKind, at: datetime, detail: dict[str, Any] | None = None) -> None:
        entry.occurrence.event_count += 1
        number = entry.occurrence.event_count
        event = Event(self._fingerprint, entry.starts_at, number, kind, at, None, detail)
        self._result.decision.events.append(event)

    # --- there already ----------------------------------------------------------------------------------------------

    def _correct_start(self, kept: Kept, whole: Whole) -> None:
        was_us = kept.start_us
        if whole.start_us >= was_us or is_same_start(whole.start_us, was_us):
            return
        floor_us = self._end_before(kept)
        start_us = whole.start_us if floor_us is None else max(whole.start_us, floor_us)
        if start_us >= was_us or is_same_start(start_us, was_us):
            return
        entry = self._changed(kept)
        entry.occurrence.began_at = shown_start(start_us, kept.key_us)
        self._correction(kept, "starts_at", was_us, start_us)
        detail = {"starts_at": from_us(start_us), "was": from_us(was_us), "claimed": from_us(whole.start_us)}
        texts = {name: time.isoformat() for name, time in detail.items()}
        self._event(entry, "start_moved", self._mark.at, {**texts, "sender": f"an import from {self._mark.origin}"})
        self._move_in_standing(kept.key_us, start_us=start_us)

    def _end_before(self, kept: Kept) -> int | None:
        """The end of the firing before a kept one, be it kept or brought in."""
        ends = [each.end_us for each in self._kept if each.key_us < kept.key_us and each.end_us is not None]
        for key_us, entry in self._result.decision.entries.items():
            if key_us < kept.key_us and entry.occurrence.ends_at is not None:
                ends.append(to_us(entry.occurrence.ends_at))
        return max(ends, default=None)

    def _correct_end(self, kept: Kept, whole: Whole, following: Whole | None) -> None:
        occurrence = kept.occurrence
        if whole.end_us is None:
            if self._goes_on(kept, whole):
                self._reopen(kept, whole)
            return
        if whole.ended_by in _GUESSED and not (occurrence.status == "firing" and kept.is_imported):
            return
        is_guessed = occurrence.status != "firing" and (
            occurrence.ended_by in _GUESSED or self._is_cut(kept, whole.end_us)
        )
        if not is_guessed and not self._is_left_open(kept, whole):
            return
        limit_us = self._begin_after(kept, following)
        end_us = max(whole.end_us if limit_us is None else min(whole.end_us, limit_us), kept.start_us)
        if not is_guessed or not is_same_start(end_us, kept.end_us or end_us):
            self._end(kept, end_us, whole.ended_by)

    def _goes_on(self, kept: Kept, whole: Whole) -> bool:
        """Whether an import has a later sign than that by which the newest firing, an imported one, was ended."""
        standing, occurrence = self._standing, kept.occurrence
        is_newest = standing.firing is None and standing.newest_key_us in {None, kept.key_us}
        return (
            is_newest
            and kept is self._kept[-1]
            and kept.is_imported
            and occurrence.status == "resolved"
            and occurrence.ended_by in _GUESSED
            and whole.last_us > to_us(occurrence.last_received_at)
            and to_us(self._mark.at) - whole.last_us <= BELIEVED_FOR_US
        )

    def _is_left_open(self, kept: Kept, whole: Whole) -> bool:
        """Whether nobody but an import holds it open, and nobody has spoken of it since this end."""
        occurrence = kept.occurrence
        if (
            occurrence.status != "firing"
            or occurrence.is_published
            or not (kept.is_imported or occurrence.unconfirmed is not None)
        ):
            return False
        return to_us(occurrence.last_received_at) <= whole.last_us

    def _is_cut(self, kept: Kept, end_us: int) -> bool:
        """Whether this import itself has brought in its beginning alone, and nobody has spoken of it since."""
        is_own = kept.import_id == self._mark.import_id
        return is_own and not kept.is_spoken_of and kept.end_us is not None and kept.end_us < end_us

    def _begin_after(self, kept: Kept, following: Whole | None) -> int | None:
        later = [each.start_us for each in self._kept if each.key_us > kept.key_us]
        if following is not None:
            later.append(following.start_us)
        return min(later, default=None)

    def _end(self, kept: Kept, end_us: int, ended_by: EndedBy) -> None:
        entry, occurrence = self._changed(kept), kept.occurrence
        before = end_values(occurrence)
        ended_at = from_us(end_us)
        known_by: EndedBy = "reconciled" if ended_by == "resolved" else ended_by
        if occurrence.status == "firing" and occurrence.confirmed_at is None:
            occurrence.confirmed_at = occurrence.last_received_at
        occurrence.status, occurrence.ends_at, occurrence.ended_by = "resolved", ended_at, known_by
        occurrence.unconfirmed, occurrence.expires_at, occurrence.claim = None, None, 0
        self._correction(kept, "end", before, end_values(occurrence))
        detail = {"ends_at": ended_at.isoformat(), "reason": f"an import from {self._mark.origin} knows its end"}
        self._event(entry, known_by, self._mark.at, detail)
        firing = self._standing.firing
        if firing is not None and firing.key_us == kept.key_us:
            self._standing.firing = None
            add_past(self._standing, Past(kept.key_us, kept.start_us, end_us, known_by, firing.ended, firing.notified))
        else:
            self._move_in_standing(kept.key_us, end_us=end_us, ended_by=known_by)

    def _reopen(self, kept: Kept, whole: Whole) -> None:
        entry, occurrence = self._changed(kept), kept.occurrence
        before = end_values(occurrence)
        occurrence.status, occurrence.ends_at, occurrence.ended_by = "firing", None, None
        occurrence.last_received_at = min(from_us(whole.last_us), self._mark.at)
        occurrence.confirmed_at = occurrence.unconfirmed = None
        self._standing.past = tuple(past for past in self._standing.past if past.key_us != kept.key_us)
        claim = claim_of_occurrence(occurrence, kept.start_us)
        self._standing.firing = Firing(kept.key_us, kept.start_us, [claim])
        show_firing(occurrence, self._standing.firing)
        self._correction(kept, "end", before, end_values(occurrence))
        self._event(entry, "refired", self._mark.at, {"reason": f"an import from {self._mark.origin} shows it firing"})

    def _changed(self, kept: Kept) -> Entry:
        entries = self._result.decision.entries
        if kept.key_us not in entries:
            entries[kept.key_us] = Entry(from_us(kept.key_us), kept.occurrence, is_changed=True)
        return entries[kept.key_us]

    def _correction(self, kept: Kept, what: str, before: Any, after: Any) -> None:
        self._result.corrections.append(Correction(kept.key_us, what, before, after))

    def _move_in_standing(
        self, key_us: int, *, start_us: int | None = None, end_us: int | None = None, ended_by: EndedBy | None = None
    ) -> None:
        standing = self._standing
        if start_us is not None and standing.firing is not None and standing.firing.key_us == key_us:
            standing.firing.start_us = start_us
        past = next((past for past in standing.past if past.key_us == key_us), None)
        if past is None:
            return
        standing.past = tuple(other for other in standing.past if other is not past)
        changes = {"start_us": start_us, "end_us": end_us, "ended_by": ended_by}
        changed = {name: value for name, value in changes.items() if value is not None}
        add_past(standing, msgspec.structs.replace(past, **changed))

    # --- numbers and acts -------------------------------------------------------------------------------------------

    def _changes(self) -> Changes:
        """What changes in the numbers: the label set as it is counted now, less as it was counted before.

        What goes to an archive, or is there, is left out: it is counted with its file.
        """
        new = [(key_us, each) for key_us, each in self._result.decision.entries.items() if self._is_to_store(each)]
        both = sorted([*self._stored, *((key_us, each.occurrence) for key_us, each in new)], key=lambda pair: pair[0])
        return changed_numbers(
            self._before,
            counted_all(self._fingerprint, both),
            labels=[each.first.alert.labels for _, each in new if each.first is not None],
            repeats=[each.occurrence for _, each in new],
        )

    def _is_to_store(self, entry: Entry) -> bool:
        return entry.first is not None and not self._mark.is_old(to_us(entry.occurrence.last_received_at))


def act_of(act: PastAct, key: Key, labels: Mapping[str, str], *, origin: str) -> Act:
    """What a person did, as it is kept; the same act of an origin has the same id."""
    return Act(
        blake2b(_encode([origin, key[0], act.id]), digest_size=16).hexdigest(),
        *key,
        labels.get("alertname", ""),
        labels.get("severity", ""),
        labels.get("namespace", ""),
        act.at,
        act.kind,
        act.by,
        act.text,
        origin,
        act.id,
    )


def _sighting(fingerprint: str, whole: Whole, origin: str) -> Sighting:
    first, newest = whole.first, whole.newest
    starts_at = from_us(whole.start_us)
    annotations = newest.annotations
    content = _encode_sorted(annotations)
    generator_url = newest.generator_url or first.generator_url
    status = "firing" if whole.end_us is None else "resolved"
    alert = Alert(
        fingerprint,
        status,  # type: ignore[arg-type]  # one of the two
        first.labels,
        annotations,
        starts_at,
        generator_url=generator_url,
        details=newest.details or first.details,
    )
    word = Word("", "witness", is_firing=whole.end_us is None, start_us=whole.start_us, at_us=whole.last_us, content=0)
    source, receiver = first.source or origin, newest.receiver or first.receiver
    return Sighting(alert, content_hash(content), content, source, receiver, "", starts_at, word, 0)  # type: ignore[arg-type]  # an origin is a source


def _occurrence(sighting: Sighting, whole: Whole, at: datetime) -> Occurrence:
    is_open, last_at = whole.end_us is None, from_us(whole.last_us)
    return Occurrence(
        "firing" if is_open else "resolved",
        sighting.content_hash,
        sighting.alert.annotations,
        None if is_open else last_at,
        None,
        min(last_at, at),  # the clock of the origin may be ahead
        whole.repeats,
        0,
        ended_by=None if is_open else whole.ended_by,
        confirmed_at=None if is_open else (whole.newest.last_seen_at or last_at),
        receiver=sighting.receiver,
        generator_url=sighting.alert.generator_url,
        about=about_of(sighting),
    )


def end_detail(ended_at: datetime, ended_by: EndedBy, origin: str) -> dict[str, Any]:
    """What the event of an end says."""
    detail = {"ends_at": ended_at.isoformat()}
    if ended_by != "resolved":
        detail["reason"] = f"{origin} knows of no later sign"
    return detail


def end_values(occurrence: Occurrence) -> list[Any]:
    """How it ended: status, end, how the end is known, when it was last confirmed, and its last sign."""
    times = (occurrence.ends_at, occurrence.confirmed_at, occurrence.last_received_at)
    ends_us, confirmed_us, last_us = (None if time is None else to_us(time) for time in times)
    return [occurrence.status, ends_us, occurrence.ended_by, confirmed_us, last_us]
