"""What fires now: open occurrences, counted by rule, severity, and whether somebody muted or nobody confirms them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from alert_history.domain.query import ALL, Query

Mute = Literal["silenced", "inhibited"]


class FiringGroup(msgspec.Struct, frozen=True, gc=False):
    """Open occurrences that have all of this in common. The rest tells how many, and the first and last begin.

    `is_unconfirmed`: no sender confirms them any more. `muted` is None where nothing mutes them.
    `is_acknowledged`: a person took care of them, and did not take that back.
    `oldest_at` is the earliest begin that a sender claimed, `newest_at` when the last was first received.
    """

    alertname: str
    severity: str
    is_unconfirmed: bool
    muted: Mute | None
    number: int
    oldest_at: datetime
    newest_at: datetime
    is_acknowledged: bool = False


class FiringReads(Protocol):
    """Counts what fires; a call costs what fires, however long the history is.

    What was joined to another occurrence does not count. Every call may raise StorageUnavailable or QueryTimeout.
    """

    async def by_severity(self) -> dict[str, int]:
        """How many fire, by severity: the cheapest of these calls."""
        ...

    async def groups(self, now: datetime, *, query: Query = ALL) -> Sequence[FiringGroup]:
        """All that fires and matches, in no order. A silence that has run out by `now` mutes nothing."""
        ...
