"""The numbers of one label set, as all its occurrences give them, and what changes where some come or go. Pure."""

from collections.abc import Iterable, Sequence

from alert_history.domain.counting import AGAIN_WITHIN_US, Changes, Counted, Repeated, counted, label_counts
from alert_history.domain.occurrence import Occurrence


def changed_numbers(
    before: Iterable[Counted],
    after: Iterable[Counted],
    *,
    labels: Sequence[dict[str, str]] = (),
    repeats: Sequence[Occurrence] = (),
) -> Changes:
    """What changes in the numbers. `labels` and `repeats` are of what is new."""
    was, now = set(before), set(after)
    repeated = [Repeated(o.about, o.receiver, o.repeat_count) for o in repeats if o.about and o.repeat_count]
    return Changes(sorted(now - was, key=_by_start), sorted(was - now, key=_by_start), repeated, label_counts(labels))


def _by_start(each: Counted) -> tuple[int, str]:
    return each.start_us, each.fingerprint


def counted_all(fingerprint: str, occurrences: Iterable[tuple[int, Occurrence]]) -> list[Counted]:
    """Occurrences of one label set as they are counted, in the order of their keys.

    One begins again if it began within an hour of the latest end before it.
    """
    counts, last_us = [], None
    for key_us, occurrence in occurrences:
        is_again = last_us is not None and key_us - last_us < AGAIN_WITHIN_US
        each = counted(fingerprint, key_us, occurrence, is_again=is_again)
        if each is None:
            continue
        counts.append(each)
        if each.end_us is not None:
            last_us = each.end_us if last_us is None else max(last_us, each.end_us)
    return counts
