"""A step: one change of one occurrence, before it is an event. What makes steps stands in `hearing` and beside it."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from alert_history.domain.standing import EndedBy

StepKind = Literal[
    "opened",
    "reopened",
    "recorded_over",
    "start_moved",
    "published",
    "confirmed",
    "unconfirmed",
    "left",
    "ended",
    "conflict",
    "reworded",
    "peers",
    "joined",
    "silenced",
    "inhibited",
    "unsilenced",
]


class Step(msgspec.Struct, frozen=True):
    """One change of the occurrence named by `key_us`.

    `start_us` and `end_us` are what it has after it; `bounds_us` is between what an inferred end lies. `reason` says
    why, for people. `peer` is the other of two senders that turned out to be one witness. `details` says more, as the
    event is to show it.
    """

    kind: StepKind
    key_us: int
    start_us: int
    end_us: int | None = None
    ended_by: EndedBy | None = None
    bounds_us: tuple[int, int] | None = None
    reason: str = ""
    sender: str = ""
    peer: str = ""
    details: Mapping[str, Any] = {}
