"""The feed: what happens to occurrences, numbered in the order of commits."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from alert_history.domain.news import News
from alert_history.domain.occurrence import Key
from alert_history.ports.history import StoredAlert


class NumberedNews(msgspec.Struct, frozen=True, gc=False):
    """News with its number: the first ever has 1, each later one is one higher. `at` is when it was numbered."""

    number: int
    news: News
    at: datetime | None = None


class Feed(Protocol):
    """What happened lately. Every call may raise StorageUnavailable.

    News is numbered some time after its commit, and never changes its number. So whoever has read up to a number has
    missed nothing below it, however late a transaction commits.
    """

    async def number(self) -> int:
        """Number a bounded part of the news that has no numbers yet; how many transactions had it.

        0 where none waits, or where another replica numbers. A step loses and doubles nothing, whenever a process dies.
        """
        ...

    async def newest(self) -> int:
        """The highest number that was given; 0 before the first."""
        ...

    async def after(self, number: int, *, most: int) -> Sequence[NumberedNews]:
        """The news that follows a number, in its order, at most so many.

        Where the first of them does not have the next number, what lies between was forgotten.
        """
        ...

    async def forget(self, before: datetime, *, most: int) -> int:
        """Remove news that was numbered before a time, and all but so many of the newest; how many transactions had it.

        The newest stays in any case.
        """
        ...

    async def alerts(self, keys: Collection[Key]) -> Mapping[Key, StoredAlert]:
        """The occurrences of these keys as they are now; an unknown one is left out."""
        ...
