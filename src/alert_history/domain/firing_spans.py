"""How long spans are, in classes, so that those that hold a moment are found among all: each class is searched apart.

A span of a class is no longer than the class says. So of each class only the spans are read that began within that time
before the moment. Pure. Migration 0019 has the same classes; they must never change.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from alert_history.domain.microseconds import from_us
from alert_history.domain.occurrence import ENDINGS, Event

SHORT = timedelta(hours=1)
"""What takes no longer is found by when it was received, and has class 0."""

LATE = timedelta(minutes=20)
"""Who learns of an end later than that notes it among the late ends."""

_LONGEST: Sequence[timedelta] = [SHORT, *(timedelta(hours=4**power) for power in range(1, 7))]
LENGTHS = range(len(_LONGEST) + 1)
"""The classes. The last one has no bound."""


class LateEnd(msgspec.Struct, frozen=True, gc=False):
    """That an occurrence may have fired from `ends_at` until `until_at`, when we learnt that it was over."""

    length: int
    ends_at: datetime
    fingerprint: str
    starts_at: datetime
    until_at: datetime


def length_of(span: timedelta) -> int:
    """The class of a span."""
    return sum(span > longest for longest in _LONGEST)


def earliest(length: int, at: datetime) -> datetime:
    """When a span of that class that holds a moment begins at the earliest."""
    return at - _LONGEST[length] if length < len(_LONGEST) else from_us(0)


def late_ends(events: Iterable[Event]) -> list[LateEnd]:
    """The late ends that these events tell of. What was over before we heard of it has none."""
    late = []
    for event in events:
        ends = event.detail.get("ends_at") if event.detail is not None and event.kind in ENDINGS else None
        if ends is None or event.key == 1:
            continue
        ends_at = datetime.fromisoformat(ends)
        if event.at - ends_at > LATE:
            late.append(LateEnd(length_of(event.at - ends_at), ends_at, event.fingerprint, event.starts_at, event.at))
    return late
