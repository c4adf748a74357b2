"""A delivery: saying one event to one target. Its states, and when it is tried again."""

from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from alert_history.domain.occurrence import ENDINGS, EventKind
from alert_history.domain.target import Outgoing

State = Literal["pending", "leased", "delivered", "superseded", "dead"]

FIRST_RETRY = timedelta(seconds=2)
LONGEST_RETRY = timedelta(minutes=10)
GIVES_UP_AFTER = timedelta(hours=24)
FEWEST_ATTEMPTS = 30  # two hours of them, about
MAX_LOGGED_ATTEMPTS = 20

TOLD_EVENTS: frozenset[EventKind] = ENDINGS | {"fired", "refired", "published", "annotations_changed"}
"""Events that targets are told of; the others are notes about an alert, not news of it."""


class Leased(msgspec.Struct, frozen=True):
    """A delivery this process may make until `lease_until`. `attempt` counts from 1.

    `was_told`: the target took an earlier delivery of the same occurrence.
    """

    id: str
    target: str
    attempt: int
    created_at: datetime
    lease_until: datetime
    alert: Outgoing
    was_told: bool = False


class Attempt(msgspec.Struct, frozen=True):
    """What one try came to: `outcome` is delivered, retried, dead, handed_back or withheld."""

    at: datetime
    outcome: str
    reason: str
    milliseconds: int


class Settlement(msgspec.Struct, frozen=True):
    """What becomes of a leased delivery. `due_at` is set where it goes back to `pending`."""

    id: str
    state: Literal["pending", "delivered", "superseded", "dead"]
    attempt: Attempt
    due_at: datetime | None = None
    external_id: str | None = None


class Awaited(msgspec.Struct, frozen=True):
    """A classification that goes out with the deliveries of an event: that of the alert's shape.

    They wait for it until `until`, if that is set; then they go without. `unenriched` says why they need not wait
    although nothing is known of the shape.
    """

    shape: str
    until: datetime | None = None
    unenriched: str | None = None


class Routing(msgspec.Struct, frozen=True, rename={"targets": "told", "left_out": "not_told"}):
    """The targets that are notified of an event, and why the others are left out (target → reason).

    `routes` holds the route by which a target is notified, `due_at` from when on (absent: at once). `reason` says why
    nobody is notified where that is about no target. It is what was decided then; deliveries are what became of it.
    """

    targets: tuple[str, ...]
    left_out: dict[str, str]
    awaits: Awaited | None = None
    routes: dict[str, str] = {}
    due_at: dict[str, datetime] = {}
    reason: str | None = None

    def on_record(self) -> dict[str, Any]:
        """As it is kept with the event: what holds nothing is left out, except for the two that always stand."""
        rest = {"routes": self.routes, "due_at": self.due_at, "reason": self.reason}
        return {"told": self.targets, "not_told": self.left_out} | {name: part for name, part in rest.items() if part}


def retry_at(now: datetime, *, attempt: int, randomness: float, at_least: float | None = None) -> datetime:
    """When to try again: exponential with full jitter (`randomness` in [0, 1)), never before `at_least` seconds."""
    ceiling = min(FIRST_RETRY * (1 << min(attempt - 1, 20)), LONGEST_RETRY)
    wait = ceiling * randomness
    if at_least is not None:
        wait = max(wait, timedelta(seconds=at_least))
    return now + wait


def is_given_up(now: datetime, *, created_at: datetime, attempt: int) -> bool:
    """Whether it has been tried for so long that nobody wants to hear it any more.

    What was held by quiet hours over a weekend, or while this service was down, is old at its first attempt and
    deserves others.
    """
    return now - created_at >= GIVES_UP_AFTER and attempt >= FEWEST_ATTEMPTS
