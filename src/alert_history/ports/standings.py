"""What the passing of time does to the claims that a store keeps."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from alert_history.domain.group import SeenGroup


class Left(msgspec.Struct, frozen=True):
    """An alert that a witness's group went on without since `missed_us`, by the fingerprint under which it is kept."""

    fingerprint: str
    sender: str
    missed_us: int


class Standings(Protocol):
    """What time does to what is claimed. Each call is one short transaction; whoever lost a race does nothing."""

    async def adopt(self, now: datetime, *, limit: int = 500) -> int:
        """Give open occurrences that have none a standing; how many. What a release before ours wrote has none."""
        ...

    async def let_pass(self, now: datetime, *, stale_after: Mapping[str, int] | None, limit: int = 500) -> int:
        """Look at what lapsed by `now`, or has had no sign for long; how many were looked at.

        `stale_after` is, by receiver, for how many microseconds a witness may be silent. None: what only a witness
        holds is not looked for; that reads all that is open.
        """
        ...

    async def leave(self, left: Sequence[Left], now: datetime) -> int:
        """Take up that these have left their groups; of how many that was news."""
        ...

    async def save_groups(self, groups: Sequence[SeenGroup]) -> None:
        """Keep what was seen of these groups, unless something later is kept."""
        ...

    async def load_groups(self, since: datetime | None = None) -> list[SeenGroup]:
        """What is kept of groups, or only of those that had a payload later than that."""
        ...

    async def forget(self, before: datetime) -> int:
        """Forget a bounded step of standings whose last firing was over before then, and of groups; 0 when done."""
        ...

    async def count(self) -> dict[str, int]:
        """How many occurrences are open, by `firing` and `unconfirmed`, and label sets in `conflict` within a day."""
        ...
