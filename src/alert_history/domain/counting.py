"""Counting: what a decision changes in the numbers of the history.

A store keeps these changes with the decision, in one transaction; `domain.tally` adds them up later. An occurrence is
counted by what `alerts` holds of it, so a recount of the table gives the same numbers. Pure.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from alert_history.domain.microseconds import to_us
from alert_history.domain.occurrence import About, Occurrence

if TYPE_CHECKING:
    from alert_history.domain.decision import Decision, Entry

AGAIN_WITHIN_US = 3600 * 1_000_000
"""A firing begins again if the one before it ended so short a time ago."""


class Counted(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One occurrence as it is counted. Times in microseconds since 1970, UTC; `end_us` is None while it fires.

    `is_again` says whether it began soon after the firing before it; False where nobody knows it any more.
    """

    about: About
    receiver: str
    fingerprint: str
    start_us: int
    end_us: int | None
    ended_by: str | None
    is_again: bool = False


class Repeated(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """So many more messages that changed nothing, of one occurrence."""

    about: About
    receiver: str
    number: int


class Changes(msgspec.Struct, frozen=True, array_like=True):
    """What one transaction changes. `labels` are (name, value, number) of occurrences; a double takes its own away."""

    added: list[Counted] = []
    removed: list[Counted] = []
    repeated: list[Repeated] = []
    labels: list[tuple[str, str, int]] = []


_encode = msgspec.msgpack.Encoder().encode
read_changes = msgspec.msgpack.Decoder(Changes).decode
"""The changes that `changes_text` wrote."""


def counted(fingerprint: str, key_us: int, occurrence: Occurrence, *, is_again: bool = False) -> Counted | None:
    """An occurrence as it is counted; None where what it is about is not known."""
    if occurrence.about is None:
        return None
    began_at, ends_at = occurrence.began_at, occurrence.ends_at
    start_us = key_us if began_at is None else to_us(began_at)
    if occurrence.status == "firing":
        end_us = ended_by = None
    else:
        end_us = max(start_us, to_us(occurrence.last_received_at if ends_at is None else ends_at))
        ended_by = occurrence.ended_by or "resolved"
    return Counted(occurrence.about, occurrence.receiver, fingerprint, start_us, end_us, ended_by, is_again)


def written_changes(
    decisions: Iterable["Decision"], plain: Iterable[tuple[About | None, str, int]] = ()
) -> bytes | None:
    """What decisions and plain repeats change, as a store keeps it; None where they change no number.

    `plain` are (what it is about, its receiver, how many repeats) of occurrences of which nothing else changes.
    """
    added: list[Counted] = []
    removed: list[Counted] = []
    repeated: list[Repeated] = []
    begun: list[Mapping[str, str]] = []
    gone: list[Mapping[str, str]] = []
    for decision in decisions:
        for key_us, entry in decision.entries.items():
            now = _now(decision, key_us, entry)
            if now is None and entry.was is None:
                continue
            if entry.first is not None:
                begun.append(entry.first.alert.labels)
            elif entry.joined is not None:
                gone.append(entry.joined)
            if now != entry.was:
                added += [] if now is None else [now]
                removed += [] if entry.was is None else [entry.was]
            repeated += _repeats(entry, now)
    repeated += [Repeated(about, receiver, number) for about, receiver, number in plain if about is not None]
    if not (added or removed or repeated):
        return None
    less = [(name, value, -number) for name, value, number in label_counts(gone)]
    return _encode(Changes(added, removed, repeated, label_counts(begun) + less))


def changes_text(changes: Changes) -> bytes | None:
    """Changes as a store keeps them; None where no number changes."""
    is_empty = not (changes.added or changes.removed or changes.repeated)
    return None if is_empty else _encode(changes)


def merged_changes(several: Iterable[Changes]) -> Changes:
    """All these changes as one."""
    added: list[Counted] = []
    removed: list[Counted] = []
    repeated: list[Repeated] = []
    labels: Counter[tuple[str, str]] = Counter()
    for changes in several:
        added += changes.added
        removed += changes.removed
        repeated += changes.repeated
        for name, value, number in changes.labels:
            labels[name, value] += number
    return Changes(added, removed, repeated, [(*pair, number) for pair, number in labels.items()])


def new_changes(occurrences: Iterable[tuple[Counted, int, Mapping[str, str]]]) -> bytes | None:
    """What occurrences change that were not counted yet, as a store keeps it: each with its repeats and labels."""
    added: list[Counted] = []
    repeated: list[Repeated] = []
    labels: list[Mapping[str, str]] = []
    for occurrence, repeats, own in occurrences:
        added.append(occurrence)
        repeated += [Repeated(occurrence.about, occurrence.receiver, repeats)] if repeats else []
        labels.append(own)
    return _encode(Changes(added, [], repeated, label_counts(labels))) if added else None


def _now(decision: "Decision", key_us: int, entry: "Entry") -> Counted | None:
    is_again = entry.first is not None and _is_again(decision, key_us)
    return counted(decision.fingerprint, key_us, entry.occurrence, is_again=is_again)


def _repeats(entry: "Entry", now: Counted | None) -> list[Repeated]:
    """The repeats that are counted anew. All of them change where their receiver becomes known, or for a double."""
    was, before, after = entry.was, entry.repeats_before, entry.occurrence.repeat_count
    is_as_before = was is not None and now is not None and was.receiver == now.receiver
    changes = [(now, after - before)] if is_as_before else [(now, after), (was, -before)]
    return [Repeated(each.about, each.receiver, number) for each, number in changes if each is not None and number]


def _is_again(decision: "Decision", key_us: int) -> bool:
    """By the firings before it. A batch may know of later ones, and of more than a standing remembers."""
    ends = [past.end_us for past in decision.standing.past if past.key_us < key_us]
    earlier = (key for key, entry in decision.entries.items() if key < key_us and entry.joined is None)
    before = max(earlier, default=None)
    if before is not None and (ended := decision.entries[before].occurrence.ends_at) is not None:
        ends.append(to_us(ended))
    return bool(ends) and key_us - max(ends) < AGAIN_WITHIN_US


def label_counts(labels: Iterable[Mapping[str, str]]) -> list[tuple[str, str, int]]:
    """How many of these label sets have each name and value."""
    counts = Counter(chain.from_iterable(pairs.items() for pairs in labels))  # in C, as one call for each would not be
    return [(name, value, number) for (name, value), number in counts.items()]
