"""Flapping: an alert that changes so often that no single change means anything."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec


class FlapRule(msgspec.Struct, frozen=True):
    """More than `limit` changes within `window` are flapping."""

    window: timedelta = timedelta(hours=1)
    limit: int = 4


def is_flapping(changes: Sequence[datetime], now: datetime, rule: FlapRule) -> bool:
    """Whether these changes, each a start or an end, are too many."""
    since = now - rule.window
    return sum(since <= change <= now for change in changes) > rule.limit
