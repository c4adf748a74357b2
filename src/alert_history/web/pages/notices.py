"""Notices: entries of what was sent and what was not, put together by the event that they are about. Pure.

An alert that ten targets did not want is one row of the page, and each reason stands there once.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from alert_history.domain.acts import TellableKind
from alert_history.domain.occurrence import EventKind
from alert_history.engine.notified_entries import Notification
from alert_history.ports import NotifiedAlert

_EVENTS: dict[str, str] = {
    "fired": "fired",
    "refired": "fired again",
    "published": "is to be published",
    "annotations_changed": "changed its annotations",
    "resolved": "resolved",
    "expired": "expired",
    "inferred": "is over",
    "reconciled": "is over",
    "classified": "was classified",
    "silenced": "was silenced",
    "inhibited": "was inhibited",
    "acknowledged": "was acknowledged",
    "noted": "has a note",
}


class Left(msgspec.Struct, frozen=True):
    """A reason, and the targets that were left out for it; none where it concerns all."""

    reason: str
    targets: Sequence[str]


class Notice(msgspec.Struct, frozen=True):
    """An event of an alert, what was sent of it, and why other targets were left out."""

    alert: NotifiedAlert
    event: TellableKind | EventKind
    at: datetime
    sent: Sequence[Notification]
    left: Sequence[Left]

    @property
    def words(self) -> str:
        """What happened to the alert."""
        return _EVENTS.get(self.event, self.event.replace("_", " "))

    @property
    def left_out(self) -> int:
        """How many targets were left out."""
        return sum(len(left.targets) for left in self.left)

    @property
    def is_muted(self) -> bool:
        """Whether nothing was sent of it."""
        return not self.sent


def notices_of(entries: Iterable[Notification]) -> list[Notice]:
    """The notices of a page, each at the place of its first entry."""
    together: dict[tuple[str, str, datetime], list[Notification]] = {}
    for entry in entries:
        together.setdefault((entry.alert.id, entry.event, entry.at), []).append(entry)
    return [_notice(own) for own in together.values()]


def _notice(entries: Sequence[Notification]) -> Notice:
    first = entries[0]
    reasons: dict[str, list[str]] = {}
    for entry in entries:
        if entry.outcome == "not_told":
            reasons.setdefault(entry.reason, []).extend([] if entry.target is None else [entry.target])
    return Notice(
        first.alert,
        first.event,
        first.at,
        sorted((entry for entry in entries if entry.outcome != "not_told"), key=lambda entry: entry.target or ""),
        [Left(reason, targets) for reason, targets in reasons.items()],
    )
