"""Bringing a past in, and taking it back: one transaction each, the same on both databases.

What is decided stands in `domain.importing` and `domain.taking_back`. How rows are found and written, each database
knows itself: its `Hands`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

import msgspec

from alert_history.domain.counting import Changes, Counted, changes_text, counted, merged_changes
from alert_history.domain.decision import Entry
from alert_history.domain.importing import Brought, ImportMark, Kept, bring
from alert_history.domain.importing_new import NewFiring, acts_of_new, bring_new, new_numbers
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.occurrence import Event, Key, Occurrence
from alert_history.domain.past_firing import PastFiring
from alert_history.domain.setting_aside import joined_asides, set_aside, with_held
from alert_history.domain.standing import Standing
from alert_history.domain.taking_back import Removal, remember_again, remove, restore_end, restore_start
from alert_history.ports.import_files import Beside, Parted
from alert_history.ports.imports import ImportCounts, ImportRecord, TakenBack
from alert_history.storage.shared.imports import (
    ACT,
    acted_on,
    corrections_of,
    forget_corrections,
    forget_refusals,
    keep_acts,
    keep_beside,
    pass_on_corrections,
)
from alert_history.storage.shared.rollup_log import add_changes
from alert_history.storage.shared.rows import microseconds_of, occurrence_of, time_of
from alert_history.storage.shared.session import Session

SPOKEN_OF_FOR = timedelta(days=7)
"""So long after its end a sender may still speak of a firing. So long standings are kept, too."""

STEP_ROWS = 500

MOST_FIRINGS = 1_000
"""So many firings of one label set are taken at once; more come in a further step, one step after the other."""


class Present:
    """The label sets that had occurrences when an import began to write, so that it looks for no other ones.

    Of a history with more than `most` occurrences nothing is remembered: any label set may be there. While an import
    writes, alone, others add occurrences only of label sets with a standing.
    """

    most = 200_000

    def __init__(self) -> None:
        self._import_id = ""
        self._label_sets: set[str] | None = None

    def forget(self) -> None:
        """An import begins, or one that was broken off goes on: whatever is there by now is to be read."""
        self._import_id = ""

    def is_unread_for(self, import_id: str) -> bool:
        """Whether this import has not read the history yet."""
        return self._import_id != import_id

    def read(self, import_id: str, rows: Sequence[Any]) -> None:
        """Remember the label sets of `rows`: of all occurrences, or of one more than `most`."""
        self._import_id = import_id
        self._label_sets = None if len(rows) > self.most else {row[0] for row in rows}

    def add(self, groups: Mapping[str, Sequence[PastFiring]]) -> None:
        """Remember the label sets of which a further step may come."""
        if self._label_sets is not None:
            self._label_sets |= {fingerprint for fingerprint, group in groups.items() if len(group) >= MOST_FIRINGS}

    def __contains__(self, fingerprint: str) -> bool:
        return self._label_sets is None or fingerprint in self._label_sets

    def without(self, fingerprints: Collection[str]) -> set[str]:
        """Those of the label sets that were surely not there."""
        return {fingerprint for fingerprint in fingerprints if fingerprint not in self}


_TICK = timedelta(microseconds=1)
_NEVER = from_us(0) + _TICK
_LABEL_SETS_AT_ONCE = 20

Span = tuple[datetime, datetime]

_read_labels = msgspec.json.Decoder(dict[str, str]).decode


class Hands(Protocol):
    """What an import does in the open transaction of a database. `rows` are a driver's rows of `alerts`."""

    @property
    def session(self) -> Session:
        """The transaction, for portable statements."""
        ...

    async def lock(self, fingerprints: Sequence[str], *, begun: Collection[str]) -> dict[str, Standing]:
        """The standings of label sets, given sorted; nobody else writes about them now, or begins the `begun` ones."""
        ...

    async def recall(self, fingerprints: Sequence[str]) -> dict[str, Standing]:
        """The standings that the occurrences of label sets speak for, of those that have any."""
        ...

    async def around(self, spans: Mapping[str, Span]) -> list[Any]:
        """The rows of label sets in spans of time, with the neighbours of each span, doubles included inside of it."""
        ...

    async def insert(self, entries: Sequence[Entry], mark: ImportMark) -> None:
        """Add occurrences that an import brings in."""
        ...

    async def insert_new(self, firings: Sequence[NewFiring], mark: ImportMark) -> None:
        """Add occurrences, with their events, of label sets that have none."""
        ...

    async def update(self, occurrences: Mapping[Key, Occurrence]) -> None:
        """Write occurrences that were there."""
        ...

    async def add_events(self, events: Sequence[Event]) -> None:
        """Add events of occurrences that are there by now."""
        ...

    async def write_standings(self, standings: Mapping[str, Standing], *, vacated: Collection[str] = ()) -> None:
        """Write standings; those of `vacated` label sets, which `lock` kept from others, are gone again."""
        ...

    async def own(self, record: ImportRecord, since: datetime) -> list[tuple[str, datetime]]:
        """Fingerprint and `timestamp` of the first few occurrences of an import from that time on, in its order."""
        ...

    async def drop(self, keys: Sequence[Key]) -> None:
        """Remove occurrences with their events and acts."""
        ...

    async def disown(self, keys: Sequence[Key]) -> None:
        """Let occurrences be no import's any more."""
        ...


