"""What an answer about a span of time covers: from when to when, counted how, what it left out, and how fresh it is."""

from datetime import datetime
from typing import Literal

import msgspec


class Covers(msgspec.Struct, frozen=True):
    """What an answer covers. Times are aware UTC.

    Occurrences of `since` ≤ `counted_by` < `until` count; `timestamp` is when one was first received, `starts_at` when
    it began, as its senders say. With `changes`, starts and ends of the span count, as senders give them. With
    `firing`, those count that fired at a moment of the span, whenever they were received.

    Where `is_exact` is false, the numbers are lower bounds or estimates; `sampled_share` (0..1) is the share of rows
    behind an estimate, and is null without a sample. `left_out` names what does not count, one sentence each.
    `fresh_as_of` is when the history was read. `counted_from` says whether rollups answered, or the occurrences
    themselves.
    """

    since: datetime
    until: datetime
    fresh_as_of: datetime
    counted_by: str = "timestamp"
    is_exact: bool = True
    sampled_share: float | None = None
    left_out: tuple[str, ...] = ()
    counted_from: Literal["rollups", "occurrences"] = "occurrences"
