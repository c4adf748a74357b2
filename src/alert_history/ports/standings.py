"""What the passing of time changes in the claims of a store."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from alert_history.domain.group import SeenGroup


class Left(msgspec.Struct, frozen=True):
    """An alert that a group of a witness lacks since `missed_us`; `fingerprint` is that of the store."""

    fingerprint: str
    sender: str
    missed_us: int


class Standings(Protocol):
    """What time changes in claims. Each call is one short transaction; the replica that lost a race does nothing."""

    async def adopt(self, now: datetime, *, limit: int = 500) -> int:
        """Give a standing to open occurrences that an older release left without one; returns how many."""
        ...

    async def let_pass(self, now: datetime, *, stale_after: Mapping[str, int] | None, limit: int = 500) -> int:
        """Look at claims that lapsed by `now`, or have had no sign for long; returns how many label sets.

        `stale_after` is, by receiver, for how many microseconds a witness may be silent. None leaves out the
        occurrences that only a witness holds open, because looking for them reads all open occurrences.
        """
        ...

    async def leave(self, left: Sequence[Left], now: datetime) -> int:
        """Take up that alerts have left their groups; returns for how many that was news."""
        ...

    async def save_groups(self, groups: Sequence[SeenGroup]) -> None:
        """Keep what was seen of groups. A later state of a group stays as it is."""
        ...

    async def load_groups(self, since: datetime | None = None) -> list[SeenGroup]:
        """What was seen of groups; with `since` only groups with a later payload."""
        ...

    async def forget(self, before: datetime) -> int:
        """Forget a bounded step of old standings, whose last firing ended before then, and of groups; 0 when done."""
        ...

    async def count(self) -> dict[str, int]:
        """How many occurrences are `firing` or `unconfirmed`; how many label sets were in `conflict` within a day."""
        ...
