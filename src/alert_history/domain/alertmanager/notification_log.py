"""What an Alertmanager remembers of its notifications, and whether a group is news to a receiver.

Source: `nflog`, and the stage that removes duplicates in `notify`, of prometheus/alertmanager.
"""

from datetime import datetime, timedelta
from typing import Literal

import msgspec

Reason = Literal[
    "first notification",
    "new alerts added",
    "some alerts resolved",
    "all alerts resolved",
    "repeat interval elapsed",
]
"""Why a notification is sent, in the words that Alertmanager has for it (0.32 and newer)."""

LogKey = tuple[str, str, str, int]
"""The key of a group, a receiver, and one of its integrations by kind and index."""

_RETENTION = timedelta(hours=120)
_CLEANING = timedelta(minutes=15)
"""The defaults of Alertmanager's flags `--data.retention` and `--data.maintenance-interval`."""
_NOBODY: frozenset[str] = frozenset()


class News(msgspec.Struct, frozen=True, gc=False):
    """The alerts of a group that are not muted, by fingerprint: those that fire at a moment, and those that ended."""

    at: datetime
    firing: frozenset[str]
    resolved: frozenset[str]
    repeat_interval: timedelta


class Entry(msgspec.Struct, frozen=True, gc=False):
    """The last notification of a group by one integration: which alerts fired in it, and which had ended."""

    at: datetime
    firing: frozenset[str]
    resolved: frozenset[str]
    expires_at: datetime


class NotificationLog:
    """The entries of an Alertmanager that was started at a moment. They are kept when it is reloaded."""

    def __init__(self, *, started_at: datetime) -> None:
        self._entries: dict[LogKey, Entry] = {}
        self._started_at = started_at

    def entry(self, key: LogKey, *, at: datetime) -> Entry | None:
        """The last notification, unless it is forgotten: it is after twice the repeat interval, every 15 minutes."""
        entry = self._entries.get(key)
        if entry is not None and entry.expires_at <= at - (at - self._started_at) % _CLEANING:
            del self._entries[key]
            return None
        return entry

    def forgets_at(self, entry: Entry) -> datetime:
        """When a notification is forgotten."""
        return entry.expires_at + (self._started_at - entry.expires_at) % _CLEANING

    def note(self, key: LogKey, news: News) -> None:
        """Remember that these alerts were told."""
        expires_at = news.at + min(2 * news.repeat_interval, _RETENTION)
        self._entries[key] = Entry(news.at, news.firing, news.resolved, expires_at)


def reason_for(news: News, entry: Entry | None, *, sends_resolved: bool) -> Reason | None:
    """Why alerts are news after the last notification of their group; None where they are not.

    That all have ended is noted even by an integration that does not send it.
    """
    before = _NOBODY if entry is None else entry.firing
    if news.firing - before:
        return "new alerts added" if before else "first notification"
    if entry is None:
        return None
    if not news.firing:
        return "all alerts resolved" if before else None
    if sends_resolved and news.resolved - entry.resolved:
        return "some alerts resolved"
    return "repeat interval elapsed" if news.at - entry.at > news.repeat_interval else None