class Step(NamedTuple):
    """How one step of an import is taken: when, for real or not, and what else there is."""

    now: datetime
    is_dry_run: bool
    present: Present
    beside: Beside | None = None

    def has_old(self, fingerprint: str, firings: Sequence[PastFiring]) -> bool:
        """Whether some of a label set may go to an archive, or be there."""
        if self.beside is None:
            return False
        before_us = to_us(self.beside.before)
        return fingerprint in self.beside.held or any(each.last_sign_us < before_us for each in firings)


async def take(hands: Hands, record: ImportRecord, groups: Sequence[Sequence[PastFiring]], step: Step) -> Parted:
    """See `ports.Imports.take`, and `ports.ImportFiles.part` where an archive is beside."""
    firings = {group[0].fingerprint: group for group in groups if group}
    fingerprints = sorted(firings)
    spans = {f: (group[0].starts_at, from_us(max(each.last_sign_us for each in group))) for f, group in firings.items()}
    lately = {f for f, span in spans.items() if span[1] >= step.now - SPOKEN_OF_FOR}
    standings = await hands.lock(fingerprints, begun=() if step.is_dry_run else lately)
    without = set(fingerprints) - standings.keys()
    looked_for = [f for f in fingerprints if f in standings or f in step.present]
    still_fire = [f for f in looked_for if f in without and any(each.ends_at is None for each in firings[f])]
    standings |= await hands.recall(still_fire)
    kept = _by_label_set(await hands.around({f: spans[f] for f in looked_for}))
    mark = ImportMark(record.id, record.origin, step.now)
    usual = {f for f in fingerprints if f in lately or f in standings or f in kept or step.has_old(f, firings[f])}
    if step.beside is not None:
        kept |= {f: with_held(kept.get(f, []), held) for f, held in step.beside.held.items()}
        mark = msgspec.structs.replace(mark, archive_before_us=to_us(step.beside.before))
    brought = [bring(f, firings[f], kept.get(f, []), standings.get(f), mark) for f in fingerprints if f in usual]
    aside = joined_asides(set_aside(each, kept.get(each.decision.fingerprint, []), mark) for each in brought)
    new = {f: firings[f] for f in fingerprints if f not in usual}
    counts = await _take_new(hands, record, new, mark, is_dry_run=step.is_dry_run)
    for each in brought:
        counts = counts.plus(_counts(each, read=len(firings[each.decision.fingerprint])))
    if step.is_dry_run:
        return Parted(counts, aside)
    await _write(hands, brought, mark)
    known = {f: standings[f] for f in _changed(brought) if f in standings}
    begun = lately & without - standings.keys()
    unseen = step.present.without(begun)  # what this import brought in is all that is known of them
    decisions = [each.decision for each in brought if each.decision.is_standing_changed]
    known |= {each.fingerprint: each.standing for each in decisions if each.fingerprint in unseen}
    known |= await hands.recall(sorted(begun - known.keys()))
    await hands.write_standings(known, vacated=lately & without - known.keys())
    acts = await keep_beside(hands.session, record, brought)
    step.present.add(firings)
    return Parted(counts.plus(ImportCounts(acts=acts)), aside)


