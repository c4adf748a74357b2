"""Taking an import back: what is left of one label set without what the import brought in and corrected. Pure."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from alert_history.domain.counting import Changes, Repeated, label_counts
from alert_history.domain.decision import claim_of_occurrence
from alert_history.domain.importing import Kept, end_values
from alert_history.domain.label_set_numbers import changed_numbers, counted_all
from alert_history.domain.microseconds import from_us
from alert_history.domain.occurrence import Occurrence
from alert_history.domain.showing import show_firing, shown_start
from alert_history.domain.standing import Firing, Past, Standing, add_past


class Removal(msgspec.Struct, gc=False):
    """What of one label set is to be removed, by key; what stays, because it is not the import's alone; the numbers."""

    fingerprint: str
    removed: list[int]
    left: list[int]
    changes: Changes


def remove(
    fingerprint: str,
    kept: Sequence[Kept],
    labels: Mapping[int, Mapping[str, str]],
    *,
    import_id: str,
    standing: Standing | None,
    acted_on: Collection[int],
) -> Removal:
    """Decide about all occurrences of a label set, in the order of their keys. `standing` is changed in place.

    `labels` are those of the occurrences, by key; `acted_on` are the keys of those that people did something about.
    """
    own = [each for each in kept if each.import_id == import_id]
    left = [each.key_us for each in own if each.key_us in acted_on or each.is_spoken_of]
    removed = [each.key_us for each in own if each.key_us not in left]
    before = counted_all(fingerprint, [(each.key_us, each.occurrence) for each in kept if not each.is_double])
    stays = [each for each in kept if not each.is_double and each.key_us not in removed]
    changes = changed_numbers(before, counted_all(fingerprint, [(each.key_us, each.occurrence) for each in stays]))
    gone = [each.occurrence for each in own if each.key_us in removed]
    less = [Repeated(o.about, o.receiver, -o.repeat_count) for o in gone if o.about and o.repeat_count]
    fewer = [(name, value, -number) for name, value, number in label_counts(labels[key_us] for key_us in removed)]
    changes = msgspec.structs.replace(changes, repeated=less, labels=fewer)
    if standing is not None:
        standing.past = tuple(past for past in standing.past if past.key_us not in removed)
        if standing.firing is not None and standing.firing.key_us in removed:
            standing.firing = None
    return Removal(fingerprint, removed, left, changes)


def restore_start(kept: Kept, before: Any, after: Any, standing: Standing | None) -> bool:
    """Give an occurrence the start back that it had, unless it changed since; whether it did."""
    if kept.start_us != after:
        return False
    kept.occurrence.began_at = shown_start(before, kept.key_us)
    if standing is not None and standing.firing is not None and standing.firing.key_us == kept.key_us:
        standing.firing.start_us = before
    elif standing is not None:
        _replace_past(standing, kept.key_us, start_us=before)
    return True


def remember_again(standing: Standing, recalled: Standing) -> None:
    """Let a standing remember the firings before the removed ones, which it forgot for them."""
    keys = {past.key_us for past in standing.past} | {standing.newest_key_us}
    for past in recalled.past:
        if past.key_us not in keys:
            add_past(standing, past)


def _is_room(until_us: int | None, end_us: int | None) -> bool:
    return until_us is None or (end_us is not None and end_us <= until_us)


def restore_end(kept: Kept, before: Any, after: Any, standing: Standing | None, *, until_us: int | None) -> bool:
    """Give an occurrence the end back that it had, unless it changed since; whether it did.

    `until_us` is when the next firing of its label set began, None without any: nothing fires on beyond that.
    """
    occurrence = kept.occurrence
    status, ends_us, ended_by, confirmed_us, last_us = before
    if end_values(occurrence) != after or not _is_room(until_us, None if status == "firing" else ends_us or last_us):
        return False
    occurrence.status, occurrence.ended_by = status, ended_by
    occurrence.ends_at = None if ends_us is None else from_us(ends_us)
    occurrence.confirmed_at = None if confirmed_us is None else from_us(confirmed_us)
    occurrence.last_received_at = from_us(last_us)
    if standing is None:
        return True
    standing.past = tuple(past for past in standing.past if past.key_us != kept.key_us)
    if status == "firing":
        _open_again(kept, occurrence, standing)
    else:
        if standing.firing is not None and standing.firing.key_us == kept.key_us:
            standing.firing = None
        ends_us = last_us if ends_us is None else ends_us
        add_past(standing, Past(kept.key_us, kept.start_us, max(ends_us, kept.start_us), ended_by or "resolved"))
    return True


def _open_again(kept: Kept, occurrence: Occurrence, standing: Standing) -> None:
    if standing.firing is None:
        standing.firing = Firing(kept.key_us, kept.start_us, [claim_of_occurrence(occurrence, kept.start_us)])
        show_firing(occurrence, standing.firing)


def _replace_past(standing: Standing, key_us: int, *, start_us: int) -> None:
    past = next((past for past in standing.past if past.key_us == key_us), None)
    if past is not None:
        standing.past = tuple(other for other in standing.past if other is not past)
        add_past(standing, msgspec.structs.replace(past, start_us=start_us))
