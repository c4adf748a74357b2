"""Notices: entries of what was sent and what was not, put together by the event that they are about. Pure.

An alert that ten targets did not want is one row of the page, and so are alerts in a row that fared alike; each reason
stands there once.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby

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


_NO_TARGETS = "no targets are looked for"
"""So the reason begins where the settings name no place for targets; the page says it once for all rows."""
_SAME_WORDS = 24  # of a reason: behind them an answer may name the very request


class Left(msgspec.Struct, frozen=True):
    """A reason, and the targets that were left out for it; none where it concerns all."""

    reason: str
    targets: Sequence[str]

    @property
    def is_without_targets(self) -> bool:
        """Whether the reason is that there were no targets."""
        return not self.targets and self.reason.startswith(_NO_TARGETS)


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
    def kind(self) -> tuple[object, ...]:
        """What notices that are alike have in common: the rule, what happened, and what became of it."""
        sent = tuple((entry.target, entry.outcome, entry.reason[:_SAME_WORDS]) for entry in self.sent)
        left = tuple((left.reason, tuple(left.targets)) for left in self.left)
        return self.alert.alertname, self.alert.severity, self.event, sent, left


class Group(msgspec.Struct, frozen=True):
    """Notices that are alike, the newest first, in a row or of one minute: a storm is one row of the page."""

    first: Notice
    others: Sequence[Notice]


def groups_of(entries: Iterable[Notification]) -> list[Group]:
    """The rows of a page, each at the place of its first entry."""
    notices = [_notice(own) for own in _by_event(entries).values()]
    by_minute: dict[tuple[object, ...], list[Notice]] = {}
    for notice in notices:
        by_minute.setdefault((*notice.kind, notice.at.replace(second=0, microsecond=0)), []).append(notice)
    alike = [notice for minute in by_minute.values() for notice in minute]
    runs = (list(run) for _, run in groupby(alike, key=lambda notice: notice.kind))
    return [Group(run[0], run[1:]) for run in runs]


def _by_event(entries: Iterable[Notification]) -> dict[tuple[str, str, datetime], list[Notification]]:
    together: dict[tuple[str, str, datetime], list[Notification]] = {}
    for entry in entries:
        together.setdefault((entry.alert.id, entry.event, entry.at), []).append(entry)
    return together


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