async def _take_new(
    hands: Hands,
    record: ImportRecord,
    firings: Mapping[str, Sequence[PastFiring]],
    mark: ImportMark,
    *,
    is_dry_run: bool,
) -> ImportCounts:
    """Take label sets that the history does not have, and that nobody has spoken of lately."""
    label_sets = [bring_new(f, group, record.origin) for f, group in firings.items()]
    new = [each for label_set in label_sets for each in label_set.firings]
    merged = sum(label_set.merged for label_set in label_sets)
    counts = ImportCounts(len(new) + merged, len(new), merged=merged)
    if is_dry_run or not new:
        return counts
    await hands.insert_new(new, mark)
    await add_changes(hands.session, changes_text(new_numbers(label_sets, [each.label_texts for each in new])))
    acts = [act for each in label_sets for act in acts_of_new(each, mark)]
    return counts.plus(ImportCounts(acts=await keep_acts(hands.session, record, acts)))


def _counts(brought: Brought, *, read: int) -> ImportCounts:
    corrected = len({correction.key_us for correction in brought.corrections})
    return ImportCounts(read, brought.taken, brought.joined, corrected, brought.merged)


def _changed(brought: Iterable[Brought]) -> list[str]:
    return [each.decision.fingerprint for each in brought if each.decision.is_standing_changed]


async def _write(hands: Hands, brought: Sequence[Brought], mark: ImportMark) -> None:
    entries = [(each.decision.fingerprint, entry) for each in brought for entry in each.decision.entries.values()]
    await hands.insert([entry for _, entry in entries if entry.first is not None], mark)
    await hands.update({(f, entry.starts_at): entry.occurrence for f, entry in entries if entry.first is None})
    await hands.add_events([event for each in brought for event in each.decision.events])
    await add_changes(hands.session, changes_text(merged_changes(each.changes for each in brought)))


def _by_label_set(rows: Iterable[Any]) -> dict[str, list[Kept]]:
    """The occurrences of each label set, in the order of their keys."""
    kept: dict[str, list[Kept]] = {}
    for row in rows:
        kept.setdefault(row["fingerprint"], []).append(kept_of(row))
    for own in kept.values():
        own.sort(key=lambda each: each.key_us)
    return kept


def kept_of(row: Any) -> Kept:
    """The occurrence in a driver's row of `alerts`."""
    key_us, is_double = microseconds_of(row["starts_at"]), row["joined_into"] is not None
    return Kept(key_us, occurrence_of(row), row["import_id"], time_of(row["imported_at"]), is_double)


# --- taking back ------------------------------------------------------------------------------------------------------


async def take_back(hands: Hands, record: ImportRecord, *, after: datetime | None) -> TakenBack:
    """See `ports.Imports.take_back`."""
    if record.oldest is not None:
        own = await hands.own(record, after or record.oldest)
        if own:
            removal = await _remove(hands, record, list(dict.fromkeys(fingerprint for fingerprint, _ in own)))
            waiting = [at for fingerprint, at in own if fingerprint not in removal.fingerprints]
            return TakenBack(removal.removed, removal.left, 0, waiting[0] if waiting else own[-1][1])
    rows = await corrections_of(hands.session, record.id, STEP_ROWS)
    if not rows:
        await forget_refusals(hands.session, record.id)
        return TakenBack(0, 0, 0, None)
    await pass_on_corrections(hands.session, rows)
    restored = await _restore(hands, [row for row in rows if not row.what.startswith(ACT)])
    await forget_corrections(hands.session, rows)
    return TakenBack(0, 0, restored, after or record.newest or record.started_at)


class _Removed(msgspec.Struct, frozen=True):
    """Of which label sets all was removed: how many occurrences, and how many stay."""

    fingerprints: Collection[str]
    removed: int
    left: int


async def _remove(hands: Hands, record: ImportRecord, wanted: Sequence[str]) -> _Removed:
    """Remove all that an import brought in of label sets, of the first ones where they have many occurrences."""
    span = ((record.oldest or _NEVER) - _TICK, record.newest or _NEVER)
    rows: list[Any] = []
    fingerprints: list[str] = []
    locked = await hands.lock(sorted(wanted), begun=())
    while len(rows) < STEP_ROWS and len(fingerprints) < len(wanted):
        some = wanted[len(fingerprints) : len(fingerprints) + _LABEL_SETS_AT_ONCE]
        rows += await hands.around(dict.fromkeys(some, span))
        fingerprints += some
    standings = {f: standing for f, standing in locked.items() if f in set(fingerprints)}
    labels = {(row["fingerprint"], microseconds_of(row["starts_at"])): row["labels"] for row in rows}
    acted = await acted_on(hands.session, fingerprints, record.origin)
    removals = []
    for f, kept in _by_label_set(rows).items():
        texts = {each.key_us: _read_labels(labels[f, each.key_us]) for each in kept if each.import_id == record.id}
        keys = {to_us(starts_at) for fingerprint, starts_at in acted if fingerprint == f}
        removals.append(remove(f, kept, texts, import_id=record.id, standing=standings.get(f), acted_on=keys))
    await _write_removals(hands, removals)
    less = [r.fingerprint for r in removals if r.removed and r.fingerprint in standings]
    for f, known in (await hands.recall(less)).items():
        remember_again(standings[f], known)
    await hands.write_standings(standings)
    removed, left = sum(len(each.removed) for each in removals), sum(len(each.left) for each in removals)
    return _Removed(set(fingerprints), removed, left)


async def _write_removals(hands: Hands, removals: Sequence[Removal]) -> None:
    await hands.drop([(each.fingerprint, from_us(key_us)) for each in removals for key_us in each.removed])
    await hands.disown([(each.fingerprint, from_us(key_us)) for each in removals for key_us in each.left])
    await add_changes(hands.session, changes_text(merged_changes(each.changes for each in removals)))


async def _restore(hands: Hands, corrections: Sequence[Any]) -> int:
    """Give occurrences back what an import corrected; how many corrections were taken back."""
    by_key: dict[Key, list[Any]] = {}
    for row in corrections:
        by_key.setdefault((row.fingerprint, row.starts_at), []).append(row)
    times: dict[str, list[datetime]] = {}
    for f, at in by_key:
        times.setdefault(f, []).append(at)
    standings = await hands.lock(sorted(times), begun=())
    spans = {f: (min(own), max(own)) for f, own in times.items()}
    restored = 0
    occurrences: dict[Key, Occurrence] = {}
    changes = []
    for f, kept in _by_label_set(await hands.around(spans)).items():
        for each in kept:
            rows = by_key.get((f, from_us(each.key_us)), [])
            before = counted(f, each.key_us, each.occurrence)
            until_us = min((k.start_us for k in kept if k.key_us > each.key_us and not k.is_double), default=None)
            number = sum(_give_back(each, row, standings.get(f), until_us) for row in rows)
            if number:
                restored += number
                occurrences[f, from_us(each.key_us)] = each.occurrence
                changes.append(_moved(before, counted(f, each.key_us, each.occurrence)))
    await hands.update(occurrences)
    await add_changes(hands.session, changes_text(merged_changes(changes)))
    await hands.write_standings(standings)
    return restored


def _moved(before: Counted | None, after: Counted | None) -> Changes:
    return Changes([] if after is None else [after], [] if before is None else [before])


def _give_back(kept: Kept, row: Any, standing: Standing | None, until_us: int | None) -> bool:
    if row.what == "starts_at":
        return restore_start(kept, row.before, row.after, standing)
    return restore_end(kept, row.before, row.after, standing, until_us=until_us)
